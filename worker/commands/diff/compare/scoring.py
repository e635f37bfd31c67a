"""How scores moved: makes findings of distributions."""

import numpy as np
from numpy.typing import NDArray

from worker.commands.diff.compare.counting import BINS, STEPS, Counts, Distribution, Sure
from worker.commands.diff.compare.report import AgreementBin, ChangeHistogram, Confidence, Estimate, Histogram, Scores
from worker.commands.diff.compare.statistics import Bootstrap

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_DECILES = 10
# The population stability index takes a smaller share of posts for this one, so that its logarithm is finite.
_NONE = 1e-4
_SHOWN_BINS = 20
# Changes are drawn in classes of a hundredth: a class's own mean is exact, so that the sum of a draw nearly is.
_CHANGE_CLASSES = 2 * 100 + 1


def scores_of(distribution: Distribution, name: str) -> Scores:
    """Return how the scores of one class moved.

    Args:
        distribution: of at least one post.
        name: of what is measured; the same name gives the same interval.
    """
    posts = int(distribution.left.sum())
    width = STEPS // _SHOWN_BINS
    return Scores(
        left_mean=distribution.left_sum / posts,
        right_mean=distribution.right_sum / posts,
        mean_change=mean_change(distribution, name),
        quantiles={str(share): _quantile(distribution.change, share) for share in _QUANTILES},
        wasserstein=float(np.abs(np.cumsum(distribution.left - distribution.right)).sum() / posts / STEPS),
        psi=_stability(distribution.left, distribution.right),
        histogram=Histogram(
            edges=[place / _SHOWN_BINS for place in range(_SHOWN_BINS + 1)],
            left=_coarse(distribution.left, width),
            right=_coarse(distribution.right, width),
        ),
        change_histogram=_changes(distribution.change),
    )


def mean_change(distribution: Distribution, name: str) -> Estimate:
    """Return the mean change of a score, right minus left, with its interval."""
    posts = int(distribution.change.sum())
    value = (distribution.right_sum - distribution.left_sum) / posts
    steps = np.arange(-STEPS, STEPS + 1)
    classes = (steps + STEPS + 50) // 100
    counts = np.bincount(classes, distribution.change, _CHANGE_CLASSES).astype(np.int64)
    sums = np.bincount(classes, distribution.change * (steps / STEPS), _CHANGE_CLASSES)
    some = counts > 0
    draws = Bootstrap(f"{name} mean change").draws(counts[some])
    low, high = Bootstrap.interval(draws @ (sums[some] / counts[some]) / posts)
    return Estimate(value=value, low=low, high=high)


def confidence_of(distribution: Distribution, name: str) -> Confidence:
    """Return the mean probability that each side gives its own labels."""
    posts = int(distribution.left.sum())
    return Confidence(
        left=distribution.left_sum / posts,
        right=distribution.right_sum / posts,
        change=mean_change(distribution, f"{name} confidence"),
    )


def agreement_of(sure: Sure) -> list[AgreementBin]:
    """Return the bins that have posts."""
    return [
        AgreementBin(
            since=place / BINS,
            until=(place + 1) / BINS,
            posts=int(posts),
            confidence=sure.confidence[place] / posts,
            agrees=sure.agrees[place] / posts,
            right_probability=sure.right_probability[place] / posts,
        )
        for place, posts in enumerate(sure.posts)
        if posts
    ]


def _quantile(counts: Counts, share: float) -> float:
    """The smallest change that at least this share of the posts is not above."""
    place = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return (place - STEPS) / STEPS


def _stability(left: Counts, right: Counts) -> float:
    """The population stability index: by the left's deciles, how far the right's posts are from a tenth in each."""
    total = np.cumsum(left)
    edges = np.searchsorted(total, np.arange(1, _DECILES) / _DECILES * total[-1])
    # Where one score is that of many posts, deciles fall together and are one.
    starts = np.concatenate(([0], np.unique(edges[edges < STEPS] + 1)))
    old, new = _shares(left, starts), _shares(right, starts)
    return float(((new - old) * np.log(new / old)).sum())


def _shares(counts: Counts, starts: NDArray[np.int64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.maximum(np.add.reduceat(counts, starts) / counts.sum(), _NONE)
    return shares


def _coarse(counts: Counts, width: int) -> list[int]:
    places = np.minimum(np.arange(STEPS + 1) // width, STEPS // width - 1)
    return [int(posts) for posts in np.bincount(places, counts, STEPS // width)]


def _changes(counts: Counts) -> ChangeHistogram:
    """Bins of a twentieth, the middle one around no change."""
    width = STEPS // _SHOWN_BINS
    places = (np.arange(2 * STEPS + 1) + width // 2) // width
    return ChangeHistogram(
        edges=[(2 * place - 1) / (2 * _SHOWN_BINS) - 1 for place in range(2 * _SHOWN_BINS + 2)],
        posts=[int(posts) for posts in np.bincount(places, counts, 2 * _SHOWN_BINS + 1)],
    )
