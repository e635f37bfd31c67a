"""Real workers in the place of kwok's pods, scaled by a real KEDA: no post is lost, none is labelled twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from deploy.simulation.hpa import Policy, Rules
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.live import MIN, Live, live
from tests.kubernetes.spike import DEVICE, FACTOR, MEAN, PARTITIONS, SETTINGS, THRESHOLD, arrivals
from tests.worker.system import Servers
from worker.commands.stack.stack import Stack

pytestmark = pytest.mark.timeout(900)

_CLEAN = {"lost": 0, "doubled": 0, "dead_letters": 0}
_DOWN = Rules(0, (Policy("Pods", 1, 15),))
# Twelve workers' worth, of one partition.
_STUCK_POSTS = 12 * THRESHOLD


@pytest.fixture
async def lab(keda: Cluster, stack: Stack, namespace: str, tmp_path: Path) -> AsyncIterator[Live]:
    """Give two workers of the namespace that have labelled some posts."""
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
        down=_DOWN,
    ) as lab:
        await lab.start(**SETTINGS)
        yield lab


async def test_nothing_is_lost_or_doubled_as_workers_come_and_go(lab: Live) -> None:
    """A tenfold spike starts workers, its end stops them one by one, then all are rolled while posts come: each post
    has one label of each task.
    """
    async with lab.watched():
        await lab.write(arrivals([(10, MEAN), (60, FACTOR * MEAN)]))
        most = max(wanted for _, _, wanted, _ in lab.seen)
        assert most > MIN
        await lab.until(lambda: lab.seen[-1][2] == MIN, 300, "two workers again")
        writing = asyncio.create_task(lab.write(arrivals([(60, MEAN)], seed=2)))
        await lab.roll()
        await writing
    counted = await lab.lost_and_doubled(120)
    assert counted["labels"] == 3 * counted["posts"] > 1000
    assert counted.items() >= _CLEAN.items()
    ended = [what for _, _, what in lab.kubelet.events if what.startswith("ended")]
    assert len(ended) >= most
    assert set(ended) == {"ended with 0"}


async def test_a_stuck_partition_does_not_start_all_workers(lab: Live) -> None:
    """A producer that leaves a transaction open holds up its partition, which is twelve workers' worth behind. KEDA
    asks for as many as partitions have any lag, posts that are just being labelled included. Once the transaction ends,
    all is labelled.
    """
    async with lab.watched():
        holding = AIOKafkaProducer(
            bootstrap_servers=lab.stream.servers.kafka, transactional_id=lab.namespace, transaction_timeout_ms=600_000
        )
        await holding.start()
        try:
            await holding.begin_transaction()
            await holding.send_and_wait(lab.stream.posts, b"never", partition=0)
            posts = arrivals([(75, MEAN)])
            posts[0, 0] = _STUCK_POSTS
            await lab.write(posts)
            assert max(wanted for _, _, wanted, _ in lab.seen) < PARTITIONS
            assert lab.lags()[0] >= _STUCK_POSTS
            await holding.abort_transaction()
        finally:
            await holding.stop()
        counted = await lab.lost_and_doubled(300)
    assert counted.items() >= _CLEAN.items()


async def test_a_dead_broker_loses_nothing_and_ends_no_worker(lab: Live, stack: Stack) -> None:
    """While the broker is dead, as many workers stay and wait, for longer than KEDA's `fallback` to four would take;
    what was written meanwhile is labelled afterwards.
    """
    async with lab.watched():
        writing = asyncio.create_task(lab.write(arrivals([(110, MEAN)])))
        await asyncio.sleep(10)
        await asyncio.to_thread(stack.kafka.kill)
        try:
            await asyncio.sleep(80)
            assert {wanted for _, _, wanted, _ in lab.seen} == {MIN}
        finally:
            await asyncio.to_thread(stack.kafka.restart)
        await writing
        counted = await lab.lost_and_doubled(240)
    assert counted.items() >= _CLEAN.items()
    # Some may have come for what was written meanwhile, and gone.
    ends = {what for _, _, what in lab.kubelet.events if what.startswith(("died", "ended"))}
    assert ends <= {"ended with 0"}
