"""The research loop, on a handful of made-up posts."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from mmorient import Moderator
from mmorient.config import Calibration, HeadCalibration
from mmorient.errors import DataError
from mmorient.input.posts import Frame, Post
from mmorient.labels import PostLabels, TaskLabel
from mmorient.training.data.examples import Example
from mmorient.training.data.near_duplicates import without_crossing
from mmorient.training.data.readers import read_all
from mmorient.training.judging.calibrating import _moved, calibrate, describe, fit, fit_scaling
from mmorient.training.judging.evaluating import evaluate
from mmorient.training.judging.intervals import intervals
from mmorient.training.judging.metrics import (
    calibration_error,
    confusion,
    f1_scores,
    macro_f1,
    macro_recall,
    precisions,
    reliability_bins,
    share_weights,
)
from tests.mmorient.made_sets import write_sets


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every set in its layout."""
    root = tmp_path_factory.mktemp("data")
    write_sets(root)
    return root


def test_readers(data: Path) -> None:
    """Partial labels under the heads that they teach; degrees only where there is something of it."""
    examples = read_all(data)
    by_source = {source: [e for e in examples if e.source == source] for source in {e.source for e in examples}}
    assert by_source["irony"][1].targets == {"sarcasm": 1}
    assert by_source["sentiment"][2].targets == {"sentiment": 2, "probe_sentiment": 2}
    assert by_source["mmsd2"][0].text == "@user mmsd2_train row 0 "
    assert by_source["memotion"][0].targets == {
        "sentiment": 0,
        "motivation": 0,
        "humour": 0,
        "sarcasm": 0,
        "offensiveness": 0,
    }
    assert by_source["memotion"][3].targets["sarcasm_degrees"] == 2
    assert by_source["memotion"][3].text == "MEME 3"
    assert {e.split for e in by_source["isarcasm"]} == {"train", "val"}
    assert by_source["sarcasm_tweets"][1].text == "oh great 1 "
    assert {e.split for e in by_source["sarcasm_forum"]} == {"train", "val"}
    assert by_source["hate"][1].targets == {"probe_hate": 1, "offensiveness_degrees": 2}
    assert by_source["hatemoji"][1].targets == {
        "offensiveness": 1,
        "probe_offensive": 1,
        "probe_hate": 1,
        "offensiveness_degrees": 2,
    }
    assert by_source["hatemoji"][0].targets == {"probe_hate": 0}
    assert {"umsab_de", "umsab_en"} <= by_source.keys()
    assert by_source["umsab_de"][2].targets == {"sentiment": 2}


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """All that could be there where nothing is; else the file that a set lacks."""
    with pytest.raises(
        DataError, match=r"memotion_dataset_7k, mvsa_single, tweeteval/datasets, sarcasm_text, hatemoji, umsab, \*\.csv"
    ):
        read_all(tmp_path)
    (tmp_path / "memotion_dataset_7k").mkdir()
    with pytest.raises(DataError, match=r"splits\.csv: is missing"):
        read_all(tmp_path)


def test_near_duplicates_do_not_cross_splits() -> None:
    """A training post that nearly repeats a validation post of another set goes; what repeats in training stays."""
    val = Example("irony", "val", "what a lovely day to miss the last bus home", None, {"sarcasm": 1})
    near = Example("sentiment", "train", "What a LOVELY day to miss the last bus home @someone", None, {"sentiment": 0})
    other = Example("sentiment", "train", "what a lovely day to plant trees with friends", None, {"sentiment": 2})
    short = Example("sentiment", "train", "what a", None, {"sentiment": 1})
    assert without_crossing([val, near, other, other, short]) == [val, other, other, short]
    assert without_crossing([replace(val, text="What a"), short]) == [replace(val, text="What a")]


def test_scores_of_slices(untrained: Path) -> None:
    """Enough posts that name a group are a slice of their own; intervals hold the figure; confusions add up."""
    texts = ["my muslim neighbour sings", "it rains"]
    examples = [Example("irony", "val", texts[n % 2], None, {"sarcasm": n % 3 % 2}) for n in range(120)]
    scores = {score.slice: score for score in evaluate(Moderator.from_checkpoint(untrained), examples)}
    assert {name: score.posts for name, score in scores.items()} == {"all": 120, "short": 120, "identity": 60}
    for score in scores.values():
        low, high = score.intervals["macro_recall"]
        assert low <= score.macro_recall <= high
        assert np.sum(score.confusion) == score.posts
        right = np.diag(score.confusion) / np.sum(score.confusion, axis=1)
        assert list(score.recall.values()) == pytest.approx(100 * right, abs=0.01)


def test_metrics() -> None:
    """By hand."""
    truth, answer = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    assert f1_scores(truth, answer, 2) == pytest.approx([0.5, 2 / 3])
    assert macro_f1(truth, answer, 2) == pytest.approx(7 / 12)
    # A class that never occurs is not one that is never found.
    assert macro_f1(truth, answer, 3) == macro_f1(truth, answer, 2)
    assert macro_recall(truth, answer, 3) == macro_recall(truth, answer, 2)
    assert precisions(truth, answer, 2) == pytest.approx([1 / 2, 2 / 3])
    assert confusion(truth, answer, 2).tolist() == [[1, 1], [1, 2]]
    assert macro_recall(truth, answer, 2) == pytest.approx((1 / 2 + 2 / 3) / 2)
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration_error(np.array([0, 1]), sure) == 0
    assert calibration_error(np.array([1, 1]), sure) == pytest.approx(0.5)
    shares = np.array([[0.9, 0.1], [0.92, 0.08], [0.4, 0.6]])
    assert [(one.accuracy, one.posts) for one in reliability_bins(np.array([0, 1, 1]), shares)] == [(1, 1), (0.5, 2)]
    assert calibration_error(np.array([0, 1, 1]), shares) == pytest.approx(0.4 / 3 + 0.41 * 2 / 3)


def test_intervals_share_their_draws() -> None:
    """A measure's interval does not depend on what else is measured; a constant has none."""
    truth, answer = np.array([0, 1] * 20), np.array([0, 1, 1, 1] * 10)
    shares = np.eye(2)[answer]
    right = lambda truth, answer, _: float(np.mean(truth == answer))  # noqa: E731
    alone = intervals({"right": right}, truth, answer, shares)
    both = intervals({"one": lambda *_: 1.0, "right": right}, truth, answer, shares)
    assert both == {"one": (1.0, 1.0), **alone}
    assert alone["right"][0] < 0.75 < alone["right"][1]


class CautiousModerator:
    """Calls every post sarcastic, whatever is more probable: as an operator's threshold would have it."""

    calibration = Calibration()

    picture_frame = Frame()

    def label(self, posts: Sequence[Post]) -> list[PostLabels]:
        """The same for all."""
        answer = TaskLabel("sarcastic", {"not_sarcastic": 0.6, "sarcastic": 0.4})
        return [PostLabels({"sarcasm": answer}, ("text",)) for _ in posts]


def test_the_label_that_was_given_is_scored() -> None:
    """Not the most probable class, which only the calibration is about."""
    examples = [Example("irony", "val", "it rains", None, {"sarcasm": n % 2}) for n in range(10)]
    (score,) = evaluate(cast("Moderator", CautiousModerator()), examples)
    assert score.confusion == [[0, 5], [0, 5]]
    assert score.recall == {"not_sarcastic": 0, "sarcastic": 100}
    assert score.calibration_error == pytest.approx(10)
    assert json.loads(json.dumps(score.as_dict()))["reliability"] == [
        {"confidence": pytest.approx(0.6), "accuracy": 0.5, "posts": 10, "weight": pytest.approx(10)}
    ]


def test_calibration_mends_overconfidence() -> None:
    """Logits three times too large come back to scale, held out too."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 2, generator=generator) + torch.tensor([1.0, 0.0])
    targets = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
    scaling = fit_scaling(logits * 3, targets, np.ones(4000))
    assert scaling.temperature == pytest.approx(3, rel=0.1)
    assert scaling.bias == pytest.approx((0, 0), abs=0.1)
    mended = fit("text", "humour", logits * 3, targets, ["a"] * 4000)
    assert mended.before > 0.1
    assert mended.after < 0.03
    assert sum(one.posts for one in mended.bins_after) == 4000


def test_probabilities_are_stated_for_the_shares_that_are_wanted() -> None:
    """A set of which four in five are positive counts as if one in four were, and sets count alike."""
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(4000, generator=generator) < 0.8).long()
    margin = 2 * targets - 1 + torch.randn(4000, generator=generator) * 2
    logits = torch.stack([-margin / 4, margin / 4], dim=1)
    mended = fit("text", "sarcasm", logits, targets, ["memes"] * 4000, (0.75, 0.25))
    positive = (logits / mended.scaling.temperature + torch.tensor(mended.scaling.bias)).softmax(-1)[:, 1]
    weights = torch.from_numpy(share_weights(targets.numpy(), (0.75, 0.25), ["memes"] * 4000))
    assert float((positive * weights).sum() / weights.sum()) == pytest.approx(0.25, abs=0.02)
    assert mended.after < 0.03
    both = share_weights(np.array([0, 1, 1, 1, 0, 1]), (0.75, 0.25), ["a"] * 4 + ["b"] * 2)
    assert both == pytest.approx([2.25, 0.25, 0.25, 0.25, 2.25, 0.75])
    assert share_weights(np.array([1, 1]), (0.75, 0.25), ["a"] * 2) == pytest.approx([1, 1])


def test_what_memes_say_little_of_is_not_decided_by_the_bias_of_tweets() -> None:
    """Two sets share a temperature and a bias. A bias that only the larger margins ask for leaves the small ones."""
    generator = torch.Generator().manual_seed(0)
    targets = (torch.rand(1000, generator=generator) < 0.5).long()
    tweets = (2 * targets - 1) * 2 + torch.randn(1000, generator=generator) * 2 + 1.5
    memes = (2 * targets - 1) * 0.05 + torch.randn(1000, generator=generator) * 0.3
    margin = torch.cat([tweets, memes])
    logits, both = torch.stack([-margin / 2, margin / 2], dim=1), torch.cat([targets, targets])
    sources = ["tweets"] * 1000 + ["memes"] * 1000

    def positive_memes(near: tuple[float, float] | None) -> float:
        scaling = fit("text+image", "sarcasm", logits, both, sources, (0.5, 0.5), near=near).scaling
        assert scaling.bias is not None
        return float(((logits / scaling.temperature + torch.tensor(scaling.bias)).argmax(1)[1000:] == 1).float().mean())

    assert positive_memes(None) < 0.05
    assert positive_memes((0.0, 0.0)) == pytest.approx(0.5, abs=0.2)


def test_biases_follow_the_shares_that_are_wanted() -> None:
    """Where they stay near what they were, another share of the classes still moves them."""
    free = _moved((0.1, -0.1), (0.5, 0.5), (0.9, 0.1))
    assert free == pytest.approx((0.1 + math.log(3), -0.1 - math.log(3)))
    assert _moved((0.1, -0.1), None, (0.9, 0.1)) == pytest.approx((0.1, -0.1))


def test_too_few_posts_calibrate_nothing(untrained: Path) -> None:
    """The scaling that was there stays, and the line says how many posts there were."""
    examples = [Example("posts", "val", f"post {n}", None, {"sarcasm": n % 2}) for n in range(5)]
    moderator = Moderator.from_checkpoint(untrained)
    calibration, [one] = calibrate(moderator, examples)
    assert not one.fitted
    assert "kept as it was: 2 posts of the rarest class" in describe(one)
    before = moderator.calibration.heads.get("text", {}).get("sarcasm") or HeadCalibration()
    assert calibration.heads["text"]["sarcasm"] == before
    assert calibration.shares["sarcasm"] == (0.5, 0.5)
    enough = [replace(examples[n % 2], text=f"post {n}") for n in range(80)]
    stated, [fitted] = calibrate(moderator, enough, {"sarcasm": (0.9, 0.1)})
    assert fitted.fitted
    assert stated.shares["sarcasm"] == (0.9, 0.1)
