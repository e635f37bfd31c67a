"""The stream as a service of the Faust app: builds the stages, runs the pipeline, drains when stopped."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from mode import Service

from mmorient import MmOrientError, checkpoint_digest, load_reference
from schemas import ModelStamp
from worker.broker.clients import KafkaLinks
from worker.broker.group_members import new_incarnation
from worker.broker.history import Reads
from worker.broker.topics import output_topics
from worker.control.deciding import Deciding
from worker.ending import Ending
from worker.errors import FatalError, SettingsError
from worker.garbage import leave_out_what_is_loaded
from worker.intake.bounded_run import BoundedRun, Restraint
from worker.intake.claim import LaneTerms
from worker.intake.consume import ConsumeStage
from worker.intake.lag import Lag
from worker.intake.lanes import Lanes
from worker.intake.membership import Membership
from worker.intake.room import Room
from worker.isolation.trial import Trial
from worker.labelling.exactness import is_exact
from worker.labelling.stages import Stages, load_moderator, open_cache
from worker.output.after_commit import AfterCommit
from worker.output.records import RecordBuilder, stamp_of
from worker.output.sources import reads_outputs_of
from worker.pipeline import Pipeline
from worker.rate_limit import RateLimit
from worker.settings import Settings
from worker.shadow.parent import NoShadow, shadow_of
from worker.telemetry.device_memory import DeviceMemory
from worker.telemetry.drift import Drift
from worker.telemetry.health import Health
from worker.telemetry.metrics import BUILD_INFO, MODEL_INFO, exported
from worker.telemetry.totals import report_each_minute, totals
from worker.telemetry.tracing import traces_of
from worker.watchdog import Watchdog, end_within

if TYPE_CHECKING:
    from mmorient import Moderator

log = structlog.get_logger(__name__)

# From the end of the stream to the end of the process: nothing is left to wait for.
_END_SECONDS = 15.0


# The stream says why it ends. The shell would say it three times more.
SHELL_LOGGER = logging.getLogger("faust.shell")
SHELL_LOGGER.setLevel(logging.CRITICAL + 1)


class StreamService(Service):
    """Hosts the consume-transform-produce loop.

    Args:
        settings: everything that an operator may set; `kafka.bootstrap_servers` is filled in.
        health: told what works.
        bounded: the run, where it ends by itself.
        pages: whether they are served.
        ending: told why the stream ends, where it does so by itself.
        on_done: called when a bounded run is done.
    """

    logger = SHELL_LOGGER

    def __init__(
        self,
        settings: Settings,
        health: Health,
        *,
        bounded: BoundedRun | None = None,
        pages: bool = True,
        ending: Ending | None = None,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._pages = pages
        self._ending = ending or Ending()
        self._bounded = bounded
        self._restraint = Restraint() if bounded is None else bounded.restraint
        self._on_done = on_done
        self._done = False
        self._settings = settings
        self._health = health
        self._links = KafkaLinks(settings.kafka.bootstrap_servers or "", settings.kafka)
        self._watch = Watchdog(settings.guard.max_work_seconds)
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
        if task.cancelled():
            return
        if (error := task.exception()) is None:
            if self._done:
                self._on_done()
            return
        reason = _root(error)
        said = isinstance(reason, FatalError | MmOrientError | SettingsError)
        log.critical(
            "worker_fails",
            error=str(reason) or repr(reason),
            **totals(self._ending.since).fields(),
            exc_info=None if said else reason,
        )
        self._ending.fail(reason)
        self._fail = asyncio.ensure_future(self.crash(reason))

    async def _run(self) -> None:
        settings = self._settings
        log.info("worker_starts", **_introduction(settings, pages=self._pages))
        async with AsyncExitStack() as stack:
            stack.callback(asyncio.create_task(self._health.watch_loop()).cancel)
            moderator = await load_moderator(settings)
            shadow = NoShadow() if self._bounded else shadow_of(settings, lambda: self._health.loop_lag_seconds)
            stages = await Stages.build(
                stack,
                settings,
                moderator,
                await open_cache(stack, settings.redis),
                self._watch,
                device_share=self._restraint.device_share,
                on_collected=shadow.keep,
            )
            await stages.warm_up()
            # Only now: the first call may compile the model for minutes.
            stack.callback(asyncio.create_task(self._watch.run()).cancel)
            self._health.model_loaded = True
            drift = await _drift(stack, settings)
            stamp = _stamp(moderator, exact=await is_exact(moderator, allow_inexact=settings.allow_inexact))
            await stages.measure(settings.batch)
            log.info(
                "model_loaded", **stamp.model_dump(), device=moderator.device, thresholds=settings.thresholds.by_task()
            )
            leave_out_what_is_loaded()
            membership = Membership(self._links, self._health, self._reads())
            admin, outputs = await membership.connect(stack)
            deciding = await Deciding.begin(
                settings, self._links, admin, checkpoint=stamp.checkpoint, bounded=self._bounded is not None
            )
            room = Room(settings.batch.max_in_flight_bytes)
            terms = _terms(settings, room, bounded=self._bounded is not None)
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
                why_refused=outputs.why_refused,
            )
            self._health.partitions_ready = lambda: lanes.ready
            self._health.partitions_owned = lambda: lanes.assigned
            self._health.partitions_failing = lambda: lanes.failing
            trial = Trial(settings)
            stack.callback(trial.close)
            traces = traces_of(settings, terms.worker)
            stack.push_async_callback(traces.close)
            rate_limit = RateLimit(self._restraint.max_posts_per_second)
            consume = ConsumeStage(
                consumer,
                lanes,
                max_posts=rate_limit.at_once(settings.batch.max_posts),
                records_gone=settings.kafka.records_gone,
                bounded=terms.bounded,
            )
            self._health.partitions_unreadable = lambda: consume.unreadable
            pipeline = Pipeline(
                consume=consume,
                stages=stages,
                builder=RecordBuilder(
                    routes=settings.kafka.routes,
                    dead_letter_topic=settings.kafka.dead_letter_topic,
                    max_dead_letter_bytes=outputs.max_dead_letter_bytes,
                    max_label_bytes=outputs.max_batch_bytes,
                    stamp=stamp,
                    forward_tombstones=settings.kafka.forward_tombstones,
                    group_id=settings.kafka.group_id,
                    decisions=deciding.records,
                ),
                trial=trial,
                after_commit=AfterCommit(
                    list(settings.kafka.routes),
                    drift,
                    traces,
                    [shadow, *deciding.observers],
                    forward_tombstones=settings.kafka.forward_tombstones,
                ),
                room=room,
                max_posts=settings.batch.max_posts,
                max_in_flight=settings.batch.max_in_flight,
                rate_limit=rate_limit,
                lanes=lambda: lanes.assigned,
            )
            await membership.join(stack, admin, consumer, lanes, terms.worker)
            self._pipeline = pipeline
            shadow.start()
            stack.callback(shadow.close)
            await _first_of(
                fatal,
                pipeline.run(),
                membership.ping(admin, terms.worker),
                Lag(consumer, lanes, settings.kafka.posts_topic).run(),
                report_each_minute(),
                self._follow(admin),
                deciding.follow(),
            )
            log.info("drained")

    def _reads(self) -> Reads | None:
        """Return what finds the group's last outputs; None of a bounded run, whose plan is beside its offsets."""
        kafka = self._settings.kafka
        return None if self._bounded else reads_outputs_of(kafka.group_id, kafka.posts_topic)

    async def _follow(self, admin: AIOKafkaAdminClient) -> None:
        """Return when a bounded run is done; never, where there is none."""
        if self._bounded is None:
            await asyncio.get_running_loop().create_future()
        else:
            await self._bounded.follow(admin)
            self._done = True


async def _first_of(fatal: "asyncio.Future[None]", *works: Coroutine[Any, Any, None]) -> None:
    """Run until one of the works ends or something is fatal."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait({*tasks, fatal}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _introduction(settings: Settings, *, pages: bool) -> dict[str, object]:
    """Return what tells this process from others; addresses without their secrets, which the broker's have none of."""
    kafka = settings.kafka
    return {
        "version": version("mm-orient-moderation"),
        "checkpoint": str(settings.checkpoint or "shipped"),
        "digest": checkpoint_digest(settings.checkpoint),
        "group": kafka.group_id,
        "broker": kafka.bootstrap_servers,
        "topics": {"from": kafka.posts_topic, "to": output_topics(kafka)},
        "device": settings.device,
        "precision": settings.precision,
        "pages": f"http://{settings.http.host}:{settings.http.port}" if pages else None,
    }


def _set_error(future: "asyncio.Future[None]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _terms(settings: Settings, room: Room, *, bounded: bool) -> LaneTerms:
    kafka = settings.kafka
    return LaneTerms(
        group_id=kafka.group_id,
        worker=new_incarnation(),
        timeout_seconds=kafka.transaction_timeout_seconds,
        window=settings.batch.window,
        room=room,
        wait_seconds=1.2 * settings.media.timeout_seconds,
        bounded=bounded,
    )


async def _drift(stack: AsyncExitStack, settings: Settings) -> Drift:
    reference = await asyncio.to_thread(load_reference, settings.drift.reference, settings.checkpoint)
    if reference is None:
        log.info("no_drift_reference", remedy="mmorient reference, and MODERATE_DRIFT__REFERENCE")
    # The checkpoint's own reference counts labels without thresholds; an operator's own counts what was published.
    scores_alone = settings.thresholds.by_task() if settings.drift.reference is None else ()
    drift = Drift(
        list(settings.kafka.routes),
        reference,
        window_posts=settings.drift.window_posts,
        scores_alone=scores_alone,
    )
    stack.enter_context(exported(drift, DeviceMemory()))
    return drift


def _stamp(moderator: "Moderator", *, exact: bool) -> ModelStamp:
    identity = moderator.identity
    MODEL_INFO.labels(
        identity.name, identity.checkpoint, identity.precision, identity.graph_context, identity.arithmetic
    ).set(1)
    BUILD_INFO.labels(version("mm-orient-moderation"), moderator.device).set(1)
    return stamp_of(moderator, exact=exact)
