"""How sure measures are: percentile bootstrap over posts (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Measure = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]], float]
"""Of truth ``[n]``, answers ``[n]`` and probabilities ``[n, classes]``."""

RESAMPLES = 300


def intervals(
    measures: Mapping[str, Measure],
    truth: NDArray[np.int64],
    answer: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """The middle 95 % of each measure over posts drawn with replacement, the same draws for all measures.

    Args:
        measures: By name.
        truth: ``[n]``.
        answer: ``[n]``.
        probabilities: ``[n, classes]``.
        seed: Same seed, same intervals.
    """
    random = np.random.default_rng(seed)
    values: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(truth), len(truth))
        resample = truth[drawn], answer[drawn], probabilities[drawn]
        for name, measure in measures.items():
            values[name].append(measure(*resample))
    bounds = {name: np.quantile(drawn, (0.025, 0.975)) for name, drawn in values.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
