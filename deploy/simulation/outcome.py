"""What a run was worth: lag in seconds, recovery, replica hours."""

from dataclasses import dataclass

import numpy as np

from deploy.simulation.load import Array
from deploy.simulation.simulate import Run

# Labels later than this are late: what the wave's p99 and every recovery are held against.
TARGET_SECONDS = 60.0
# How long nothing may be late before the recovery counts as over.
CALM_SECONDS = 300


@dataclass(frozen=True)
class Outcome:
    """Figures of a run.

    Args:
        p50, p99, longest: lag in seconds of the partition that is furthest behind, over the seconds of the run.
        late_share: share of the posts that were labelled later than the target.
        recovery_seconds: from the end of the disturbance until no partition is over the target for five minutes;
            infinite where the run ends before.
        replica_hours: paid.
        rebalances: pauses of all partitions.
    """

    p50: float
    p99: float
    longest: float
    late_share: float
    recovery_seconds: float
    replica_hours: float
    rebalances: int


def lag_seconds(run: Run) -> Array:
    """Return how old the oldest post is that waits, in each partition at the end of each second, [t, p]."""
    seconds, partitions = run.done.shape
    now = np.arange(1, seconds + 1, dtype=np.float64)
    ages = np.zeros((seconds, partitions))
    for partition in range(partitions):
        ends = np.cumsum(run.load.arrivals[:, partition])
        # The second in which the first post came that is not done.
        arrived = np.searchsorted(ends, run.done[:, partition] + 1e-6, side="right")
        waits = run.done[:, partition] < ends - 1e-6
        ages[:, partition] = np.where(waits, now - np.minimum(arrived, now - 1), 0.0)
    return ages


def lag_posts(run: Run) -> Array:
    """Return the posts that wait at the end of each second, [t]."""
    return np.asarray((np.cumsum(run.load.arrivals, axis=0) - run.done).sum(axis=1))


def outcome(run: Run) -> Outcome:
    """Return the figures of a run."""
    worst = lag_seconds(run).max(axis=1)
    end = run.load.disturbed[1]
    return Outcome(
        p50=float(np.percentile(worst, 50)),
        p99=float(np.percentile(worst, 99)),
        longest=float(worst.max()),
        late_share=_late_share(run),
        recovery_seconds=_recovery(worst[end:]),
        replica_hours=float(run.replicas.sum()) / 3600,
        rebalances=run.rebalances,
    )


def _recovery(worst: Array) -> float:
    late = np.flatnonzero(worst > TARGET_SECONDS)
    # The seconds between one that is over the target and the next: of none over it, before the first, after the last.
    starts = np.concatenate([[0], late + 1])
    lengths = np.concatenate([late, [len(worst)]]) - starts
    calm = np.flatnonzero(lengths >= min(CALM_SECONDS, max(1, len(worst))))
    return float(starts[calm[0]]) if len(calm) else float("inf")


def _late_share(run: Run) -> float:
    """Return the share of the posts that waited longer than the target; those of the run's last seconds count not."""
    target = int(TARGET_SECONDS)
    ends = np.cumsum(run.load.arrivals, axis=0)
    # What was there `target` seconds ago and is not done now has become late; it counts once, when it is done.
    late = 0.0
    for partition in range(run.load.partitions):
        due = np.concatenate([np.zeros(target), ends[:-target, partition]])
        behind = np.maximum(0.0, due - run.done[:, partition])
        served = np.diff(run.done[:, partition], prepend=0.0)
        late += float(np.minimum(served, np.concatenate([[0.0], behind[:-1]])).sum() + behind[-1])
    return late / max(1.0, float(ends[-1].sum()))
