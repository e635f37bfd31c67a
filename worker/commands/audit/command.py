"""The work of `moderate audit`: one round, or round after round; what is said of it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import click
from prometheus_client import CollectorRegistry, start_http_server

from worker.broker.clients import KafkaLinks
from worker.broker.ranges import Bound
from worker.commands.audit.progress import Keeper
from worker.commands.audit.rounds import Auditor
from worker.commands.audit.tally import Tally
from worker.commands.audit.terms import FAULTS, OUTCOMES, Fault, Terms
from worker.commands.terminal import harmless
from worker.settings import HttpSettings
from worker.telemetry.audit_metrics import AUDIT_FAULTS, AUDIT_OFFSETS, AUDIT_PENDING, AUDIT_ROUNDS


@dataclass(frozen=True)
class Request:
    """What is asked.

    Args:
        terms: what is expected.
        start: where to begin.
        progress_group: group that keeps how far the audit is; None for none.
        most_faults: how many faults to print; all are counted.
        as_json: print for a program.
    """

    terms: Terms
    start: Bound
    progress_group: str | None
    most_faults: int
    as_json: bool


class Printer:
    """Prints faults as they are found, and the count.

    Args:
        request: how.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._said = 0

    def fault(self, fault: Fault) -> None:
        """Print a fault, unless too many were."""
        self._said += 1
        if self._said <= self._request.most_faults:
            click.echo(json.dumps(fault.as_json()) if self._request.as_json else harmless(str(fault)))
        elif self._said == self._request.most_faults + 1:
            click.echo(f"more faults are counted, and not named (--limit {self._request.most_faults})", err=True)

    def count(self, tally: Tally) -> None:
        """Print the count."""
        if self._request.as_json:
            click.echo(json.dumps(tally.as_json()))
            return
        for line in tally.lines():
            click.echo(line)


async def audit_once(request: Request) -> bool:
    """Judge what is committed, print what was found, and return whether there is no fault."""
    printer = Printer(request)
    async with _auditor(request, printer) as (auditor, tally):
        await auditor.round()
    printer.count(tally)
    return not tally.faults.total()


async def audit_for_ever(request: Request, http: HttpSettings, *, seconds: float) -> bool:
    """Judge round after round until SIGINT or SIGTERM; return whether there is no fault.

    Args:
        request: what is asked.
        http: where the metrics are served.
        seconds: between two rounds.
    """
    printer = Printer(request)
    for outcome in OUTCOMES:
        AUDIT_OFFSETS.labels(outcome)
    for kind in FAULTS:
        # A counter that begins with its first fault has no increase that an alert could see.
        AUDIT_FAULTS.labels(kind)
    server, thread = start_http_server(http.port, http.host, _registry())
    try:
        with _stopped() as stop:
            async with _auditor(request, printer) as (auditor, tally):
                while not stop.is_set():
                    await _until_stopped(auditor.round(), stop)
                    AUDIT_ROUNDS.inc()
                    try:
                        await asyncio.wait_for(stop.wait(), seconds)
                    except TimeoutError:
                        continue
    finally:
        server.shutdown()
        thread.join()
    printer.count(tally)
    return not tally.faults.total()


@asynccontextmanager
async def _auditor(request: Request, printer: Printer) -> AsyncIterator[tuple[Auditor, Tally]]:
    kafka = request.terms.kafka
    links = KafkaLinks(kafka.bootstrap_servers or "", kafka)
    group = request.progress_group
    keeper = None if group is None else Keeper(links, group, request.terms.asked)
    tally = Tally(printer.fault)
    if keeper is not None:
        await keeper.start()
    try:
        yield Auditor(links, request.terms, request.start, tally, keeper), tally
    finally:
        if keeper is not None:
            await keeper.stop()


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    for metric in (AUDIT_OFFSETS, AUDIT_FAULTS, AUDIT_PENDING, AUDIT_ROUNDS):
        registry.register(metric)
    return registry


@contextmanager
def _stopped() -> Iterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _until_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Wait for a round, or cut it short where the audit is told to stop: what is judged by then is kept."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for one in (task, stopping):
            one.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
