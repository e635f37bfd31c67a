"""What arrives: posts a second and partition, and when the broker is dead."""

import math
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DAY_SECONDS = 86_400
Array = NDArray[np.float64]

# Authors by how much they write, Zipf's law; the busiest of these writes 3 % of all posts.
_AUTHORS = 20_000
_EXPONENT = 0.8
# Slow noise upon the rate: its spread, and how long it remembers.
_NOISE = 0.12
_NOISE_SECONDS = 300


@dataclass(frozen=True)
class Load:
    """A stretch of time on the posts' topic.

    Args:
        name: of the scenario.
        arrivals: [t, p] posts written in each second to each partition.
        dead: [t] whether the broker answers nobody.
        disturbed: first and last second of what the scenario is about; the whole day's for a wave.
    """

    name: str
    arrivals: Array
    dead: NDArray[np.bool_]
    disturbed: tuple[int, int]

    @property
    def seconds(self) -> int:
        """Length."""
        return len(self.arrivals)

    @property
    def partitions(self) -> int:
        """Partitions of the topic."""
        return int(self.arrivals.shape[1])


@lru_cache
def shares(partitions: int, exponent: float = _EXPONENT) -> tuple[float, ...]:
    """Return the share of the posts that each partition gets: keys are authors, and few write much.

    Args:
        partitions: of the topic.
        exponent: of Zipf's law; 0 makes all authors alike.
    """
    weights = np.arange(1, _AUTHORS + 1, dtype=np.float64) ** -exponent
    owners = np.array([zlib.crc32(f"u-{author}".encode()) % partitions for author in range(_AUTHORS)])
    found = np.bincount(owners, weights / weights.sum(), partitions)
    return tuple(float(share) for share in found)


def wave(mean: float, partitions: int, seed: int, *, days: int = 1, exponent: float = _EXPONENT) -> Load:
    """Return days of a social network: quiet at four in the morning, busiest at eight in the evening.

    Args:
        mean: posts a second.
        partitions: of the topic.
        seed: of what is left to chance.
        days: how many.
        exponent: of the authors' law.
    """
    generator = np.random.default_rng(seed)
    rate = mean * _day_shape(np.arange(days * DAY_SECONDS)) * _noise(generator, days * DAY_SECONDS)
    expected = rate[:, None] * np.array(shares(partitions, exponent))  # [t] * [p] -> [t, p]
    return _load("daily wave", expected, generator, (0, days * DAY_SECONDS))


def spike(mean: float, partitions: int, seed: int, *, factor: float = 10.0, exponent: float = _EXPONENT) -> Load:
    """Return an hour at the mean rate, ten minutes of `factor` times that, and two hours after it.

    Args:
        mean: posts a second.
        partitions: of the topic.
        seed: of what is left to chance.
        factor: height of the spike.
        exponent: of the authors' law.
    """
    generator = np.random.default_rng(seed)
    start, end = 3600, 4200
    rate = mean * _noise(generator, end + 7200)
    rate[start:end] *= factor
    expected = rate[:, None] * np.array(shares(partitions, exponent))
    return _load("tenfold spike", expected, generator, (start, end))


def dead_broker(
    mean: float, partitions: int, seed: int, *, lost: bool = False, minutes: int = 5, exponent: float = _EXPONENT
) -> Load:
    """Return an hour at the mean rate, minutes without a broker, and two hours after it.

    Args:
        mean: posts a second.
        partitions: of the topic.
        seed: of what is left to chance.
        lost: whether the producers drop what they cannot write; else they write it within a minute of the return.
        minutes: without a broker.
        exponent: of the authors' law.
    """
    generator = np.random.default_rng(seed)
    start, end = 3600, 3600 + 60 * minutes
    rate = mean * _noise(generator, end + 7200)
    withheld = rate[start:end].sum()
    rate[start:end] = 0.0
    if not lost:
        rate[end : end + 60] += withheld / 60
    expected = rate[:, None] * np.array(shares(partitions, exponent))
    load = _load("dead broker", expected, generator, (start, end))
    load.dead[start:end] = True
    return load


def _day_shape(second: NDArray[np.int64]) -> Array:
    """Return the rate at a second of the day over its mean, from 0.3 to 1.6."""
    hour = 2 * math.pi * second / DAY_SECONDS
    evening = 2 * math.pi * 20 / 24
    return np.asarray(1.0 + 0.6 * np.cos(hour - evening + 0.5) + 0.15 * np.cos(2 * (hour - evening)))


def _noise(generator: np.random.Generator, seconds: int) -> Array:
    """Return a slow random factor around one."""
    points = seconds // 60 + 2
    steps = generator.normal(size=points)
    keep = math.exp(-60 / _NOISE_SECONDS)
    values = np.empty(points)
    value = 0.0
    for point in range(points):
        value = keep * value + math.sqrt(1 - keep * keep) * steps[point]
        values[point] = value
    return np.asarray(np.exp(_NOISE * np.interp(np.arange(seconds) / 60, np.arange(points), values)))


def _load(name: str, expected: Array, generator: np.random.Generator, disturbed: tuple[int, int]) -> Load:
    arrivals = generator.poisson(expected).astype(np.float64)
    return Load(name, arrivals, np.zeros(len(expected), dtype=np.bool_), disturbed)
