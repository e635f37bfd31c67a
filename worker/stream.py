"""The stream as a service of the Faust app: builds the stages, runs the pipeline, drains when stopped."""

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from mode import Service

from mmorient import MmOrientError, Moderator
from schemas import ModelStamp
from worker.cache import NoCache, RedisCache
from worker.consume import ConsumeStage
from worker.drawn import DrawnTextStage
from worker.embed import EmbedStage
from worker.errors import FatalError
from worker.fetch import HttpFetcher
from worker.health import Health
from worker.infer import InferStage
from worker.lanes import Lanes
from worker.links import KafkaLinks
from worker.media import MediaStage
from worker.metrics import CACHE_FAILURES, MODEL_INFO
from worker.pipeline import Pipeline
from worker.publish import PublishStage
from worker.settings import Settings
from worker.topics import check_counts, output_topics, partition_counts

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_PING_SECONDS = 5.0


# The stream says itself why it ends; the shell would say it three times more.
SHELL_LOGGER = logging.getLogger("faust.shell")
SHELL_LOGGER.setLevel(logging.CRITICAL + 1)


class StreamService(Service):
    """Hosts the consume-transform-produce loop.

    Args:
        settings: everything that an operator may set; `kafka.bootstrap_servers` is filled in.
        health: told what works.
    """

    logger = SHELL_LOGGER

    def __init__(self, settings: Settings, health: Health) -> None:
        super().__init__()
        self._settings = settings
        self._health = health
        self._links = KafkaLinks(settings.kafka.bootstrap_servers or "", settings.kafka)
        self._pipeline: Pipeline | None = None
        self._running: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        """Begin without waiting: the pages answer while the model loads and the broker is looked for."""
        self._running = asyncio.create_task(self._run(), name="stream")
        self._running.add_done_callback(self._on_end)

    async def on_stop(self) -> None:
        """Fetch no more, settle what is in flight, leave the group."""
        if self._running is None:
            return
        if self._pipeline is None:
            self._running.cancel()
        else:
            self._pipeline.stop()
        done, _ = await asyncio.wait({self._running}, timeout=self._settings.kafka.drain_seconds)
        if not done:
            log.warning("drain_cut_short", seconds=self._settings.kafka.drain_seconds)
            self._running.cancel()
            await asyncio.wait({self._running}, timeout=self._settings.kafka.drain_seconds)

    def _on_end(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        reason = _root(error)
        said = isinstance(reason, FatalError | MmOrientError)
        log.critical("worker_fails", error=str(reason) or repr(reason), exc_info=None if said else reason)
        self._fail = asyncio.ensure_future(self.crash(reason))

    async def _run(self) -> None:
        settings = self._settings
        async with AsyncExitStack() as stack:
            loop_watch = asyncio.create_task(self._health.watch_loop())
            stack.callback(loop_watch.cancel)
            moderator = await asyncio.to_thread(
                Moderator.from_checkpoint,
                settings.checkpoint,
                device=settings.device,
                precision=settings.precision,
                graph_context=settings.graph_context,
                compiled=settings.compiled,
            )
            self._health.model_loaded = True
            stamp = _stamp(moderator)
            log.info("model_loaded", **stamp.model_dump())
            admin = await self._connect(stack)
            consumer = self._links.consumer()
            fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            lanes = Lanes(self._links, consumer=consumer, admin=admin, on_fatal=lambda error: _set_error(fatal, error))
            self._health.partitions_ready = lambda: lanes.ready
            self._health.partitions_owned = lambda: lanes.assigned
            pipeline = await self._build(
                stack, moderator, stamp, ConsumeStage(consumer, lanes, max_posts=settings.batch.max_posts)
            )
            await self._join(stack, consumer, lanes)
            self._pipeline = pipeline
            await _first_of(pipeline.run(), fatal, self._ping(admin))
            log.info("drained")

    async def _build(
        self, stack: AsyncExitStack, moderator: Moderator, stamp: ModelStamp, consume: ConsumeStage
    ) -> Pipeline:
        media, batch, kafka = self._settings.media, self._settings.batch, self._settings.kafka
        decoder = ThreadPoolExecutor(media.decode_threads, thread_name_prefix="decode")
        stack.callback(decoder.shutdown, wait=False, cancel_futures=True)
        fetcher = await stack.enter_async_context(
            HttpFetcher(
                max_bytes=media.max_bytes,
                max_redirects=media.max_redirects,
                timeout_seconds=media.timeout_seconds,
                max_parallel=media.max_parallel,
                allowed_private_hosts=frozenset(media.allowed_private_hosts),
            )
        )
        cache = await self._cache(stack)
        embed = EmbedStage(
            cache,
            drawn_text=moderator.drawn_text,
            frame=moderator.picture_frame,
            embedding_digest=moderator.identity.embedding,
            text_width=moderator.text_width,
            picture_width=moderator.picture_width,
            max_pixels=media.max_pixels,
            decoder=decoder,
        )
        infer = InferStage(moderator)
        stack.callback(infer.close)
        return Pipeline(
            consume=consume,
            drawn=DrawnTextStage(cache, drawn_text=moderator.drawn_text, max_pixels=media.max_pixels, decoder=decoder),
            media=MediaStage(fetcher, max_count=media.max_count, max_bytes=media.max_bytes),
            embed=embed,
            infer=infer,
            publish=PublishStage(routes=kafka.routes, dead_letter_topic=kafka.dead_letter_topic, stamp=stamp),
            max_text_chars=batch.max_text_chars,
            max_in_flight=batch.max_in_flight,
        )

    async def _cache(self, stack: AsyncExitStack) -> NoCache | RedisCache:
        redis = self._settings.redis
        if not redis.url:
            return NoCache()
        return await stack.enter_async_context(
            RedisCache(
                redis.url,
                ttl_seconds=redis.ttl_seconds,
                timeout_seconds=redis.timeout_seconds,
                retry_after_seconds=redis.retry_after_seconds,
                on_failure=lambda kind: CACHE_FAILURES.labels(kind).inc(),
            )
        )

    async def _connect(self, stack: AsyncExitStack) -> AIOKafkaAdminClient:
        """Return a connected client once the broker answers and the topics are as they must be."""
        while True:
            admin = self._links.admin()
            try:
                await admin.start()
                counts = await partition_counts(
                    admin, [self._settings.kafka.posts_topic, *output_topics(self._settings.kafka)]
                )
            except (KafkaError, OSError) as error:
                await admin.close()
                log.warning("broker_unreachable", servers=self._links.bootstrap_servers, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            stack.push_async_callback(admin.close)
            check_counts(counts, self._settings.kafka)
            self._health.broker_reachable = True
            return admin

    async def _join(self, stack: AsyncExitStack, consumer: AIOKafkaConsumer, lanes: Lanes) -> None:
        consumer.subscribe([self._settings.kafka.posts_topic], listener=lanes)
        stack.push_async_callback(consumer.stop)
        # Before the consumer leaves the group: it does not revoke by itself when it stops.
        stack.push_async_callback(lanes.close)
        while True:
            try:
                await consumer.start()
                return
            except KafkaError as error:
                log.warning("group_unreachable", error=repr(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _ping(self, admin: AIOKafkaAdminClient) -> None:
        """Ask the broker now and then, for /readyz."""
        while True:
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await admin.list_topics()
                self._health.broker_reachable = True
            except (KafkaError, TimeoutError, OSError):
                self._health.broker_reachable = False
            await asyncio.sleep(_PING_SECONDS)


async def _first_of(
    pipeline: Coroutine[Any, Any, None], fatal: "asyncio.Future[None]", ping: Coroutine[Any, Any, None]
) -> None:
    """Run until the pipeline ends or something is fatal."""
    tasks = [asyncio.ensure_future(work) for work in (pipeline, ping)]
    try:
        done, _ = await asyncio.wait({*tasks, fatal}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _set_error(future: "asyncio.Future[None]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _stamp(moderator: Moderator) -> ModelStamp:
    identity = moderator.identity
    MODEL_INFO.labels(identity.name, identity.checkpoint, identity.precision, identity.graph_context).set(1)
    return ModelStamp(
        name=identity.name,
        checkpoint=identity.checkpoint,
        graph_context=identity.graph_context,
        precision=identity.precision,
    )
