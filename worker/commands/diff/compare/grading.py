"""Both sides against known answers: accuracy and calibration."""

import numpy as np
from numpy.typing import NDArray

from worker.commands.diff.compare.counting import BINS, Counts, Graded
from worker.commands.diff.compare.report import Estimate, ReliabilityBin, Truth
from worker.commands.diff.compare.statistics import Bootstrap, mcnemar

Figures = NDArray[np.float64]


def truth_of(graded: Graded, name: str) -> Truth:
    """Return accuracy and calibration of both sides.

    Args:
        graded: at least one post.
        name: of the task; the same name gives the same intervals.
    """
    posts = graded.posts
    once = posts[None, :]
    draws = Bootstrap(f"{name} truth").draws(posts)
    left_ece, right_ece = _errors(graded, "left", once), _errors(graded, "right", once)
    left_draws, right_draws = _errors(graded, "left", draws), _errors(graded, "right", draws)
    total = posts.sum()

    def share(cells: Counts) -> Estimate:
        return _estimate((once @ cells / total)[0], draws @ cells / total)

    only_left = int(posts @ (graded.left_right * (1 - graded.right_right)))
    only_right = int(posts @ (graded.right_right * (1 - graded.left_right)))
    return Truth(
        posts=int(total),
        left_accuracy=share(graded.left_right),
        right_accuracy=share(graded.right_right),
        accuracy_change=share(graded.right_right - graded.left_right),
        only_left_right=only_left,
        only_right_right=only_right,
        p=mcnemar(only_right, only_left),
        left_ece=_estimate(left_ece[0], left_draws),
        right_ece=_estimate(right_ece[0], right_draws),
        ece_change=_estimate(right_ece[0] - left_ece[0], right_draws - left_draws),
        left_reliability=_reliability(posts, graded.left_bin, graded.left_right, graded.left_confidence),
        right_reliability=_reliability(posts, graded.right_bin, graded.right_right, graded.right_confidence),
    )


def _estimate(value: float, figures: Figures) -> Estimate:
    low, high = Bootstrap.interval(figures)
    return Estimate(value=float(value), low=low, high=high)


def _errors(graded: Graded, side: str, draws: Counts) -> Figures:
    """Expected calibration error: the gap between confidence and accuracy, bin by bin, weighted by posts.

    Args:
        graded: the cells.
        side: whose.
        draws: [resamples, cells] posts.

    Returns:
        [resamples]
    """
    place = graded.left_bin if side == "left" else graded.right_bin
    right = graded.left_right if side == "left" else graded.right_right
    confidence = graded.left_confidence if side == "left" else graded.right_confidence
    # How much a post of a cell adds to the gap of its bin, on average.
    gap = right - confidence / graded.posts
    by_bin = np.zeros((len(place), BINS))
    by_bin[np.arange(len(place)), place] = gap
    errors: Figures = np.abs(draws @ by_bin).sum(1) / draws.sum(1)
    return errors


def _reliability(posts: Counts, place: Counts, right: Counts, confidence: Figures) -> list[ReliabilityBin]:
    counts = np.bincount(place, posts, BINS)
    hits = np.bincount(place, posts * right, BINS)
    sums = np.bincount(place, confidence, BINS)
    return [
        ReliabilityBin(
            since=number / BINS,
            until=(number + 1) / BINS,
            posts=int(counts[number]),
            confidence=sums[number] / counts[number],
            accuracy=hits[number] / counts[number],
        )
        for number in range(BINS)
        if counts[number]
    ]
