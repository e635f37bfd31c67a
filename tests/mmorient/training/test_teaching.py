"""What teachers say of texts that nobody labelled."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmorient import Moderator, Post
from mmorient.training.data.examples import Example
from mmorient.training.data.identity import swapped
from mmorient.training.data.teaching import lessons_of


def test_teachers_say_what_nobody_labelled(untrained: Path, moderator: Moderator) -> None:
    """Their mean, where a text has no label of its own for a task; nothing of pictures and of what was not asked."""
    tweet = Example("irony", "train", "oh great", None, {"sarcasm": 1})
    examples = [tweet, replace(tweet, picture=Path("a.jpg")), replace(tweet, text=" "), replace(tweet, text="hm")]
    lessons = lessons_of([untrained, untrained], examples, [0, 1, 2])
    assert lessons["sarcasm"].isnan().all()
    assert lessons["offensiveness"][1:].isnan().all()
    (labels,) = moderator.label([Post("oh great")])
    words = pytest.approx(list(labels.tasks["offensiveness"].probabilities.values()))
    assert lessons["offensiveness"][0].tolist() == words
    ordinary = lessons_of([untrained], [replace(tweet, source="mvsa", picture=Path("a.jpg"))], [0], by_words=["mvsa"])
    assert ordinary["offensiveness"][0].tolist() == words


def test_teachers_say_the_same_of_every_group(untrained: Path, moderator: Moderator) -> None:
    """The mean over a text and copies with other groups stands for what is said of it."""
    text = "my gay neighbour sings"
    lessons = lessons_of([untrained], [Example("irony", "train", text, None, {})], [0], seed=3)
    random = np.random.default_rng(3)
    versions = [text, *(swapped(text, random) for _ in range(3))]
    answers = [
        one.tasks["offensiveness"].probabilities["offensive"] for one in moderator.label(list(map(Post, versions)))
    ]
    assert len(set(versions)) > 2
    assert float(lessons["offensiveness"][0, 1]) == pytest.approx(np.mean(answers), abs=1e-6)
