"""The Faust app: lifecycle, signals and pages around the stream. It moves no post itself."""

import asyncio
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, cast

import faust
from faust.app.base import BootStrategy

from worker.intake.bounded_run import BoundedRun
from worker.pages import add_pages
from worker.service import SHELL_LOGGER, StreamService
from worker.settings import Settings
from worker.telemetry.health import Health

_WRONG_SETTINGS = 2  # exit code


class _ShellBoot(BootStrategy):
    """Starts the web server and our service, but none of Faust's own Kafka clients.

    A Faust agent acks batches whose handler raised; the stream has its own consumer and producers.
    Control topics, when there are some, turn the clients on.
    """

    enable_kafka = False


class _App(faust.App):
    BootStrategy = _ShellBoot
    logger = SHELL_LOGGER


def build_app(
    settings: Settings,
    *,
    bounded: BoundedRun | None = None,
    pages: bool = True,
    on_done: Callable[[], None] = lambda: None,
    on_refused: Callable[[], None] = lambda: None,
) -> faust.App:
    """Return the app with its pages and the stream.

    Args:
        settings: of the worker.
        bounded: the run, where it ends by itself.
        pages: whether to serve them.
        on_done: called when a bounded run is done.
        on_refused: called when the settings cannot be used after all.
    """
    app = _App(
        settings.kafka.group_id,
        broker=f"kafka://{settings.kafka.bootstrap_servers}",
        autodiscover=False,
        # Faust makes its data folder at start, though a shell without tables has nothing to put there.
        datadir=Path(tempfile.gettempdir()) / f"moderate-{os.getuid()}",
        web_enabled=pages,
        web_bind=settings.http.host,
        web_host=settings.http.host,
        web_port=settings.http.port,
        web_tables_enabled=False,
        web_router_enabled=False,
        web_graph_enabled=False,
        web_stats_enabled=False,
        web_metrics_enabled=False,
        worker_redirect_stdouts=False,
    )
    health = Health(max_loop_lag_seconds=settings.http.max_loop_lag_seconds)
    add_pages(app, health)
    stream = StreamService(settings, health, bounded=bounded, on_done=on_done, on_refused=on_refused)
    app.service(cast("Any", stream))  # Faust takes an instance too, its types do not say so
    return app


class _Worker(faust.Worker):
    logger = SHELL_LOGGER

    def _on_sigusr2(self) -> None:
        # Faust opens a debugger here, which stops the process for good.
        self.log.warning("SIGUSR2 is ignored")

    async def _sentinel_task(self) -> None:
        """Wait for nothing: Faust stays for a second, in which the partitions of a static member wait too."""


def run_worker(settings: Settings) -> NoReturn:
    """Run until a signal or a fatal error; exits 0 after an orderly stop, 2 where settings turn out wrong, else 1."""
    refusals: list[int] = []
    try:
        _execute(lambda: build_app(settings, on_refused=lambda: refusals.append(_WRONG_SETTINGS)))
    except SystemExit as end:
        _end_at_once(refusals[0] if refusals else end.code)


def run_bounded(settings: Settings, bounded: BoundedRun, *, pages: bool) -> NoReturn:
    """Run until the bounded run is done, which exits 0; a signal or a fatal error before that exits 1."""
    done = False
    refusals: list[int] = []

    def on_done() -> None:
        nonlocal done
        done = True
        # As an operator would: the shell has no other way to be told that it may end.
        signal.raise_signal(signal.SIGTERM)

    try:
        _execute(
            lambda: build_app(
                settings,
                bounded=bounded,
                pages=pages,
                on_done=on_done,
                on_refused=lambda: refusals.append(_WRONG_SETTINGS),
            )
        )
    except SystemExit as end:
        if refusals:
            raise SystemExit(refusals[0]) from None
        if not done and not end.code:
            raise SystemExit(1) from None
        raise


def _end_at_once(code: str | int | None) -> NoReturn:
    """End without taking the interpreter down, torch and all, which takes 1.3 s: who replaces us is waiting."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _execute(build: Callable[[], faust.App]) -> NoReturn:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    options: dict[str, Any] = {"quiet": True, "override_logging": False, "redirect_stdouts": False}
    worker = _Worker(build(), loop=loop, **options)
    worker.spinner = None
    worker.execute_from_commandline()
