"""The measured figures that the simulation starts from: `measured.toml`, which says what gave each."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

MEASURED = Path(__file__).with_name("measured.toml")


@dataclass(frozen=True)
class Figures:
    """One worker and what it lives with.

    Args:
        posts_per_second: labelled by one worker that never waits.
        latency_seconds: from a post's arrival to its labels when nothing is behind.
        start_seconds: from the process's start to its part in the group.
        drain_seconds: from SIGTERM to the process's end.
        rebalance_seconds: pause of all partitions when a worker joins or has left.
        resume_seconds: from a dead broker's return to the first labels.
        fetch_posts: posts that one fetch of a partition holds, of one with much behind.
        session_timeout_seconds: that the partitions of a worker wait which did not leave the group.
        cpu_idle, cpu_flat_out: use of the processors as a share of the request, beside no posts and without a rest.
        schedule_seconds: from a pod's creation to its process's start.
    """

    posts_per_second: float
    latency_seconds: float
    start_seconds: float
    drain_seconds: float
    rebalance_seconds: float
    resume_seconds: float
    fetch_posts: float
    session_timeout_seconds: float
    cpu_idle: float
    cpu_flat_out: float
    schedule_seconds: float

    @classmethod
    def load(cls, path: Path = MEASURED) -> Self:
        """Read the file.

        Raises:
            KeyError: a figure is missing.
        """
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(**{field.name: float(entries[field.name]["value"]) for field in fields(cls)})
