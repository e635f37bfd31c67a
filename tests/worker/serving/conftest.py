"""The application over stages of the tests' own, and a client that needs no socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.worker.serving.stages import STAMP, WaitingStages, labeller_of
from worker.serving.app import build_app
from worker.serving.door import Door
from worker.serving.health import ServingHealth
from worker.serving.keys import Keys
from worker.settings import Settings, load_settings

Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
ADDRESS = "http://127.0.0.1:8090"


@pytest.fixture
def stages() -> WaitingStages:
    """Give stages that answer at once."""
    return WaitingStages()


def door_of(settings: Settings) -> Door:
    """Return a door that nobody stands behind yet."""
    serve = settings.serve
    keys = Keys(serve.keys_file, max_posts_per_second=serve.max_posts_per_second)
    return Door(settings, keys, ServingHealth(5.0))


@pytest.fixture
def serving(stages: WaitingStages) -> Serving:
    """Give a client of the application, whose settings are those of `serve` that are given."""

    @asynccontextmanager
    async def start(*, loaded: bool = True, languages: list[str] | None = None, **serve: Any) -> AsyncIterator[Any]:
        settings = load_settings({"serve": serve})
        door = door_of(settings)
        labeller = labeller_of(
            stages,
            max_waiting_posts=settings.serve.max_waiting_posts,
            max_waiting_bytes=settings.serve.max_waiting_bytes,
            deadline_seconds=settings.serve.deadline_seconds,
        )
        run = asyncio.create_task(labeller.run())
        if loaded:
            door.labeller, door.health.model_loaded = labeller, True
            door.model = {**STAMP.model_dump(), "languages": ["en"] if languages is None else languages}
        transport = httpx.ASGITransport(build_app(door))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            yield client
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run

    return start
