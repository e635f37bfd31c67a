"""All of it: what is given, the checks over it, the report."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Collection, Mapping
from typing import Any

from worker.commands.doctor.broker import Broker
from worker.commands.doctor.cache import Cache
from worker.commands.doctor.checkpoint import Checkpoint
from worker.commands.doctor.examination import Check, chosen, examine, without_settings
from worker.commands.doctor.group import Group
from worker.commands.doctor.links import DoctorLinks
from worker.commands.doctor.machine import Machine
from worker.commands.doctor.pages import WorkerBeside
from worker.commands.doctor.permissions import Permissions
from worker.commands.doctor.pictures import Pictures
from worker.commands.doctor.report import as_json as json_of
from worker.commands.doctor.report import open_console, print_findings, secrets_in, without
from worker.commands.doctor.settings import GivenSettings, SettingsChecks
from worker.commands.doctor.topics import Topics
from worker.commands.doctor.transactions import Transactions
from worker.commands.startup import with_local_stack
from worker.errors import SettingsError, WorkerError
from worker.settings import Settings
from worker.telemetry.logs import configure_logs

_NICENESS = 5  # a live worker on this machine comes first
_END_SECONDS = 2.0
# Without settings it is not known what to look at there.
_NEED_SETTINGS = ("broker", "topics", "permissions", "transactions", "group", "redis", "pictures", "checkpoint")


def look(options: Mapping[str, Any], *, only: Collection[str], seconds: float, as_json: bool) -> int:
    """Look, and print what is found; return the exit code.

    Args:
        options: settings given as options.
        only: areas or checks; empty is all.
        seconds: longest time for all checks.
        as_json: for a program, not for a person.

    Raises:
        SettingsError: there is no such area.
    """
    given = GivenSettings.read(options)
    _quieten(given)
    os.nice(_NICENESS)
    return asyncio.run(_look(given, only, seconds=seconds, as_json=as_json))


async def _look(given: GivenSettings, only: Collection[str], *, seconds: float, as_json: bool) -> int:
    examined = _Examined(given)
    findings = await examine(chosen(examined.checks, only), seconds=seconds)
    findings = list(without(findings, secrets_in(given.values())))
    if as_json:
        print(json_of(findings))
    else:
        print_findings(findings, open_console())
    sys.stdout.flush()
    code = int(any(finding.status == "failure" for finding in findings))
    _end_soon(code)
    await examined.close()
    return code


class _Examined:
    """The checks, connected.

    Args:
        given: what the settings say.
    """

    def __init__(self, given: GivenSettings) -> None:
        self._broker: Broker | None = None
        self._cache: Cache | None = None
        self._checkpoint: Checkpoint | None = None
        first = SettingsChecks(given).checks()
        if given.settings is None:
            self.checks = [*first, *map(without_settings, _NEED_SETTINGS), *Machine(None).checks()]
            return
        settings, broker = _connected(given.settings)
        beside = WorkerBeside(settings.http.host, settings.http.port)
        topics = Topics(broker, settings)
        transactions = Transactions(broker, settings.kafka)
        cache = Cache(settings.redis)
        machine = Machine(
            settings,
            beside,
            partitions=lambda: len(topics.posts.partitions) if topics.found else 0,
            clocks=lambda: {
                "the broker's": transactions.clock_ahead_seconds,
                "that of Redis": cache.clock_ahead_seconds,
            },
        )
        checkpoint = Checkpoint(settings, processors=machine.processors, free_bytes=lambda: machine.free_bytes)
        self._broker, self._cache, self._checkpoint = broker, cache, checkpoint
        self.checks = _in_order(
            [
                *first,
                *broker.checks(),
                *topics.checks(),
                *Permissions(broker, topics, settings.kafka).checks(),
                *transactions.checks(),
                *Group(broker, topics, settings.kafka, beside).checks(),
                *cache.checks(),
                *Pictures(settings.media).checks(),
                *machine.checks(),
                *checkpoint.checks(),
            ]
        )

    async def close(self) -> None:
        """Let connections go, and end the children."""
        for part in (self._checkpoint, self._cache, self._broker):
            if part is not None:
                await part.close()


def _connected(settings: Settings) -> tuple[Settings, Broker]:
    """Return the settings with the local stack's addresses, where none are given, and the broker that they name."""
    try:
        settings = with_local_stack(settings)
    except (SettingsError, WorkerError) as error:
        says = str(error).partition(": ")[2] or str(error)
        return settings, Broker(None, says.partition(" (start")[0])
    return settings, Broker(DoctorLinks(settings.kafka.bootstrap_servers or "", settings.kafka))


def _in_order(checks: list[Check]) -> list[Check]:
    """Return checks so that each comes behind what it needs or comes after."""
    placed: dict[str, Check] = {}
    by_name = {check.name: check for check in checks}

    def place(check: Check) -> None:
        for name in (*check.needs, *check.after):
            if name in by_name:
                place(by_name[name])
        placed.setdefault(check.name, check)

    for check in checks:
        place(check)
    return list(placed.values())


def _quieten(given: GivenSettings) -> None:
    """Let the findings alone speak, unless everything is asked for."""
    level = str(given.values().get("MODERATE_LOG__LEVEL", ""))
    configure_logs("debug" if level == "debug" else "error", "auto")
    if level != "debug":
        logging.disable(logging.CRITICAL)


def _end_soon(code: int) -> None:
    """End the process where something does not let itself be closed: a name that is still being resolved, a client."""
    timer = threading.Timer(_END_SECONDS, os._exit, (code,))
    timer.daemon = True
    timer.start()
