"""The model: what a post costs the processors, linear in what the post is and in how many share a transaction.

A worker's processor time of a post, in µs, is

    base + text · characters / 100 + picture · pictures + new · (1 - reposts) + transaction / posts a transaction

and the broker's and Redis's likewise, of the terms that they have. A transaction that has a picture among its posts
takes the broker more than its bytes say. A process gives `busy` of a core to that: the rest
it waits, for the broker and the device. Pictures are decoded in processes of their own beside it, so their term has a
share of its own, `beside`. Fitted by least squares of relative errors; no term is negative.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.growth.points import HELD_OUT

TERMS = {
    "processor_us": ("base", "text", "picture", "new", "transaction"),
    "broker_us": ("base", "text", "picture", "transaction", "with_picture"),
    "redis_us": ("base", "new"),
}
"""What each figure is made of."""


@dataclass(frozen=True)
class Mix:
    """What the mean post is like.

    Args:
        characters: of its text.
        pictures: new ones in it.
        reposts: share of posts whose text was seen before.
        posts_a_transaction: that are committed together.
    """

    characters: float
    pictures: float
    reposts: float
    posts_a_transaction: float

    def terms(self) -> dict[str, float]:
        """Return how much of each term it has."""
        return {
            "base": 1.0,
            "text": self.characters / 100,
            "picture": self.pictures,
            "new": 1 - self.reposts,
            "transaction": 1 / self.posts_a_transaction,
            # As many of its transactions as have a picture among their posts.
            "with_picture": (1 - (1 - min(1.0, self.pictures)) ** self.posts_a_transaction) / self.posts_a_transaction,
        }


@dataclass(frozen=True)
class Fitted:
    """The model.

    Args:
        weights: µs of each term, by figure.
        busy: share of a core that a process gives to posts when it has all it can do.
        beside: cores that it and those beside it give to pictures.
    """

    weights: Mapping[str, Mapping[str, float]]
    busy: float
    beside: float

    def cost_us(self, figure: str, mix: Mix) -> float:
        """Return the processor time of a post."""
        terms = mix.terms()
        return sum(weight * terms[name] for name, weight in self.weights[figure].items())

    def rate(self, mix: Mix) -> float:
        """Return the posts a second of one process."""
        pictures = self.weights["processor_us"]["picture"] * mix.pictures
        return 1e6 / ((self.cost_us("processor_us", mix) - pictures) / self.busy + pictures / self.beside)


@dataclass(frozen=True)
class Miss:
    """What the model says of a turn that it was not fitted on, beside what was measured."""

    axis: str
    at: float
    figure: str
    said: float
    measured: float

    @property
    def error(self) -> float:
        """Relative to what was measured."""
        return self.said / self.measured - 1


def mix_of(turn: Mapping[str, float]) -> Mix:
    """Return what the posts of a turn were like."""
    return Mix(turn["characters"], turn["pictures"], turn["reposts"], turn["posts_a_transaction"])


def fit(growth: Mapping[str, Any]) -> Fitted:
    """Fit the model to all points with one worker and a Redis but those that are held out.

    Raises:
        ValueError: there are fewer turns than terms.
    """
    turns = [turn for point in _points(growth) if point["axis"] != HELD_OUT for turn in point["turns"]]
    if len(turns) < len(TERMS["processor_us"]):
        raise ValueError(f"{len(turns)} turns cannot be fitted")
    weights = {figure: _weights(turns, figure, terms) for figure, terms in TERMS.items()}
    # Where partitions or a device are too few, it is them that limit a process.
    full = [turn for point in _points(growth) if point["axis"] != HELD_OUT and point["partitions"] >= 4
            for turn in point["turns"]]  # fmt: skip
    alone = [turn for turn in full if not turn["pictures"]]
    busy = statistics.median(turn["posts_a_second"] * turn["processor_us"] / 1e6 for turn in alone)
    return Fitted(weights, busy, _beside(weights["processor_us"], busy, full))


def _beside(weights: Mapping[str, float], busy: float, turns: Sequence[Mapping[str, float]]) -> float:
    """Return the cores that pictures are given: what is left of a post's time when the rest of it is taken away."""
    found = []
    for turn in turns:
        pictures = weights["picture"] * turn["pictures"]
        left = 1e6 / turn["posts_a_second"] - max(0.0, turn["processor_us"] - pictures) / busy
        if pictures and left > 0:
            found.append(pictures / left)
    return statistics.median(found) if found else busy


def misses(growth: Mapping[str, Any], model: Fitted) -> list[Miss]:
    """Return what the model says of the points that it was not fitted on: medians of their turns."""
    found = []
    for point in _points(growth):
        if point["axis"] == HELD_OUT:
            turn = {name: statistics.median(one[name] for one in point["turns"]) for name in point["turns"][0]}
            said = {
                "processor_us": model.cost_us("processor_us", mix_of(turn)),
                "broker_us": model.cost_us("broker_us", mix_of(turn)),
                "posts_a_second": model.rate(mix_of(turn)),
            }
            found += [Miss(point["axis"], point["at"], name, value, turn[name]) for name, value in said.items()]
    return found


def _points(growth: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    points = growth.get("points", ())
    return [one for one in points if "turns" in one and one["workers"] == 1 and one["redis"]]


def _weights(turns: Sequence[Mapping[str, float]], figure: str, terms: Sequence[str]) -> dict[str, float]:
    """Return the weights of least relative squares; a term that would be negative is left out."""
    wanted = [turn for turn in turns if turn[figure] > 0]
    left = list(terms)
    while left:
        rows = np.array([[mix_of(turn).terms()[name] / turn[figure] for name in left] for turn in wanted])
        found, *_ = np.linalg.lstsq(rows, np.ones(len(wanted)), rcond=None)
        if found.min() >= 0:
            break
        left.pop(int(found.argmin()))
    else:
        return dict.fromkeys(terms, 0.0)
    return dict.fromkeys(terms, 0.0) | dict(zip(left, map(float, found), strict=True))
