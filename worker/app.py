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
import structlog
from faust.app.base import BootStrategy

from worker.ending import Ending
from worker.intake.bounded_run import BoundedRun
from worker.pages import add_pages
from worker.secrets import text_of
from worker.service import SHELL_LOGGER, StreamService
from worker.settings import Settings
from worker.telemetry.health import Health
from worker.telemetry.totals import totals

log = structlog.get_logger(__name__)
_DONE = "all of it is done"
# A thread gives the interpreter back to the event loop after this time, of which each write to a socket may cost one;
# Python's own is fifty times as long (`bench/README.md`, cached posts).
_SWITCH_SECONDS = 0.0001


class _ShellBoot(BootStrategy):
    """Starts the web server and our service, but none of Faust's own Kafka clients.

    A Faust agent acks batches whose handler raised; the stream has its own consumer and producers. So has the control
    topic of policies: a client of Faust's ends the app where no broker answers at its start.
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
    ending: Ending | None = None,
    on_done: Callable[[], None] = lambda: None,
) -> faust.App:
    """Return the app with its pages and the stream.

    Args:
        settings: of the worker.
        bounded: the run, where it ends by itself.
        pages: whether to serve them.
        ending: told why the stream ends, where it does so by itself.
        on_done: called when a bounded run is done.
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
    add_pages(app, health, token=text_of(settings.http.token))
    stream = StreamService(settings, health, bounded=bounded, pages=pages, ending=ending, on_done=on_done)
    app.service(cast("Any", stream))  # Faust takes an instance too, its types do not say so
    return app


class _Worker(faust.Worker):
    logger = SHELL_LOGGER
    ending: Ending

    def _schedule_shutdown(self, number: signal.Signals) -> None:
        self.ending.note(f"told to stop by {signal.Signals(number).name}")
        super()._schedule_shutdown(number)

    def _on_sigusr2(self) -> None:
        # Faust opens a debugger here, which stops the process for good.
        self.log.warning("SIGUSR2 is ignored")

    async def _sentinel_task(self) -> None:
        """Do not wait: Faust would stay for another second, and the partitions of a static member would wait too."""


def run_worker(settings: Settings) -> NoReturn:
    """Run until a signal or a fatal error; exits 0 after an orderly stop, 2 where settings turn out wrong, else 1."""
    ending = Ending()
    _execute(lambda: build_app(settings, ending=ending), ending)
    _end_at_once(ending.code)


def run_bounded(settings: Settings, bounded: BoundedRun, *, pages: bool) -> NoReturn:
    """Run until the bounded run is done, which exits 0; a signal or a fatal error before that exits 1."""
    ending = Ending()

    def on_done() -> None:
        ending.note(_DONE)
        # As an operator would: the shell has no other way to be told that it may end.
        signal.raise_signal(signal.SIGTERM)

    _execute(lambda: build_app(settings, bounded=bounded, pages=pages, ending=ending, on_done=on_done), ending)
    if ending.code or ending.why == _DONE:
        raise SystemExit(ending.code)
    print(f"moderate: {ending.why} before all of it was done: the same command goes on", file=sys.stderr)
    raise SystemExit(1)


def _end_at_once(code: int) -> NoReturn:
    """End at once: to shut the interpreter down takes 1.3 s with torch, and the next worker waits for it."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _execute(build: Callable[[], faust.App], ending: Ending) -> None:
    """Run the shell to its end, and say why it came."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    options: dict[str, Any] = {"quiet": True, "override_logging": False, "redirect_stdouts": False}
    worker = _Worker(build(), loop=loop, **options)
    worker.ending = ending
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        # The stream reports its own errors. Nobody has reported yet what the shell fails over, such as a port that
        # another process took a moment ago.
        if end.code and not ending.code:
            ending.fail(error := end.__context__ or end)
            log.critical("worker_fails", error=ending.why, exc_info=None if isinstance(error, OSError) else error)
    if not ending.code:
        log.info("worker_ends", why=ending.why, **totals(ending.since).fields())
