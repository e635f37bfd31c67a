"""Scores of a model in training, on the validation splits: which epoch is the best."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mmorient.model import GraphContext
from mmorient.training.batches import TrainingSet
from mmorient.training.data import VAL
from mmorient.training.joint_model import JointModel
from mmorient.training.metrics import f1_scores, macro_f1, macro_recall
from mmorient.training.tokens import batches_by_length

# What the score is the mean of: source, head, measure.
MEASURES = (
    ("irony", "sarcasm", "f1"),
    ("offensive", "offensiveness", "macro_f1"),
    ("sentiment", "sentiment", "macro_recall"),
    ("mvsa", "sentiment", "macro_f1"),
    ("memotion", "sentiment", "macro_f1"),
    ("memotion", "sarcasm", "macro_f1"),
    ("memotion", "offensiveness", "macro_f1"),
)


@torch.no_grad()
def validate(model: JointModel, data: TrainingSet, context: GraphContext) -> dict[str, float]:
    """Scores of uncalibrated answers in percent, by ``source/task``.

    ``score`` is the mean of all but Memotion's, whose labels are near chance.
    """
    rows_of: dict[str, list[int]] = {}
    for index, example in enumerate(data.examples):
        if example.split == VAL:
            rows_of.setdefault(example.source, []).append(index)
    scores: dict[str, float] = {}
    for source in dict.fromkeys(source for source, _, _ in MEASURES if source in rows_of):
        logits = _answers(model, data, rows_of[source], context)
        for _, head, measure in (one for one in MEASURES if one[0] == source):
            targets = data.targets[rows_of[source]][:, data.heads.index(head)].numpy()
            known = targets >= 0
            answer, classes = logits[head].argmax(1)[known], logits[head].shape[1]
            truth = targets[known]
            scores[f"{source}/{head}"] = round(100 * _measure(measure, truth, answer, classes), 2)
    counted = [value for name, value in scores.items() if not name.startswith("memotion")]
    return scores | {"score": round(float(np.mean(counted or list(scores.values()))), 3)}


def _answers(
    model: JointModel, data: TrainingSet, rows: list[int], context: GraphContext
) -> dict[str, NDArray[np.float32]]:
    lengths = data.tokens.lengths()[rows]
    device = model.text_attention.kernel.device
    answers: dict[str, NDArray[np.float32]] = {
        head: np.zeros((len(rows), classes), dtype=np.float32) for head, classes in model.head.sizes.heads.items()
    }
    for places in batches_by_length(lengths, 64):
        posts = model.embed(data.batch([rows[place] for place in places], None).to(device))
        for head, values in model.head(posts, context).items():
            answers[head][places] = values.float().cpu().numpy()
    return answers


def _measure(
    name: str,
    truth: NDArray[np.int64],
    answer: NDArray[np.int64],
    classes: int,
) -> float:
    if name == "f1":
        return float(f1_scores(truth, answer, 2)[1])
    return (macro_f1 if name == "macro_f1" else macro_recall)(truth, answer, classes)
