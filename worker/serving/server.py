"""The process of `moderate serve`: listen, load the model, answer, drain, end."""

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib.metadata import version
from typing import NoReturn

import structlog
import uvicorn

from mmorient import MmOrientError, checkpoint_digest
from worker.ending import Ending
from worker.errors import FatalError, SettingsError
from worker.secrets import without_password
from worker.serving.app import build_app
from worker.serving.connections import BoundedHeads
from worker.serving.door import Door
from worker.serving.health import ServingHealth
from worker.serving.keys import Keys
from worker.serving.labeller import Labeller
from worker.serving.opening import open_labeller
from worker.serving.totals import report_each_minute, served
from worker.settings import Settings
from worker.telemetry.tracing import traces_of
from worker.watchdog import end_within

log = structlog.get_logger(__name__)

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_BACKLOG = 512
_KEEP_ALIVE_SECONDS = 75
# From the end of the work to the end of the process: nothing is left to wait for.
_END_SECONDS = 15.0


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: they first drain the labeller."""
        yield


def run_server(settings: Settings, keys: Keys) -> NoReturn:
    """Serve until a signal or a fatal error; exits 0 after an orderly stop, 2 where settings turn out wrong, else 1."""
    ending = Ending()
    try:
        asyncio.run(_serve(settings, keys, ending))
    except Exception as error:
        reason = _root(error)
        said = isinstance(reason, FatalError | MmOrientError | SettingsError)
        log.critical(
            "server_fails",
            error=str(reason) or repr(reason),
            **served(ending.since).fields(),
            exc_info=None if said else reason,
        )
        ending.fail(reason)
    if not ending.code:
        log.info("server_ends", why=ending.why, **served(ending.since).fields())
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: to shut the interpreter down takes 1.3 s with torch, and a model that still loads takes seconds.
    os._exit(ending.code)


async def _serve(settings: Settings, keys: Keys, ending: Ending) -> None:
    health = ServingHealth(settings.http.max_loop_lag_seconds)
    door = Door(settings, keys, health)
    _introduce(settings, keys)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _be_told, number, ending, told)
    server = _Server(_config(settings, door))
    async with AsyncExitStack() as stack:
        stack.callback(asyncio.create_task(health.watch_loop()).cancel)
        stack.callback(asyncio.create_task(keys.follow()).cancel)
        stack.callback(asyncio.create_task(report_each_minute(ending.since)).cancel)
        serving = asyncio.create_task(server.serve([_listening(settings)]))
        traces = traces_of(settings, secrets.token_hex(6), served=True)
        stack.push_async_callback(traces.close)
        opening = asyncio.create_task(open_labeller(stack, settings, traces))
        stopping = asyncio.create_task(told.wait())
        stack.callback(opening.cancel)
        stack.callback(stopping.cancel)
        await asyncio.wait({opening, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            labeller, door.model = opening.result()
            door.labeller, health.model_loaded = labeller, True
            log.info("serving", address=f"http://{settings.serve.host}:{settings.serve.port}")
            running = asyncio.create_task(labeller.run())
            stack.callback(running.cancel)
            await asyncio.wait({running, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            health.accepting = False
            if not running.done():
                await _drain(labeller, settings.serve.drain_seconds)
            if running.done():
                running.result()
        if door.page is not None:
            # A stream is an answer without an end, for which the server would wait.
            await door.page.close()
        server.should_exit = True
        end_within(_END_SECONDS + settings.serve.drain_seconds)
        await serving


async def _drain(labeller: Labeller, seconds: float) -> None:
    """Let what is accepted be answered."""
    try:
        async with asyncio.timeout(seconds):
            await labeller.drain()
    except TimeoutError:
        log.warning("drain_cut_short", seconds=seconds)
    else:
        log.info("drained")


def _be_told(number: signal.Signals, ending: Ending, told: asyncio.Event) -> None:
    ending.note(f"told to stop by {signal.Signals(number).name}")
    told.set()


def _config(settings: Settings, door: Door) -> uvicorn.Config:
    # Its own lines would say again what ours say, and quote what failed.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return uvicorn.Config(
        build_app(door),
        http=BoundedHeads,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # An address in a header may be anybody's: nothing here goes by it.
        proxy_headers=False,
        limit_concurrency=settings.serve.max_connections,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.serve.drain_seconds)),
    )


def _listening(settings: Settings) -> socket.socket:
    """Return a socket on which clients are awaited.

    Raises:
        SettingsError: nothing can listen there.
    """
    serve = settings.serve
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            serve.host, serve.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        said = f"nothing can listen on {serve.host}:{serve.port}: {error.strerror or error}"
        raise SettingsError(f"MODERATE_SERVE__PORT: {said}") from error
    listener.settimeout(0)
    return listener


def _introduce(settings: Settings, keys: Keys) -> None:
    serve = settings.serve
    log.info(
        "server_starts",
        version=version("mm-orient-moderation"),
        checkpoint=str(settings.checkpoint or "shipped"),
        digest=checkpoint_digest(settings.checkpoint),
        address=f"http://{serve.host}:{serve.port}",
        keys=len(keys) if keys.are_asked else None,
        cache=without_password(settings.redis.url) if settings.redis.url else None,
        device=settings.device,
        precision=settings.precision,
    )
    if not keys.are_asked and serve.host not in _LOOPBACK:
        log.warning("no_keys", consequence="whoever reaches the address may ask", remedy="MODERATE_SERVE__KEYS_FILE")


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
