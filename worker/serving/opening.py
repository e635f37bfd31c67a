"""The labeller put together from the settings: model, cache and stages as the stream has them."""

import asyncio
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog

from mmorient import TASKS
from schemas import ModelStamp
from worker.garbage import leave_out_what_is_loaded
from worker.labelling.exactness import is_exact
from worker.labelling.stages import Stages, load_moderator, open_cache
from worker.output.records import stamp_of
from worker.policies.policies import Policies
from worker.policies.reading import folder_policies
from worker.serving.admission import Admission
from worker.serving.answers import Answers
from worker.serving.labeller import Labeller
from worker.settings import Settings
from worker.telemetry.device_memory import DeviceMemory
from worker.telemetry.metrics import BUILD_INFO, MODEL_INFO, exported
from worker.telemetry.tracing import NoTraces, Traces
from worker.watchdog import Watchdog

if TYPE_CHECKING:
    from mmorient import Moderator

log = structlog.get_logger(__name__)


async def open_labeller(
    stack: AsyncExitStack, settings: Settings, traces: Traces | NoTraces
) -> tuple[Labeller, dict[str, Any]]:
    """Return a labeller that is ready to `run`, and what `GET /v1/model` says; `stack` closes what it holds.

    Raises:
        MmOrientError: the checkpoint cannot be used.
        SettingsError: the device is not here, or labels would depend on more than their posts.
        FatalError: the model does not work.
    """
    watch = Watchdog(settings.guard.max_work_seconds)
    moderator = await load_moderator(settings)
    # What records come wrapped in is the topic's; a request brings posts, or what can be told apart from them.
    plain = settings.kafka.model_copy(update={"post_format": "auto", "post_fields": {}, "registry_url": None})
    unwrapped = settings.model_copy(update={"kafka": plain})
    stages = await Stages.build(stack, unwrapped, moderator, await open_cache(stack, settings.redis), watch)
    await stages.warm_up()
    # Only now: the first call may compile the model for minutes.
    stack.callback(asyncio.create_task(watch.run()).cancel)
    stamp = stamp_of(moderator, exact=await is_exact(moderator, allow_inexact=settings.allow_inexact))
    await stages.measure(settings.batch)
    MODEL_INFO.labels(
        stamp.name, stamp.checkpoint, stamp.precision, stamp.graph_context, moderator.identity.arithmetic
    ).set(1)
    BUILD_INFO.labels(version("mm-orient-moderation"), moderator.device).set(1)
    stack.enter_context(exported(DeviceMemory()))
    log.info("model_loaded", **stamp.model_dump(), device=moderator.device, thresholds=settings.thresholds.by_task())
    leave_out_what_is_loaded()
    policies = folder_policies(settings) if settings.policies is not None else None
    serve = settings.serve
    labeller = Labeller(
        stages,
        Answers(stamp, tuple(settings.kafka.routes), policies),
        admission=Admission(max_posts=serve.max_waiting_posts, max_bytes=serve.max_waiting_bytes),
        deadline_seconds=serve.deadline_seconds,
        max_posts=settings.batch.max_posts,
        max_explanations=serve.max_explanations,
        traces=traces,
    )
    await labeller.try_out()
    return labeller, _about(moderator, stamp, settings, policies)


def _about(moderator: "Moderator", stamp: ModelStamp, settings: Settings, policies: Policies | None) -> dict[str, Any]:
    """Return what a client may want to know of the model: in short what `mmorient inspect --json` says."""
    return {
        **stamp.model_dump(),
        "embedding": moderator.identity.embedding,
        "languages": list(moderator.languages),
        "bank": {"posts": len(moderator.bank)},
        "tasks": {task.name: {"classes": list(task.classes), "degrees": list(task.degrees)} for task in TASKS.values()},
        "answered": list(settings.kafka.routes),
        "thresholds": settings.thresholds.by_task(),
        "policy": None if policies is None else {"version": policies.version},
        "shares": moderator.calibration.model_dump()["shares"],
        "device": moderator.device,
        "version": version("mm-orient-moderation"),
    }
