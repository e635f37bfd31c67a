"""Real workers behind a real KEDA through a tenfold spike, beside the simulation.

    python -m tests.kubernetes.spike deploy/simulation/spike.json deploy/simulation/pictures/spike
    python -m tests.kubernetes.spike --pretend-keda …      the simulation's KEDA and autoscaler, where none is built

A pod of the cluster is a `moderate run` on this machine (`processes.py`), whose model only takes time
(`bench/simulated_worker.py`), so that twelve of them fit on two cores. Kafka, Redis, KEDA, the autoscaler and all
controllers are real. Afterwards the workers are rolled under load, and every label is counted. The simulation is given
the same posts, the measured speed of one worker, and how long each start and a drain took.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from deploy.simulation.figures import Figures
from deploy.simulation.hpa import SYNC_SECONDS, Autoscaler, Policy, Rules
from deploy.simulation.keda import Trigger
from deploy.simulation.load import Array, Load, shares
from deploy.simulation.outcome import lag_posts, lag_seconds, outcome
from deploy.simulation.settings import UP, Settings, threshold
from deploy.simulation.simulate import Run, run
from tests.kubernetes.cluster import running
from tests.kubernetes.keda import start_keda
from tests.kubernetes.live import MIN, Live, live
from tests.kubernetes.plane import Plane
from tests.kubernetes.pretended import PretendedCluster
from tests.kubernetes.programs import version
from tests.worker.system import Servers
from worker.commands.stack.stack import Stack

PARTITIONS = 12
# A worker's speed is 5 posts a second: 0.8 workers' worth, and 8 in the spike.
MEAN, FACTOR = 4.0, 10.0
SECONDS_A_POST = 0.2
CALM, SPIKE, AFTER = 60, 180, 420
ROLL = 120
# Shorter than what is shipped, so that the way down takes minutes.
DOWN = Rules(60, (Policy("Pods", 1, 30),))
# Ten seconds of work, as shipped.
THRESHOLD = threshold(1 / SECONDS_A_POST, 10.0)
TRIGGER = Trigger(THRESHOLD, polling_seconds=15, limit_to_partitions_with_lag=True)
# As many posts at once as take about a second.
SETTINGS = {"BATCH__MAX_POSTS": "4", "BATCH__MAX_CALL_TOKENS": "4096", "BATCH__MAX_CALL_PICTURES": "8"}
DEVICE = {"SIMULATED_DEVICE": json.dumps({"call": 0, "token": 0, "picture": 0, "post": SECONDS_A_POST})}


def arrivals(rates: list[tuple[int, float]], partitions: int = PARTITIONS, seed: int = 1) -> Array:
    """Return [t, p] posts: few authors write much, as in the simulation.

    Args:
        rates: for so many seconds so many posts a second.
        partitions: of the topic.
        seed: of what is left to chance.
    """
    rate = np.concatenate([np.full(seconds, posts) for seconds, posts in rates])
    generator = np.random.default_rng(seed)
    return generator.poisson(rate[:, None] * np.array(shares(partitions))).astype(np.float64)


def as_run(lab: Live, seconds: int, baseline: list[int], disturbed: tuple[int, int]) -> Run:
    """Return what was seen in the simulation's form, so that its figures are computed in the same way."""
    came = np.zeros((seconds, lab.partitions))
    for at, partition in lab.written:
        came[min(seconds - 1, int(at)), partition] += 1
    times = np.array([at for at, *_ in lab.seen])
    # What was seen last before each second's end.
    last = np.maximum(0, np.searchsorted(times, np.arange(1, seconds + 1), side="right") - 1)
    done = np.array([offsets for _, offsets, *_ in lab.seen], dtype=np.float64)[last] - np.array(baseline)
    pods = np.array([pods for *_, pods in lab.seen])[last]
    load = Load("tenfold spike", came, np.zeros(seconds, dtype=np.bool_), disturbed)
    return Run(load, Settings("real", lab.partitions, MIN, lab.partitions), np.maximum(0.0, done), pods, 0)


def simulated(real: Run, figures: Figures, first_change: float, starts: Sequence[float]) -> Run:
    """Return the simulation of the same posts.

    Args:
        real: what was seen.
        figures: of the workers.
        first_change: second in which more workers were first asked for, which gives the phase of the rounds.
        starts: seconds beyond the figures' that each start took.
    """
    partitions = real.load.partitions
    settings = Settings(
        "simulated",
        partitions,
        MIN,
        partitions,
        metric="lag",
        trigger=TRIGGER,
        up=UP,
        down=DOWN,
        leave_on_stop=True,
        sticky=True,
    )
    return run(real.load, settings, figures, asks_at=int(first_change) % SYNC_SECONDS, starts=starts)


async def spike(lab: Live, record: dict[str, Any]) -> Run:
    """Run the spike, then a roll under load; fill the record, and return the spike as it was."""
    record["posts_per_second_one_worker"] = round(await lab.start(**SETTINGS), 2)
    baseline = [sum(p == partition for p, _ in lab.fed) for partition in range(lab.partitions)]
    seconds = CALM + SPIKE + AFTER
    async with lab.watched():
        await lab.write(arrivals([(CALM, MEAN), (SPIKE, FACTOR * MEAN), (AFTER, MEAN)]))
        record["start_seconds"] = lab.took("created", "ready")
        record["drain_seconds"] = lab.took("told to end", "ended")
        real = as_run(lab, seconds, baseline, (CALM, CALM + SPIKE))
        record["seen"] = [(round(at, 1), wanted, pods) for at, _, wanted, pods in lab.seen]
        writing = asyncio.create_task(lab.write(arrivals([(ROLL, MEAN)], seed=2)))
        await lab.roll()
        await writing
    record["counted"] = await lab.lost_and_doubled(120)
    record["events"] = [(round(at - lab.began, 1), name, what) for at, name, what in lab.kubelet.events]
    return real


def compare(real: Run, record: dict[str, Any]) -> Run:
    """Simulate what was seen, and note both outcomes."""
    # Of the two first workers nobody is waiting.
    starts = record["start_seconds"][MIN:]
    figures = replace(
        Figures.load(),
        posts_per_second=record["posts_per_second_one_worker"],
        schedule_seconds=0.0,
        start_seconds=min(starts),
        drain_seconds=statistics.median(record["drain_seconds"]),
        # A worker labels what is there of all its partitions together, a batch at a time.
        fetch_posts=float(SETTINGS["BATCH__MAX_POSTS"]),
    )
    first = next(at for at, wanted, _ in record["seen"] if wanted > MIN)
    alike = simulated(real, figures, first, [seconds - min(starts) for seconds in starts])
    record["real"], record["simulated"] = asdict(outcome(real)), asdict(outcome(alike))
    # Nobody counted those.
    del record["real"]["rebalances"]
    return alike


def draw(real: Run, alike: Run, path: Path) -> None:
    """Draw both as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (posts, late, count) = plt.subplots(3, 1, figsize=(9.0, 6.6), layout="constrained", sharex=True)
    for one, name, color, style in ((real, "real", "#d55e00", "-"), (alike, "simulated", "#0072b2", "--")):
        posts.plot(lag_posts(one), color=color, linestyle=style, label=name)
        late.plot(lag_seconds(one).max(axis=1), color=color, linestyle=style, label=name)
        count.step(range(one.load.seconds), one.replicas, where="post", color=color, linestyle=style, label=name)
    posts.set_ylabel("posts behind")
    late.set_ylabel("slowest partition, s")
    count.set(xlabel="seconds", ylabel="pods", ylim=(0, PARTITIONS + 1), xlim=(0, real.load.seconds))
    for axes in (posts, late, count):
        axes.axvspan(*real.load.disturbed, color="#999999", alpha=0.15, linewidth=0)
        axes.legend(frameon=False)
        axes.grid(alpha=0.25)
    figure.savefig(path.with_suffix(".png"), dpi=90)
    figure.savefig(path.with_suffix(".svg"))


async def measure(plane: Plane, servers: Servers, folder: Path, record: dict[str, Any]) -> Run:
    """Run all of it on a cluster with KEDA, or on what stands for them."""
    async with live(
        plane,
        servers,
        "spike",
        folder,
        module="bench.simulated_worker",
        changed=DEVICE,
        start_seconds=Figures.load().schedule_seconds,
        partitions=PARTITIONS,
        threshold=THRESHOLD,
        down=DOWN,
    ) as lab:
        if not isinstance(plane, PretendedCluster):
            return await spike(lab, record)
        asking = threading.Thread(target=plane.ask, args=(lab.lags,))
        asking.start()
        try:
            return await spike(lab, record)
        finally:
            plane.end()
            asking.join()


def scaled(servers: Servers, folder: Path, record: dict[str, Any], *, pretend: bool) -> Run:
    """Run it on a new cluster with KEDA, or on what stands for both.

    Args:
        servers: where topics and cache are.
        folder: for the cluster and for logs.
        record: to be filled.
        pretend: whether the simulation's KEDA stands for the real one.
    """
    if pretend:
        record["keda"] = "the simulation's"
        plane = PretendedCluster(Autoscaler(MIN, PARTITIONS, UP, DOWN), TRIGGER)
        return asyncio.run(measure(plane, servers, folder, record))
    record["kubernetes"] = version("cluster", "k8s.io/kubernetes")
    record["keda"] = version("keda", "github.com/kedacore/keda/v2")
    (folder / "cluster").mkdir()
    with running(folder / "cluster") as cluster:
        start_keda(cluster)
        cluster.kubectl("create", "namespace", "spike")
        return asyncio.run(measure(cluster, servers, folder, record))


def main() -> None:
    """Run it, and write record and pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("record", type=Path, help="JSON file to write")
    parser.add_argument("picture", type=Path, help="PNG and SVG to write, without their endings")
    parser.add_argument("--pretend-keda", action="store_true", help="the simulation's in the place of a real one")
    args = parser.parse_args()
    record: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average_before": round(os.getloadavg()[0], 1),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = Stack(folder / "stack")
        try:
            endpoints = stack.up()
            servers = Servers(endpoints.kafka or "", endpoints.redis or "")
            real = scaled(servers, folder, record, pretend=args.pretend_keda)
        finally:
            stack.down()
    record["load_average_after"] = round(os.getloadavg()[0], 1)
    alike = compare(real, record)
    record["lag_posts"] = {
        one.settings.name: [round(float(each), 1) for each in lag_posts(one)] for one in (real, alike)
    }
    args.record.write_text(json.dumps(record) + "\n", encoding="utf-8")
    draw(real, alike, args.picture)
    print(json.dumps({name: record[name] for name in ("real", "simulated", "counted")}, indent=1))


if __name__ == "__main__":
    main()
