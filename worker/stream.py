"""The stream as a service of the Faust app: builds the stages, runs the pipeline, drains when stopped."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import uuid4

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from mode import Service

from mmorient import MmOrientError, Moderator
from schemas import ModelStamp
from worker.consume import ConsumeStage
from worker.deployment import Deployment, refuse_namesakes, refuse_strangers
from worker.errors import FatalError, LaneError
from worker.health import Health
from worker.lane import LaneTerms
from worker.lanes import Lanes
from worker.links import REFUSED, KafkaLinks
from worker.metrics import MODEL_INFO
from worker.offsets import begin_at_the_end
from worker.outputs import Outputs
from worker.pipeline import Pipeline
from worker.publish import PublishStage, stamp_of
from worker.settings import Settings
from worker.shadow import shadow_of
from worker.stages import Stages, connect_cache, load_moderator
from worker.trial import Trial
from worker.watch import Watch, end_within

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_PING_SECONDS = 5.0
_NEWCOMER_SECONDS = 30.0
_LEAVE_SECONDS = 5.0
# From the end of the stream to the end of the process; all that is worth waiting for is over.
_END_SECONDS = 15.0


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
        self._watch = Watch(settings.guard.max_work_seconds)
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
        end_within(_END_SECONDS)

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
            stack.callback(asyncio.create_task(self._health.watch_loop()).cancel)
            moderator = await load_moderator(settings)
            cache = await connect_cache(stack, settings.redis)
            shadow = shadow_of(settings, loop_lag_seconds=lambda: self._health.loop_lag_seconds)
            stages = await Stages.build(stack, settings, moderator, cache, self._watch, on_collected=shadow.keep)
            await stages.warm_up()
            # Only now: the first call may compile the model for minutes.
            stack.callback(asyncio.create_task(self._watch.run()).cancel)
            self._health.model_loaded = True
            stamp = _stamp(moderator)
            log.info("model_loaded", **stamp.model_dump())
            admin, outputs = await self._connect(stack)
            terms = _terms(settings)
            consumer = self._links.consumer(terms.worker)
            fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            lanes = Lanes(
                replace(self._links, max_batch_bytes=outputs.max_batch_bytes),
                terms,
                consumer=consumer,
                admin=admin,
                on_fatal=lambda error: _set_error(fatal, error),
                outputs_ready=outputs.ready,
                broker_answers=lambda: self._health.broker_reachable,
            )
            self._health.partitions_ready = lambda: lanes.ready
            self._health.partitions_owned = lambda: lanes.assigned
            trial = Trial(settings)
            stack.callback(trial.close)
            pipeline = Pipeline(
                consume=ConsumeStage(
                    consumer, lanes, max_posts=settings.batch.max_posts, records_gone=settings.kafka.records_gone
                ),
                stages=stages,
                publish=PublishStage(
                    routes=settings.kafka.routes,
                    dead_letter_topic=settings.kafka.dead_letter_topic,
                    max_dead_letter_bytes=outputs.max_dead_letter_bytes,
                    stamp=stamp,
                ),
                trial=trial,
                shadow=shadow,
                max_in_flight=settings.batch.max_in_flight,
                max_in_flight_bytes=settings.batch.max_in_flight_bytes,
            )
            await self._join(stack, consumer, lanes)
            self._pipeline = pipeline
            shadow.start()
            stack.callback(shadow.close)
            await _first_of(pipeline.run(), fatal, self._ping(admin, terms.worker))
            log.info("drained")

    async def _connect(self, stack: AsyncExitStack) -> tuple[AIOKafkaAdminClient, Outputs]:
        """Return a connected client once the broker answers, and the topics if they are as they must be.

        Raises:
            FatalError: topics or permissions are missing, or the group belongs to another deployment.
        """
        while True:
            admin = self._links.admin()
            outputs = Outputs(admin, self._settings.kafka)
            try:
                await admin.start()
                await outputs.check()
                await self._refuse_strangers(admin)
                await self._begin(admin, outputs.posts_partitions)
            except REFUSED as error:
                await admin.close()
                raise FatalError(f"the broker refuses this worker: {error}") from error
            except (KafkaError, OSError, LaneError) as error:
                await admin.close()
                log.warning("broker_unreachable", servers=self._links.bootstrap_servers, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except BaseException:
                await admin.close()
                raise
            stack.push_async_callback(admin.close)
            self._health.broker_reachable = True
            return admin, outputs

    async def _begin(self, admin: AIOKafkaAdminClient, partitions: int) -> None:
        kafka = self._settings.kafka
        if kafka.start_at == "latest":
            await begin_at_the_end(
                self._links, admin, group_id=kafka.group_id, topic=kafka.posts_topic, partitions=partitions
            )

    async def _refuse_strangers(self, admin: AIOKafkaAdminClient) -> None:
        kafka = self._settings.kafka
        await refuse_strangers(admin, kafka.group_id, Deployment.of(kafka))

    async def _join(self, stack: AsyncExitStack, consumer: AIOKafkaConsumer, lanes: Lanes) -> None:
        consumer.subscribe([self._settings.kafka.posts_topic], listener=lanes)
        stack.push_async_callback(_leave, consumer)
        # Before the consumer leaves the group: it does not revoke by itself when it stops.
        stack.push_async_callback(lanes.close)
        while True:
            try:
                await consumer.start()
                return
            except KafkaError as error:
                if not error.retriable:
                    # A second start would fail on the first one's traces; and what is refused stays refused.
                    group = self._settings.kafka.group_id
                    raise FatalError(f"the broker refuses this worker in group {group}: {error}") from error
                log.warning("group_unreachable", error=repr(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _ping(self, admin: AIOKafkaAdminClient, worker: str) -> None:
        """Ask the broker now and then, for /readyz, and who else has our name; a newcomer also asks who is there."""
        kafka = self._settings.kafka
        newcomer_until = time.monotonic() + _NEWCOMER_SECONDS
        while True:
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await admin.list_topics()
                    if time.monotonic() < newcomer_until:
                        # Two that joined at once did not see each other before.
                        await self._refuse_strangers(admin)
                    if kafka.group_instance_id is not None:
                        await refuse_namesakes(admin, kafka.group_id, kafka.group_instance_id, worker)
                self._health.broker_reachable = True
            except (KafkaError, TimeoutError, OSError):
                self._health.broker_reachable = False
            await asyncio.sleep(_PING_SECONDS)


async def _leave(consumer: AIOKafkaConsumer) -> None:
    """Leave the group; one that does not answer will notice by itself that we are gone."""
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            await consumer.stop()
    except (TimeoutError, KafkaError) as error:
        log.warning("group_not_left", error=repr(error))


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


def _terms(settings: Settings) -> LaneTerms:
    kafka, batch = settings.kafka, settings.batch
    return LaneTerms(
        group_id=kafka.group_id,
        worker=uuid4().hex[:12],
        timeout_seconds=kafka.transaction_timeout_seconds,
        in_flight=batch.max_posts * batch.max_in_flight,
    )


def _stamp(moderator: Moderator) -> ModelStamp:
    identity = moderator.identity
    MODEL_INFO.labels(identity.name, identity.checkpoint, identity.precision, identity.graph_context).set(1)
    return stamp_of(moderator)
