"""The faults behind the alerts, injected for real: one coroutine a namespace, which ends when its alerts have fired.

Times of the rules are divided by 60 (an hour is a minute), thresholds are those that are shipped.
"""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError

from tests.deploy.feeding import feed, feed_for_ever
from tests.deploy.lab import Lab, Seat
from tests.worker.checkpoints import SHIPPED, recalibrated
from tests.worker.isolation.test_poison import pictured
from tests.worker.patience import within
from tests.worker.redis_servers import address_of
from tests.worker.system import Servers, Stream, administrator, post, stand_at
from tests.worker.test_kafka_faults import HOOKS, grow, texts
from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.ports import free_ports
from worker.commands.stack.redis import RedisRecipe
from worker.commands.stack.server import Server


@dataclass(frozen=True)
class Fault:
    """What is broken in a namespace, and the alerts (`ALERT/SEVERITY`) that say so."""

    namespace: str
    inject: Callable[[Lab], Awaitable[None]]
    alerts: tuple[str, ...]


async def old_posts(lab: Lab) -> None:
    """A backlog ten minutes old of which a part is deleted, garbage, a closed port, other labels, then a stranger."""
    stream = lab.stream("late")
    kafka = stream.servers.kafka
    await stream.create_topics(2)
    await feed(kafka, stream.posts, texts(100), 2)
    await stand_at(stream, 10)
    async with administrator(stream) as admin:
        await admin.delete_records({TopicPartition(stream.posts, 0): RecordsToDelete(before_offset=40)})
    closed = f"127.0.0.1:{free_ports(1)[0]}"
    seat = await lab.seat(
        "late",
        stream,
        MEDIA__ALLOWED_PRIVATE_HOSTS=json.dumps([closed]),
        MEDIA__TIMEOUT_SECONDS="0.5",
        DRIFT__REFERENCE=str(_turned_reference(stream.folder / "reference.json")),
    )
    await seat.answers("/readyz")
    await feed(kafka, stream.posts, texts(700, "old"), 2, age_seconds=600)
    await lab.fires(
        "late",
        "ModerationRecordsGone/page",
        "ModerationLabelsLate/page",
        "ModerationLatencyBudget/page",
        "ModerationLatencyBudget/ticket",
    )
    pictured_away = post("away", text="look", media=[{"url": f"http://{closed}/a.png"}])
    bad = [b"{", b'{"id": "nothing"}', pictured_away]
    lab.keep_doing(feed_for_ever(kafka, stream.posts, bad, 2, rate=12))
    await lab.fires(
        "late",
        "ModerationDeadLetters/page",
        "ModerationDeadLetters/ticket",
        "ModerationMediaUnavailable/ticket",
        "ModerationDrift/ticket",
    )
    strangers = [lab.keep_doing(_fence(stream, partition)) for partition in range(2)]
    await lab.fires("late", "ModerationLanesBreak/ticket")
    # Five fences over young claims end the worker; nobody starts it again.
    await lab.fires("late", "ModerationNoWorkerReady/page")
    for stranger in strangers:
        stranger.cancel()


def _turned_reference(path: Path) -> Path:
    """Write the shipped reference with every task's labels and scores the other way round."""
    reference = json.loads((SHIPPED / "reference.json").read_text(encoding="utf-8"))
    for task in reference["tasks"].values():
        names, counts = list(task["labels"]), list(task["labels"].values())
        task["labels"] = dict(zip(names, reversed(counts), strict=True))
        task["scores"] = {name: bins[::-1] for name, bins in task["scores"].items()}
    path.write_text(json.dumps(reference), encoding="utf-8")
    return path


async def _fence(stream: Stream, partition: int) -> None:
    identifier = f"{stream.name}:{stream.posts}:{partition}"
    while True:
        stranger = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, transactional_id=identifier)
        with suppress(KafkaError):
            await stranger.start()
        await stranger.stop()
        await asyncio.sleep(0.3)


async def two_checkpoints(lab: Lab) -> None:
    """Two models in one group, a shadow that cannot load, no Redis; a worker that is frozen; partitions too many."""
    folder = lab.folder / "pair-redis"
    redis = Server(RedisRecipe(), folder)
    await asyncio.to_thread(redis.up, lambda _: None)
    lab.stack.callback(redis.kill)
    stream = lab.stream("pair", Servers(lab.servers.kafka, address_of(redis)))
    await stream.create_topics(4)
    broken = recalibrated(stream.folder / "broken")
    (broken / "calibration.json").write_text("{}", encoding="utf-8")
    common = {"BATCH__RECENT_BYTES": "0", "KAFKA__METADATA_MAX_AGE_SECONDS": "1", "REDIS__RETRY_AFTER_SECONDS": "0.5"}
    first = await lab.seat("pair", stream, "first", **common, SHADOW__CHECKPOINT=str(broken), SHADOW__SHARE="1")
    second = await lab.seat("pair", stream, "second", **common, CHECKPOINT=str(recalibrated(stream.folder / "other")))
    await asyncio.gather(first.answers("/readyz"), second.answers("/readyz"))
    lab.keep_doing(feed_for_ever(stream.servers.kafka, stream.posts, texts(500), 4, rate=4))
    await asyncio.to_thread(redis.kill)
    await lab.fires(
        "pair",
        "ModerationCacheFailing/ticket",
        "ModerationShadowFallsBehind/ticket",
        "ModerationCheckpointsDiffer/ticket",
    )
    second.send(signal.SIGSTOP)
    try:
        await lab.fires("pair", "ModerationWorkerNotReady/ticket", seconds=50)
    finally:
        second.send(signal.SIGCONT)
    await lab.fires("pair", "ModerationLoopLate/ticket")
    await grow(stream, [stream.posts], 6)
    await lab.fires("pair", "ModerationPartitionsUnowned/page")


async def poison(lab: Lab) -> None:
    """A post that kills its worker, which is started again each time; then a worker that is killed at random."""
    stream = lab.stream("poison")
    await stream.create_topics(1)
    # Alone: its second death is named after it, and the third process tries it in a child.
    await feed(stream.servers.kafka, stream.posts, [pictured("p-0", "moderate-test:abort")], 1)
    # In the sandbox it would cost the post its picture alone.
    seat = await lab.seat("poison", stream, variables={"PYTHONPATH": str(HOOKS)}, MEDIA__SANDBOX="false")
    lab.keep_doing(_restart(seat))
    await lab.fires("poison", "ModerationPoison/ticket", seconds=500)
    restarts = asyncio.create_task(lab.fires("poison", "ModerationWorkerRestarts/ticket"))
    while not restarts.done():
        await seat.kill()
        await asyncio.sleep(0.5)
        await _scraped(seat)
    await restarts


async def _restart(seat: Seat) -> None:
    while True:
        if not seat.running:
            await seat.start()
        await asyncio.sleep(0.2)


async def _scraped(seat: Seat) -> None:
    """Wait until a worker that has just started was seen by Prometheus: its pages answer before the model is there."""
    while True:
        with suppress(AssertionError):
            await seat.answers("/metrics")
            break
        await asyncio.sleep(0.2)
    # Two scrapes.
    await asyncio.sleep(2)


async def paused_broker(lab: Lab) -> None:
    """A broker that accepts connections and answers nothing, with a post under way."""
    broker = Server(KafkaRecipe(heap_megabytes=256), lab.folder / "broker-kafka")
    await asyncio.to_thread(broker.up, lambda _: None)
    lab.stack.callback(broker.kill)
    stream = lab.stream("broker", Servers(broker.address or "", ""))
    await stream.create_topics(2)
    seat = await lab.seat("broker", stream, KAFKA__TRANSACTION_TIMEOUT_SECONDS="3")
    await seat.answers("/readyz")
    await feed(stream.servers.kafka, stream.posts, texts(400), 2)
    async with within(60):
        while not await seat.reads("moderate_posts_read_total"):
            await asyncio.sleep(0.1)
    broker.pause()
    await lab.fires(
        "broker",
        "ModerationBrokerUnreachable/ticket",
        "ModerationNoWorkerReady/page",
        "ModerationWorkerNotReady/ticket",
        "ModerationPartitionsStalled/page",
    )


FAULTS: Sequence[Fault] = (
    Fault(
        "late",
        old_posts,
        (
            "ModerationRecordsGone/page",
            "ModerationLabelsLate/page",
            "ModerationLatencyBudget/page",
            "ModerationLatencyBudget/ticket",
            "ModerationDeadLetters/page",
            "ModerationDeadLetters/ticket",
            "ModerationMediaUnavailable/ticket",
            "ModerationDrift/ticket",
            "ModerationLanesBreak/ticket",
            "ModerationNoWorkerReady/page",
        ),
    ),
    Fault(
        "pair",
        two_checkpoints,
        (
            "ModerationCacheFailing/ticket",
            "ModerationShadowFallsBehind/ticket",
            "ModerationCheckpointsDiffer/ticket",
            "ModerationWorkerNotReady/ticket",
            "ModerationLoopLate/ticket",
            "ModerationPartitionsUnowned/page",
        ),
    ),
    Fault("poison", poison, ("ModerationPoison/ticket", "ModerationWorkerRestarts/ticket")),
    Fault(
        "broker",
        paused_broker,
        (
            "ModerationBrokerUnreachable/ticket",
            "ModerationNoWorkerReady/page",
            "ModerationPartitionsStalled/page",
        ),
    ),
)
