"""Scores of a model in training, on the validation splits: which epoch is the best."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import torch
from numpy.typing import NDArray

from mmorient.labels import TASKS
from mmorient.network.mm_orient import GraphContext
from mmorient.training.data.examples import VAL
from mmorient.training.data.tokens import batches_by_length
from mmorient.training.fitting.batches import TrainingSet
from mmorient.training.fitting.joint_model import JointModel
from mmorient.training.judging.metrics import f1_scores, macro_f1, macro_recall

# What TweetEval counts, where it is not the macro-F1.
_F1, _MACRO_RECALL = {("irony", "sarcasm")}, {("sentiment", "sentiment")}


@torch.no_grad()
def validate(
    model: JointModel, data: TrainingSet, context: GraphContext, uncounted: Sequence[str] = ()
) -> dict[str, float]:
    """Scores in percent, by ``source/task``, and their mean as ``score``.

    Nothing is calibrated yet: a binary task says yes as often as is true, so that a score tells how well posts are
    told apart and not where the threshold happens to lie.

    Args:
        model: As it stands.
        data: All examples; the val split is scored.
        context: Of the graphs.
        uncounted: Sources that are left out of ``score``, unless there are no others.
    """
    rows_of: dict[str, list[int]] = {}
    for index, example in enumerate(data.examples):
        if example.split == VAL and TASKS.keys() & example.targets.keys():
            rows_of.setdefault(example.source, []).append(index)
    scores: dict[str, float] = {}
    for source, rows in rows_of.items():
        logits = _outputs(model, data, rows, context)
        for head in TASKS:
            truth = data.targets[rows][:, data.heads.index(head)].numpy()
            known = truth >= 0
            if known.any():
                scores[f"{source}/{head}"] = round(100 * _score(source, head, truth[known], logits[head][known]), 2)
    counted = [value for name, value in scores.items() if not _matches(name.partition("/")[0], uncounted)]
    return scores | {"score": round(float(np.mean(counted or list(scores.values()))), 3)}


def _matches(source: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(source, pattern) for pattern in patterns)


def _outputs(
    model: JointModel, data: TrainingSet, rows: list[int], context: GraphContext
) -> dict[str, NDArray[np.float32]]:
    lengths = data.tokens.lengths()[rows]
    device = model.text_attention.kernel.device
    outputs: dict[str, NDArray[np.float32]] = {
        head: np.zeros((len(rows), classes), dtype=np.float32) for head, classes in model.head.sizes.heads.items()
    }
    for places in batches_by_length(lengths, 64):
        posts = model.embed(data.batch([rows[place] for place in places], None).to(device))
        for head, values in model.head(posts, context).items():
            outputs[head][places] = values.float().cpu().numpy()
    return outputs


def _score(source: str, head: str, truth: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    classes = logits.shape[1]
    answer = logits.argmax(1)
    if classes == 2:
        margin = logits[:, 1] - logits[:, 0]
        answer = (margin > np.quantile(margin, 1 - truth.mean())).astype(np.int64)
    if (source, head) in _F1:
        return float(f1_scores(truth, answer, 2)[1])
    return (macro_recall if (source, head) in _MACRO_RECALL else macro_f1)(truth, answer, classes)
