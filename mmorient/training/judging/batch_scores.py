"""Scores as published: the posts of a batch are each other's context, the most probable class is the answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mmorient.labels import TASKS
from mmorient.training.data.examples import VAL
from mmorient.training.fitting.batches import TrainingSet
from mmorient.training.fitting.joint_model import JointModel
from mmorient.training.judging.metrics import confusion, f1_scores

_log = logging.getLogger(__name__)
BATCH_SCORES = "batch_scores.json"


def write_batch_scores(model: JointModel, data: TrainingSet, size: int, file: Path) -> None:
    """Score the val split in batches of the run's size, in the order of the sets, and write and log the scores.

    Args:
        model: Trained in the ``batch`` context.
        data: All examples.
        size: Posts of a batch.
        file: JSON: set, task, posts, macro-F1, F1 weighted by the classes' shares, accuracy, in percent. Which of them
            the paper's table holds, it does not say.
    """
    model.eval()
    rows_of: dict[str, list[int]] = {}
    for row, example in enumerate(data.examples):
        if example.split == VAL:
            rows_of.setdefault(example.source, []).append(row)
    scores = [score for source, rows in rows_of.items() for score in _scores(model, data, source, rows, size)]
    file.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    for score in scores:
        _log.info("%s", score)


@torch.no_grad()
def _scores(
    model: JointModel, data: TrainingSet, source: str, rows: Sequence[int], size: int
) -> list[dict[str, object]]:
    device = model.text_attention.kernel.device
    answers: dict[str, list[int]] = {task: [] for task in TASKS}
    for start in range(0, len(rows), size):
        posts = model.embed(data.batch(rows[start : start + size], None).to(device))
        logits = model.head(posts, model.head.batch_context(posts))
        for task in TASKS:
            answers[task] += logits[task].argmax(-1).tolist()
    found: list[dict[str, object]] = []
    for task, answered in answers.items():
        truth = data.targets[list(rows)][:, data.heads.index(task)].numpy()
        known = truth >= 0
        if known.any():
            classes, answer = len(TASKS[task].classes), np.array(answered)[known]
            table = np.array(confusion(truth[known], answer, classes))
            f1 = f1_scores(truth[known], answer, classes)
            measures = {
                "macro_f1": float(np.mean(f1)),
                "weighted_f1": float(np.average(f1, weights=table.sum(1))),
                "accuracy": float(np.trace(table) / table.sum()),
            }
            score = {name: round(100 * value, 2) for name, value in measures.items()}
            found.append({"source": source, "task": task, "posts": int(known.sum()), **score})
    return found
