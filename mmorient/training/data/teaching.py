"""What checkpoints say of training texts that nobody labelled for a task: lessons for the next one (self-training).

A task with few labelled posts learns from the posts of all other sets: a teacher's probabilities stand in the place of
a label, noise in the student's encoder keeps it from merely copying (noisy student; Xie et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mmorient.input.posts import Post
from mmorient.moderator import Moderator
from mmorient.network.mm_orient import task_heads
from mmorient.training.data.examples import Example
from mmorient.training.data.identity import names_identity, swapped

HEADS = ("sentiment", "sarcasm", "offensiveness")
"""What teachers are asked about by default: the heads of which texts alone can say something."""
_CHUNK = 512
_COPIES = 3


def lessons_of(
    teachers: Sequence[Path],
    examples: Sequence[Example],
    rows: Sequence[int],
    seed: int = 0,
    *,
    by_words: Sequence[str] = (),
    rehearsed: Sequence[str] = (),
    device: Literal["cpu", "cuda"] = "cpu",
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
        rehearsed: Heads that a checkpoint shall keep as it is trained further by its own answers: these are taken
            before their calibration, which stays. None asks for calibrated answers to ``HEADS``.
        device: Where the teachers compute.

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
    heads = tuple(rehearsed) or HEADS
    sizes = task_heads()
    said = {head: torch.zeros(len(asked), sizes[head]) for head in heads}
    shares = torch.bincount(owner, minlength=len(asked)).float() * len(teachers)
    for teacher in teachers if texts else ():
        for head, answers in _answers(teacher, texts, heads, calibrated=not rehearsed, device=device).items():
            said[head].index_add_(0, owner, answers)
    lessons = {head: torch.full((len(examples), sizes[head]), torch.nan) for head in heads}
    for head in heads:
        unlabelled = [place for place, row in enumerate(asked) if head not in examples[row].targets]
        lessons[head][[asked[place] for place in unlabelled]] = (said[head] / shares[:, None])[unlabelled]
    return lessons


def _answers(
    teacher: Path, texts: Sequence[str], heads: Sequence[str], *, calibrated: bool, device: Literal["cpu", "cuda"]
) -> dict[str, Tensor]:
    """Head to probabilities ``[n, classes]``, or before calibration to the softmax of its outputs."""
    moderator = Moderator.from_checkpoint(teacher, device=device)
    answers: dict[str, list[Tensor]] = {head: [] for head in heads}
    for start in tqdm(range(0, len(texts), _CHUNK), desc=f"asking {teacher.name}", disable=None):
        embedded = moderator.embed([Post(text) for text in texts[start : start + _CHUNK]])
        if calibrated:
            for labels in moderator.classify(embedded):
                for head in heads:
                    answers[head].append(torch.tensor([*labels.tasks[head].probabilities.values()]))
        else:
            for logits in moderator.logits(embedded):
                for head in heads:
                    answers[head].append(torch.tensor(logits[head]).softmax(-1))
    return {head: torch.stack(values) for head, values in answers.items()}
