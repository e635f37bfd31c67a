"""Heads' outputs to answers, a call at once: the digits are those of ``labels.task_label``, at a tenth of its time.

NumPy's exponential may differ from Python's in the last of 53 bits. That decides no published digit unless a share
lies within ``_NEAR`` of where rounding turns, or two things that are compared lie so near each other. Such posts are
answered by ``task_label`` itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mmorient.config import Calibration, HeadCalibration
from mmorient.labels import DEGREES, DIGITS, TASKS, Intensity, PostLabels, Task, TaskLabel, task_label

_UNITS = 10**DIGITS
_NEAR = 1e-7  # of a unit: a thousand times what the last bits can do
_Floats = NDArray[np.float64]


def answers(
    logits: Mapping[str, _Floats],
    modalities: Sequence[tuple[str, ...]],
    calibration: Calibration,
    thresholds: Mapping[str, float],
) -> list[PostLabels]:
    """Labels of posts.

    Args:
        logits: Head to its outputs before calibration, ``[posts, outputs]``.
        modalities: Of each post.
        calibration: What makes probabilities of them.
        thresholds: Operators' own, by binary task.
    """
    tasks: list[dict[str, TaskLabel]] = [{} for _ in modalities]
    for kind in dict.fromkeys(modalities):
        rows = [row for row, own in enumerate(modalities) if own == kind]
        scaled = {head: _scaled(calibration.scaling(kind, head), values[rows]) for head, values in logits.items()}
        for name, task in TASKS.items():
            labels = _labels(task, scaled[name], scaled.get(name + DEGREES), thresholds.get(name))
            for row, label in zip(rows, labels, strict=True):
                tasks[row][name] = label
    return [PostLabels(own, kind) for own, kind in zip(tasks, modalities, strict=True)]


def _scaled(scaling: HeadCalibration, logits: _Floats) -> _Floats:
    """Each number as ``Calibration.apply`` scales it."""
    values: _Floats = logits / scaling.temperature
    return values + np.array(scaling.bias) if scaling.bias else values


def _labels(task: Task, logits: _Floats, degrees: _Floats | None, threshold: float | None) -> list[TaskLabel]:
    units, unsure = _rounded(_softmax(logits))
    best = units.argmax(1) if threshold is None else (units[:, 1] >= threshold * _UNITS).astype(np.int64)
    top = np.sort(units, axis=1)
    # The larger one as published is the label; equal ones are told apart by what is behind the digits.
    unsure |= top[:, -1] == top[:, -2]
    if threshold is not None:
        unsure |= np.abs(units[:, 1] - threshold * _UNITS) < 1
    shares = (units / _UNITS).tolist()
    intensities: list[Intensity | None] = [None] * len(shares)
    if degrees is not None:
        beyond = logits[:, 1:2] + (degrees - degrees.max(1, keepdims=True))
        degree_units, degrees_unsure = _rounded(_softmax(np.concatenate([logits[:, :1], beyond], 1)))
        unsure |= degrees_unsure
        chosen = np.where(best == 0, 0, 1 + degree_units[:, 1:].argmax(1)).tolist()
        intensities = [
            Intensity(task.degrees[degree], dict(zip(task.degrees, own, strict=True)))
            for degree, own in zip(chosen, (degree_units / _UNITS).tolist(), strict=True)
        ]
    labels = [
        TaskLabel(task.classes[index], dict(zip(task.classes, own, strict=True)), intensity, threshold)
        for index, own, intensity in zip(best.tolist(), shares, intensities, strict=True)
    ]
    for row in np.flatnonzero(unsure).tolist():
        own_degrees = None if degrees is None else degrees[row].tolist()
        labels[row] = task_label(task, logits[row].tolist(), own_degrees, threshold)
    return labels


def _softmax(logits: _Floats) -> _Floats:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    shares: _Floats = weights / weights.sum(1, keepdims=True)
    return shares


def _rounded(shares: _Floats) -> tuple[_Floats, NDArray[np.bool_]]:
    """Whole units of each share, as ``labels.rounded`` gives them; and which rows are too near to a turn to be sure."""
    scaled = shares * _UNITS
    units = np.floor(scaled)
    rest = scaled - units
    # Largest remainder first, the lower index first where they tie.
    order = np.argsort(-rest, axis=1, kind="stable")
    missing = _UNITS - units.sum(1)
    place = np.argsort(order, axis=1, kind="stable")
    sorted_rest = np.sort(rest, axis=1)
    unsure = (
        ((rest < _NEAR) & (scaled > _NEAR)).any(1)
        | (rest > 1 - _NEAR).any(1)
        | (np.diff(sorted_rest, axis=1) < _NEAR).any(1)
    )
    return units + (place < missing[:, None]), unsure
