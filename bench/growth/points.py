"""What is measured: each axis changes one thing and leaves the rest as it is at the origin."""

from dataclasses import dataclass, field

from bench.growth.posts import Kind

HELD_OUT = "mixed"
"""The axis that no model is fitted on."""


@dataclass(frozen=True)
class Point:
    """One set of circumstances.

    Args:
        axis: what it belongs to.
        at: where on it.
        partitions: of the topic.
        workers: processes, each with a device of its own.
        redis: whether there is a cache beyond the process.
        kind: of the posts.
    """

    axis: str
    at: float
    partitions: int = 16
    workers: int = 1
    redis: bool = True
    kind: Kind = field(default_factory=Kind)

    @property
    def fleet(self) -> tuple[int, int, bool]:
        """What the workers are told: points that have it in common can share them."""
        return self.partitions, self.workers, self.redis


POINTS = (
    *(Point("partitions", at, partitions=at) for at in (1, 4, 16, 64, 256)),
    *(Point("workers", at, workers=at) for at in (1, 2, 4, 8)),
    *(Point("words", at, kind=Kind(words=at)) for at in (5, 12, 50, 200)),
    *(Point("pictures", at, kind=Kind(pictures=at)) for at in (0.0, 0.1, 0.3, 1.0)),
    *(Point("reposts", at, kind=Kind(reposts=at)) for at in (0.0, 0.5, 0.9, 0.99)),
    *(Point("redis", float(at), redis=at) for at in (True, False)),
    Point(HELD_OUT, 1, kind=Kind(words=30, pictures=0.05, reposts=0.5)),
    Point(HELD_OUT, 2, kind=Kind(words=80, pictures=0.2)),
    Point(HELD_OUT, 3, partitions=32, kind=Kind(words=20, reposts=0.7)),
)
