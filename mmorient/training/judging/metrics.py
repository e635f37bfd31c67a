"""Measures of a classifier, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Posts whose answers are about equally sure.

    Attributes:
        confidence: Mean probability of the most probable class, 0 to 1.
        accuracy: Share of the posts whose most probable class is the true one, 0 to 1.
        posts: How many there are, at least one.
        weight: For how many they count.
    """

    confidence: float
    accuracy: float
    posts: int
    weight: float


def recalls(truth: Labels, answer: Labels, classes: int) -> NDArray[np.float64]:
    """Recall of each class; of a class that never occurs, 0."""
    return np.array(
        [np.mean(answer[truth == label] == label) if (truth == label).any() else 0.0 for label in range(classes)]
    )


def precisions(truth: Labels, answer: Labels, classes: int) -> NDArray[np.float64]:
    """Precision of each class; of a class that is never said, 0."""
    return recalls(answer, truth, classes)


def confusion(truth: Labels, answer: Labels, classes: int) -> NDArray[np.int64]:
    """How many posts of class i were called j: ``[i, j]``."""
    return np.bincount(truth * classes + answer, minlength=classes**2).reshape(classes, classes)


def f1_scores(truth: Labels, answer: Labels, classes: int) -> NDArray[np.float64]:
    """F1 of each class, 0 where it is neither there nor said."""
    scores = []
    for label in range(classes):
        both = np.sum((truth == label) & (answer == label))
        either = np.sum(truth == label) + np.sum(answer == label)
        scores.append(2 * both / either if either else 0.0)
    return np.array(scores)


def macro_f1(truth: Labels, answer: Labels, classes: int) -> float:
    """Mean F1 over the classes that occur: of one that never does, nothing can be said."""
    return float(f1_scores(truth, answer, classes)[_occurring(truth, classes)].mean())


def macro_recall(truth: Labels, answer: Labels, classes: int) -> float:
    """Mean recall over the classes that occur."""
    return float(recalls(truth, answer, classes)[_occurring(truth, classes)].mean())


def _occurring(truth: Labels, classes: int) -> NDArray[np.int64]:
    return np.flatnonzero(np.bincount(truth, minlength=classes))


def reliability_bins(
    truth: Labels, probabilities: NDArray[np.float64], bins: int = 15, weights: NDArray[np.float64] | None = None
) -> list[Bin]:
    """Posts by the probability of their most probable class; bins of equal width, the empty ones left out.

    Args:
        truth: ``[n]``.
        probabilities: ``[n, classes]``.
        bins: Into how many the range from 0 to 1 is cut.
        weights: ``[n]``, for how many posts each counts; 1 by default.
    """
    counted = np.ones(len(truth)) if weights is None else weights
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    posts = np.bincount(place, minlength=bins)
    mass, sure, hits = (
        np.bincount(place, weights=values, minlength=bins)
        for values in (counted, confidence * counted, right * counted)
    )
    return [
        Bin(float(sure[one] / mass[one]), float(hits[one] / mass[one]), int(posts[one]), float(mass[one]))
        for one in mass.nonzero()[0]
    ]


def calibration_error(
    truth: Labels,
    probabilities: NDArray[np.float64],
    bins: int = 15,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Expected calibration error of the most probable class: the mean gap of confidence and accuracy over bins."""
    filled = reliability_bins(truth, probabilities, bins, weights)
    total = sum(one.weight for one in filled)
    return sum(one.weight * abs(one.confidence - one.accuracy) for one in filled) / total


def share_weights(truth: Labels, shares: Sequence[float] | None, sources: Sequence[str]) -> NDArray[np.float64]:
    """For how many posts each counts, so that each set has the classes in these shares and all sets count alike.

    A set that lacks classes has the others in their proportion; one of a single class stays as it is.

    Args:
        truth: ``[n]``.
        shares: Of each class; None leaves a set's own.
        sources: The set that each post is of.

    Returns:
        ``[n]``, of mean 1.
    """
    names = np.array(sources)
    weights = np.ones(len(truth))
    sets = list(dict.fromkeys(sources))
    for name in sets:
        own = names == name
        seen = np.bincount(truth[own], minlength=0 if shares is None else len(shares))
        if shares is not None and np.count_nonzero(seen) > 1:
            wanted = np.where(seen > 0, np.array(shares), 0.0)
            by_class = wanted / wanted.sum() * own.sum() / np.maximum(seen, 1)
            weights[own] = by_class[truth[own]]
        weights[own] *= len(truth) / (len(sets) * own.sum())
    return weights
