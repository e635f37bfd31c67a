"""Real workers in the place of kwok's pods, scaled by a real KEDA: no post is lost, none is labelled twice."""

import asyncio
from pathlib import Path

import pytest

from deploy.simulation.hpa import Policy, Rules
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.live import MIN, live
from tests.kubernetes.spike import DEVICE, FACTOR, MEAN, PARTITIONS, SETTINGS, THRESHOLD, arrivals
from tests.worker.system import Servers
from worker.commands.stack.stack import Stack

pytestmark = pytest.mark.timeout(900)


async def test_nothing_is_lost_or_doubled_as_workers_come_and_go(
    keda: Cluster,
    stack: Stack,
    namespace: str,
    tmp_path: Path,
) -> None:
    """A tenfold spike starts workers, its end stops them one by one, then all are rolled while posts come: each post
    has one label of each task.
    """
    down = Rules(0, (Policy("Pods", 1, 15),))
    endpoints = stack.status()
    async with live(
        keda,
        Servers(endpoints.kafka or "", endpoints.redis or ""),
        namespace,
        tmp_path,
        module="bench.simulated_worker",
        changed=DEVICE,
        start_seconds=0.0,
        partitions=PARTITIONS,
        threshold=THRESHOLD,
        down=down,
    ) as lab:
        await lab.start(**SETTINGS)
        async with lab.watched():
            await lab.write(arrivals([(10, MEAN), (60, FACTOR * MEAN)]))
            most = max(wanted for _, _, wanted, _ in lab.seen)
            assert most > MIN
            await lab.until(lambda: lab.seen[-1][2] == MIN, 300, "two workers again")
            writing = asyncio.create_task(lab.write(arrivals([(60, MEAN)], seed=2)))
            await lab.roll()
            await writing
        counted = await lab.lost_and_doubled(120)
    assert counted["posts"] > 100
    assert (counted["lost"], counted["doubled"], counted["dead_letters"]) == (0, 0, 0)
    ended = [what for _, _, what in lab.kubelet.events if what.startswith("ended")]
    assert len(ended) >= most
    assert set(ended) == {"ended with 0"}
