"""Measures of a classifier, in numpy."""

from __future__ import annotations

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
    """

    confidence: float
    accuracy: float
    posts: int


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
    """Mean F1 over the classes."""
    return float(f1_scores(truth, answer, classes).mean())


def macro_recall(truth: Labels, answer: Labels, classes: int) -> float:
    """Mean recall over the classes."""
    return float(recalls(truth, answer, classes).mean())


def reliability_bins(truth: Labels, probabilities: NDArray[np.float64], bins: int = 15) -> list[Bin]:
    """Posts by the probability of their most probable class; bins of equal width, the empty ones left out.

    Args:
        truth: ``[n]``.
        probabilities: ``[n, classes]``.
        bins: Into how many the range from 0 to 1 is cut.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    posts = np.bincount(place, minlength=bins)
    sure, hits = (np.bincount(place, weights=values, minlength=bins) for values in (confidence, right))
    return [
        Bin(float(sure[one] / posts[one]), float(hits[one] / posts[one]), int(posts[one])) for one in posts.nonzero()[0]
    ]


def calibration_error(truth: Labels, probabilities: NDArray[np.float64], bins: int = 15) -> float:
    """Expected calibration error of the most probable class: the mean gap of confidence and accuracy over bins."""
    filled = reliability_bins(truth, probabilities, bins)
    return sum(one.posts * abs(one.confidence - one.accuracy) for one in filled) / len(truth)
