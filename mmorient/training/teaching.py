"""What checkpoints say of training texts that nobody labelled for a task: lessons for the next one (self-training).

A task with few labelled posts learns from the posts of all other sets: a teacher's probabilities stand in the place of
a label, noise in the student's encoder keeps it from merely copying (noisy student; Xie et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from mmorient.labels import TASKS
from mmorient.moderator import Moderator
from mmorient.posts import Post
from mmorient.training.data import Example

HEADS = ("sentiment", "sarcasm", "offensiveness")
_CHUNK = 512


def lessons_of(teachers: Sequence[Path], examples: Sequence[Example], rows: Sequence[int]) -> dict[str, Tensor]:
    """Ask teachers about texts without a picture.

    Args:
        teachers: Folders of checkpoints; the mean of their probabilities counts.
        examples: All.
        rows: Which to ask about; those with a picture or without a text are passed over.

    Returns:
        Head to fp32 ``[n, classes]``; NaN where an example has a label of its own or was not asked about.

    Raises:
        CheckpointError: A teacher cannot be used.
    """
    asked = [row for row in rows if examples[row].picture is None and examples[row].text.strip()]
    lessons = {head: torch.full((len(examples), len(TASKS[head].classes)), torch.nan) for head in HEADS}
    said = {head: torch.zeros(len(asked), len(TASKS[head].classes)) for head in HEADS}
    for teacher in teachers:
        moderator = Moderator.from_checkpoint(teacher)
        for start in tqdm(range(0, len(asked), _CHUNK), desc=f"asking {teacher.name}", leave=False, disable=None):
            posts = [Post(examples[row].text) for row in asked[start : start + _CHUNK]]
            for place, labels in enumerate(moderator.label(posts), start):
                for head in HEADS:
                    probabilities = labels.tasks[head].probabilities
                    said[head][place] += torch.tensor([*probabilities.values()]) / len(teachers)
    for head in HEADS:
        unlabelled = [place for place, row in enumerate(asked) if head not in examples[row].targets]
        lessons[head][[asked[place] for place in unlabelled]] = said[head][unlabelled]
    return lessons
