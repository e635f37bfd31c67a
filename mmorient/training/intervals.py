"""How sure a measure is: percentile bootstrap over posts (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Measure = Callable[[NDArray[np.int64], NDArray[np.float64]], float]
RESAMPLES = 300


def interval(
    measure: Measure, truth: NDArray[np.int64], probabilities: NDArray[np.float64], *, seed: int = 0
) -> tuple[float, float]:
    """The middle 95 % of a measure over posts drawn with replacement.

    Args:
        measure: Of truth ``[n]`` and probabilities ``[n, classes]``.
        truth: ``[n]``.
        probabilities: ``[n, classes]``.
        seed: Same seed, same interval.
    """
    random = np.random.default_rng(seed)
    values = []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(truth), len(truth))
        values.append(measure(truth[drawn], probabilities[drawn]))
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
