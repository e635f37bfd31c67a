"""What checkpoints say of training texts that nobody labelled for a task: lessons for the next one (self-training).

A task with few labelled posts learns from the posts of all other sets: a teacher's probabilities stand in the place of
a label, noise in the student's encoder keeps it from merely copying (noisy student; Xie et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mmorient.input.posts import Post
from mmorient.labels import TASKS
from mmorient.moderator import Moderator
from mmorient.training.data.examples import Example
from mmorient.training.data.identity import names_identity, swapped

HEADS = ("sentiment", "sarcasm", "offensiveness")
_CHUNK = 512
_COPIES = 3


def lessons_of(
    teachers: Sequence[Path],
    examples: Sequence[Example],
    rows: Sequence[int],
    seed: int = 0,
    *,
    by_words: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Ask teachers about texts without a picture, and about the words alone of posts with an ordinary one.

    What is said of a text that names a group of people is the mean over it and copies that name other groups: the name
    alone then teaches nothing.

    Args:
        teachers: Folders of checkpoints; the mean of their probabilities counts.
        examples: All.
        rows: Which to ask about; those without a text are passed over, and those with a picture of other sources.
        seed: Of the groups in the copies.
        by_words: Sources of ordinary pictures, whose words say what there is to say.

    Returns:
        Head to fp32 ``[n, classes]``; NaN where an example has a label of its own or was not asked about.

    Raises:
        CheckpointError: A teacher cannot be used.
    """
    random = np.random.default_rng(seed)
    asked = [
        row
        for row in rows
        if examples[row].text.strip() and (examples[row].picture is None or examples[row].source in by_words)
    ]
    texts: list[str] = []
    owners: list[int] = []
    for place, row in enumerate(asked):
        text = examples[row].text
        versions = [text, *(swapped(text, random) for _ in range(_COPIES))] if names_identity(text) else [text]
        texts += versions
        owners += [place] * len(versions)
    owner = torch.tensor(owners, dtype=torch.int64)
    said = {head: torch.zeros(len(asked), len(TASKS[head].classes)) for head in HEADS}
    shares = torch.bincount(owner, minlength=len(asked)).float() * len(teachers)
    for teacher in teachers if texts else ():
        for head, answers in _answers(teacher, texts).items():
            said[head].index_add_(0, owner, answers)
    lessons = {head: torch.full((len(examples), len(TASKS[head].classes)), torch.nan) for head in HEADS}
    for head in HEADS:
        unlabelled = [place for place, row in enumerate(asked) if head not in examples[row].targets]
        lessons[head][[asked[place] for place in unlabelled]] = (said[head] / shares[:, None])[unlabelled]
    return lessons


def _answers(teacher: Path, texts: Sequence[str]) -> dict[str, Tensor]:
    """Head to probabilities ``[n, classes]``."""
    moderator = Moderator.from_checkpoint(teacher)
    answers: dict[str, list[list[float]]] = {head: [] for head in HEADS}
    for start in tqdm(range(0, len(texts), _CHUNK), desc=f"asking {teacher.name}", disable=None):
        for labels in moderator.label([Post(text) for text in texts[start : start + _CHUNK]]):
            for head in HEADS:
                answers[head].append([*labels.tasks[head].probabilities.values()])
    return {head: torch.tensor(values) for head, values in answers.items()}
