"""Tests and intervals, computed from counts alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

# scipy.stats takes ten times as long to load.
from scipy import special

Counts = NDArray[np.int64]
RESAMPLES = 2000
_TAIL = 0.025
_EXACT_BELOW = 5


@dataclass(frozen=True)
class ChiSquared:
    """The outcome of a chi-squared test."""

    statistic: float
    degrees_of_freedom: int
    p: float


def mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided, exact p of the hypothesis that flips in both directions are as frequent (McNemar 1947)."""
    if gained == lost:
        return 1.0
    return float(min(1.0, 2 * special.bdtr(min(gained, lost), gained + lost, 0.5)))


def bowker(matrix: Counts) -> ChiSquared:
    """Test that flips from a class to another are as frequent as flips back, for all pairs of classes (Bowker 1948).

    Args:
        matrix: [classes, classes].
    """
    above = np.triu_indices(len(matrix), 1)
    forth, back = matrix[above].astype(float), matrix.T[above].astype(float)
    some = forth + back > 0
    statistic = float(((forth - back)[some] ** 2 / (forth + back)[some]).sum())
    freedom = int(some.sum())
    return ChiSquared(statistic, freedom, float(special.chdtrc(freedom, statistic)) if freedom else 1.0)


def stuart_maxwell(matrix: Counts) -> ChiSquared:
    """Test that both sides have each class as often (Stuart 1955, Maxwell 1970).

    Args:
        matrix: [classes, classes].
    """
    counts = matrix.astype(float)
    rows, columns = counts.sum(1), counts.sum(0)
    difference = rows - columns
    covariance = np.diag(rows + columns - 2 * np.diag(counts)) - (counts + counts.T - 2 * np.diag(np.diag(counts)))
    # Singular by one degree and by one more for each class that no flip touches: the pseudo-inverse leaves these out.
    freedom = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if not freedom:
        return ChiSquared(0.0, 0, 1.0)
    statistic = float(difference @ np.linalg.pinv(covariance, hermitian=True) @ difference)
    return ChiSquared(statistic, freedom, float(special.chdtrc(freedom, statistic)))


def elsewhere(flips: int, posts: int, other_flips: int, other_posts: int) -> float:
    """Return the p that flips are as frequent among some posts as among others: Fisher if they are few, or chi2."""
    table = np.array([[flips, posts - flips], [other_flips, other_posts - other_flips]], np.float64)
    total = table.sum()
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / max(total, 1)
    if not expected.all():
        return 1.0
    if expected.min() < _EXACT_BELOW:
        return _fisher(flips, posts, other_flips, other_posts)
    return float(special.chdtrc(1, ((table - expected) ** 2 / expected).sum()))


def holm(chances: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979)."""
    order = sorted(range(len(chances)), key=lambda index: chances[index])
    corrected = [0.0] * len(chances)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[index]))
        corrected[index] = largest
    return corrected


def share_interval(some: int, of: int) -> tuple[float, float, bool]:
    """Return the middle 95 % of a share over posts drawn with replacement, and whether it is that interval.

    The number in such a draw is binomial, so its quantiles are known without drawing. If no post counts, or all do,
    every draw is the same: then the interval is the exact one (Clopper and Pearson 1934), and the last is False.
    """
    if of == 0:
        return 0.0, 1.0, False
    if some in {0, of}:
        edge = float(1 - _TAIL ** (1 / of))
        return (0.0, edge, False) if some == 0 else (1 - edge, 1.0, False)
    low, high = (_binomial_quantile(share, of, some / of) / of for share in (_TAIL, 1 - _TAIL))
    return low, high, True


def _binomial_quantile(share: float, of: int, chance: float) -> float:
    """The smallest number that at least this share of the draws does not exceed."""
    above = float(np.ceil(special.bdtrik(share, of, chance)))
    below = max(above - 1, 0.0)
    return below if special.bdtr(below, of, chance) >= share else above


def _fisher(flips: int, posts: int, other_flips: int, other_posts: int) -> float:
    """The probability of a table that is at most as likely as this one, given its margins (Fisher 1934)."""
    total = flips + other_flips
    some = np.arange(max(0, total - other_posts), min(total, posts) + 1)
    chances = _log_choose(posts, some) + _log_choose(other_posts, total - some)
    chances = np.exp(chances - _log_choose(posts + other_posts, np.array([total])))
    # Equally likely tables count, although rounding may make them differ in the last digits.
    return float(min(1.0, chances[chances <= chances[flips - some[0]] * (1 + 1e-7)].sum()))


def _log_choose(of: int, some: Counts) -> NDArray[np.float64]:
    chosen: NDArray[np.float64] = special.gammaln(of + 1) - special.gammaln(some + 1) - special.gammaln(of - some + 1)
    return chosen


class Bootstrap:
    """Draws posts with replacement, as counts: n draws from k cells stand for n posts in k cells.

    Args:
        name: the seed: the same name gives the same draws.
    """

    def __init__(self, name: str) -> None:
        self._random = np.random.default_rng(crc32(name.encode()))

    def draws(self, counts: Counts) -> Counts:
        """Return [resamples, cells] counts.

        Args:
            counts: [cells], their sum at least 1.
        """
        drawn: Counts = self._random.multinomial(counts.sum(), counts / counts.sum(), size=RESAMPLES)
        return drawn

    @staticmethod
    def interval(figures: NDArray[np.float64]) -> tuple[float, float]:
        """Return the middle 95 % of a figure.

        Args:
            figures: [resamples].
        """
        low, high = np.quantile(figures, (_TAIL, 1 - _TAIL))
        return float(low), float(high)
