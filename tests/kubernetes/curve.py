"""Replicas over time, of a real KEDA and a real autoscaler beside the simulation's, for the same lag.

    python -m tests.kubernetes.curve deploy/simulation/keda.json deploy/simulation/pictures/keda.png

Nobody labels: the lag is a step, which the script commits. So what is compared is what KEDA answers and how the
autoscaler takes its steps, not what workers make of it.
"""

import argparse
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from deploy.simulation.hpa import SYNC_SECONDS, Autoscaler, Policy, Rules, replicas_for_average
from deploy.simulation.keda import capped_lag
from deploy.simulation.settings import UP
from tests.kubernetes.cluster import Cluster, running
from tests.kubernetes.keda import metric, start_keda
from tests.kubernetes.lag import Backlog
from tests.kubernetes.programs import version
from tests.kubernetes.test_keda import SHIPPED, THRESHOLD, apply, replicas
from worker.commands.stack.stack import Stack

_PARTITIONS = 12
_RECORDS = 1000
_MIN = 2
# Seconds from which on each partition is behind by so many posts.
STEPS = ((0, 0), (20, THRESHOLD), (120, 0))
_SECONDS = 330
# Shorter than what is shipped, so that the way down takes minutes (see `apply`).
DOWN = Rules(0, (Policy("Pods", 1, 15),))


def lag_at(second: float) -> list[int]:
    """Return each partition's lag at a second."""
    return [next(lag for start, lag in reversed(STEPS) if start <= second)] * _PARTITIONS


def measure(cluster: Cluster, backlog: Backlog) -> dict[str, Any]:
    """Step the lag and look at the replicas; return [second, replicas] and [second, KEDA's answer]."""
    seen: list[tuple[float, int]] = []
    said: list[tuple[float, float]] = []
    steps = list(STEPS)
    began = time.monotonic()
    while (now := time.monotonic() - began) < _SECONDS:
        if steps and now >= steps[0][0]:
            backlog.leave([steps.pop(0)[1]] * _PARTITIONS)
        seen.append((round(now, 1), replicas(cluster, backlog.name)))
        said.append((round(now, 1), metric(cluster, backlog.name)))
        time.sleep(1)
    return {"replicas": seen, "answers": said}


def simulated(first_change: float) -> list[int]:
    """Return the simulation's replicas in each second.

    Args:
        first_change: second in which the real autoscaler first asked for more, which gives the phase of its rounds.
    """
    autoscaler = Autoscaler(_MIN, _PARTITIONS, UP, DOWN)
    now, found = _MIN, []
    for second in range(_SECONDS):
        if second % SYNC_SECONDS == int(first_change) % SYNC_SECONDS:
            value = capped_lag(lag_at(second), SHIPPED)
            now = autoscaler.scale(second, now, replicas_for_average(value, THRESHOLD, now))
        found.append(now)
    return found


def draw(record: dict[str, Any], path: Path) -> None:
    """Draw both curves."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (lag, count) = plt.subplots(2, 1, figsize=(9.0, 4.6), layout="constrained", sharex=True)
    lag.step(range(_SECONDS), [sum(lag_at(second)) for second in range(_SECONDS)], where="post", color="#333333")
    lag.plot(*zip(*record["answers"], strict=True), ".", color="#d55e00", markersize=3, label="KEDA's answer")
    lag.set_ylabel("posts behind")
    count.step(*zip(*record["replicas"], strict=True), where="post", color="#d55e00", label="real")
    count.step(range(_SECONDS), record["simulated"], where="post", color="#0072b2", linestyle="--", label="simulated")
    count.set(xlabel="seconds", ylabel="replicas", ylim=(0, _PARTITIONS + 1), xlim=(0, _SECONDS))
    for axes in (lag, count):
        axes.legend(frameon=False)
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Run it, and write record and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("record", type=Path, help="JSON file to write")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cluster").mkdir()
        stack = Stack(Path(folder) / "stack")
        try:
            address = stack.brokers_up()
            with running(Path(folder) / "cluster") as cluster:
                start_keda(cluster)
                cluster.kubectl("create", "namespace", "curve")
                backlog = Backlog(address, "curve", _PARTITIONS, _RECORDS)
                backlog.write()
                backlog.leave([0] * _PARTITIONS)
                apply(cluster, backlog)
                cluster.wait_for(lambda: replicas(cluster, "curve") == _MIN, 180, "two workers")
                # An autoscaler counts a change as one of the last minute.
                time.sleep(60)
                record = measure(cluster, backlog)
        finally:
            stack.down()
    first = next(second for second, count in record["replicas"] if count > _MIN)
    real = [count for second, count in record["replicas"]]
    at = [min(_SECONDS - 1, int(second)) for second, _ in record["replicas"]]
    record["simulated"] = simulated(first)
    there = np.array(record["simulated"])[at]
    record |= {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "kubernetes": version("cluster", "k8s.io/kubernetes"),
        "keda": version("keda", "github.com/kedacore/keda/v2"),
        "load_average": round(os.getloadavg()[0], 1),
        "mean_difference": round(float(np.abs(there - real).mean()), 2),
        "replica_seconds_ratio": round(float(there.sum() / np.sum(real)), 3),
    }
    args.record.write_text(json.dumps(record) + "\n", encoding="utf-8")
    draw(record, args.picture)


if __name__ == "__main__":
    main()
