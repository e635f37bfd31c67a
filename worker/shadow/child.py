"""Inside the shadow's process: the posts that come go through the stages behind media, and onto topics of their own."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import structlog
import torch
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from mmorient import MmOrientError
from worker.broker.clients import KafkaLinks
from worker.broker.topics import create_like, max_message_bytes
from worker.broker.transaction import BROKEN, stop, write
from worker.errors import WorkerError
from worker.isolation.child_process import read_message
from worker.items import Item, OutgoingRecord
from worker.labelling.exactness import is_exact
from worker.labelling.stages import Stages, load_moderator, open_cache
from worker.output.records import RecordBuilder, stamp_of
from worker.settings import Settings
from worker.shadow.message import HandedPost
from worker.telemetry.logs import configure_logs
from worker.watchdog import Watchdog

log = structlog.get_logger(__name__)


def serve(settings: Settings, say: Callable[..., None]) -> None:
    """Label what the parent sends; say how many of each batch, in order, have labels, and in the end why it ends.

    Args:
        settings: the worker's, with the checkpoint and the routes of the shadow.
        say: sends a line to the parent.
    """
    configure_logs(settings.log.level, settings.log.format)
    structlog.contextvars.bind_contextvars(process="shadow")
    # The parent does not always wait for us.
    with suppress(BrokenPipeError):
        try:
            asyncio.run(_serve(settings, say))
        except (WorkerError, MmOrientError, KafkaError, OSError, ValueError) as error:
            say(failed=str(error) or repr(error))


async def _serve(settings: Settings, say: Callable[..., None]) -> None:
    device_share = _share_of_device(settings)
    async with AsyncExitStack() as stack:
        moderator = await load_moderator(settings)
        stamp = stamp_of(moderator, exact=await is_exact(moderator, allow_inexact=settings.allow_inexact))
        cache = await open_cache(stack, settings.redis)
        # The parent has more patience: a process that runs when nobody else does may take long over anything.
        stages = await Stages.build(
            stack, settings, moderator, cache, Watchdog(float("inf")), device_share=device_share
        )
        await stages.warm_up()
        builder = RecordBuilder(
            routes=settings.kafka.routes,
            dead_letter_topic=settings.kafka.dead_letter_topic,
            max_dead_letter_bytes=settings.kafka.max_request_bytes,
            stamp=stamp,
            group_id=settings.kafka.group_id,
        )
        writer = _Writer(await _ready_topics(settings))
        stack.push_async_callback(writer.close)
        inbox: asyncio.Queue[HandedPost | None] = asyncio.Queue()
        reading = asyncio.create_task(_read(inbox))
        stack.callback(reading.cancel)
        say(**stamp.model_dump())
        while posts := await _next_batch(inbox, settings.batch.max_posts):
            items = [post.item() for post in posts]
            await stages.store(await stages.label(items))
            say(**await _publish(items, builder, writer))


async def _publish(items: Sequence[Item], builder: RecordBuilder, writer: "_Writer") -> dict[str, int]:
    """Write the labels; return how many posts have theirs, were rejected, or have labels that could not be written."""
    labelled = [item for item in items if item.rejection is None]
    for item in items:
        if item.rejection is not None:
            log.warning(
                "shadow_rejects", position=item.position, stage=item.rejection.stage, reason=str(item.rejection)
            )
    unpublished = 0
    for partition in sorted({item.record.partition for item in labelled}):
        part = [item for item in labelled if item.record.partition == partition]
        try:
            await writer.write(builder.records(part), partition)
        except BROKEN as error:
            log.warning("shadow_unpublished", partition=partition, posts=len(part), error=repr(error))
            unpublished += len(part)
    return {
        "labelled": len(labelled) - unpublished,
        "rejected": len(items) - len(labelled),
        "unpublished": unpublished,
    }


class _Writer:
    """Writes labels, outside any transaction; a producer that fails is replaced.

    Args:
        links: makes producers.
    """

    def __init__(self, links: KafkaLinks) -> None:
        self._links = links
        self._producer: AIOKafkaProducer | None = None

    async def write(self, records: Sequence[OutgoingRecord], partition: int) -> None:
        """Write records to a partition of their topics.

        Raises:
            BROKEN: some of them are perhaps not written.
        """
        try:
            if self._producer is None:
                self._producer = self._links.plain_producer()
                await self._producer.start()
            await write(self._producer, {partition: records})
        except BROKEN:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the producer go."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop(producer)


async def _ready_topics(settings: Settings) -> KafkaLinks:
    """Make the topics that are missing; return what makes clients that keep to their limits.

    Raises:
        FatalError: the broker does not answer, or refuses, or a topic has too few partitions.
    """
    links = KafkaLinks(settings.kafka.bootstrap_servers or "", settings.kafka)
    topics = set(settings.kafka.routes.values())
    async with links.connected_admin() as admin:
        for name in await create_like(admin, topics, like=settings.kafka.posts_topic):
            log.info("topic_created", topic=name)
        limits = [limit for topic in topics if (limit := await max_message_bytes(admin, topic)) is not None]
    return replace(links, max_batch_bytes=min(limits, default=None))


async def _read(inbox: "asyncio.Queue[HandedPost | None]") -> None:
    """Read on while the model works: the parent counts what waits here, too."""
    while (message := await asyncio.to_thread(read_message)) is not None:
        inbox.put_nowait(HandedPost.from_message(message))
    inbox.put_nowait(None)


async def _next_batch(inbox: "asyncio.Queue[HandedPost | None]", max_posts: int) -> list[HandedPost]:
    """Return what has come, one post at least; empty where no more comes."""
    posts: list[HandedPost] = []
    while len(posts) < max_posts and (not posts or not inbox.empty()):
        post = await inbox.get()
        if post is None:
            return []
        posts.append(post)
    return posts


def _share_of_device(settings: Settings) -> float:
    """Return the share of time that may be computed; on a GPU, which knows no priorities, bound the memory, too."""
    share = settings.shadow.device_share
    if settings.device == "cpu":
        return 1.0
    if torch.cuda.is_available() and settings.device != "mps":
        torch.cuda.set_per_process_memory_fraction(share)
        return share
    return share if torch.backends.mps.is_available() else 1.0
