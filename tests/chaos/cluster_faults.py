"""What is broken where there are several brokers: one of them is killed and comes back, or freezes for a while."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.chaos.plan import Step
from tests.chaos.site import Site
from worker.commands.stack.server import Server
from worker.errors import FatalError

# A broker that was away reads what it missed before it counts as a copy again.
_IN_SYNC_SECONDS = 60.0
_POLL_SECONDS = 0.3


async def _broker_lost(site: Site, step: Step) -> str:
    """Kill one of them; it is over at once, since the others should take over."""
    broker = _picked(site, step)
    await asyncio.to_thread(broker.kill)
    return broker.name


async def _broker_back(site: Site, step: Step) -> str:
    """Start what was killed, and wait until it has all copies, so that the next one may be killed."""
    del step
    away = [broker for broker in site.stack.brokers if broker.pid is None]
    for broker in away:
        await asyncio.to_thread(broker.up, lambda _: None)
    await in_sync(site.kafka, _IN_SYNC_SECONDS)
    return ", ".join(broker.name for broker in away)


async def _broker_frozen(site: Site, step: Step) -> str:
    broker = _picked(site, step)
    broker.pause()
    try:
        await asyncio.sleep(step.seconds)
    finally:
        broker.resume()
    await in_sync(site.kafka, _IN_SYNC_SECONDS)
    return broker.name


CLUSTER_INJECTIONS: dict[str, Callable[[Site, Step], Awaitable[str]]] = {
    "broker-lost": _broker_lost,
    "broker-back": _broker_back,
    "broker-frozen": _broker_frozen,
}


async def in_sync(bootstrap_servers: str, seconds: float) -> None:
    """Wait until every partition has all its copies in sync.

    Raises:
        FatalError: they are not in time.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    behind = -1
    while asyncio.get_running_loop().time() < deadline:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        try:
            await admin.start()
            described = await admin.describe_topics()
            parts = [part for topic in described for part in topic["partitions"]]
            behind = sum(len(part["isr"]) < len(part["replicas"]) or part["leader"] < 0 for part in parts)
        except (KafkaError, OSError):
            behind = -1
        finally:
            await admin.close()
        if behind == 0:
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise FatalError(f"{behind} partitions lack a copy after {seconds:.0f} s")


def _picked(site: Site, step: Step) -> Server:
    brokers = site.stack.brokers
    return brokers[step.pick % len(brokers)]
