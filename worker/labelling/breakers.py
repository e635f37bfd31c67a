"""Picture hosts that give nothing are skipped for some seconds: their pictures are `unavailable` at once.

Without that each post waits the whole time-out for its picture, and its partition with it. One picture of a skipped
host is asked for now and then; the first that comes ends it. What may not be asked for counts as what cannot be
reached, or the time that it takes would tell them apart.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from worker.labelling.fetching.turns import host_of
from worker.labelling.media import Fetcher, MediumError
from worker.telemetry.metrics import HOSTS_SKIPPED, SKIPPED_MEDIA

log = structlog.get_logger(__name__)

_MOST_HOSTS = 1024
# In a row: whoever posts links that lead nowhere does not keep the pictures of others out, which come between.
_ENOUGH_FAILURES = 20
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 10.0
_MOST_NAMES = 16
_OTHERS = "others"


@dataclass(slots=True)
class _Host:
    """A host that failed: how often in a row, since when it is skipped, until when, and whether it is asked now."""

    reason: str
    failures: int = 0
    skipped_since: float | None = None
    until: float = 0.0
    pause_seconds: float = _FIRST_PAUSE_SECONDS
    asked: bool = False


class BreakerFetcher:
    """A fetcher that skips hosts.

    Args:
        fetcher: fetches.
        clock: monotonic seconds.
    """

    def __init__(self, fetcher: Fetcher, *, clock: Callable[[], float] | None = None) -> None:
        self._fetcher = fetcher
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._named: set[str] = set()
        self._unnamed = 0

    async def fetch(self, url: str) -> bytes:
        """Return the bytes behind `url`.

        Raises:
            MediumError: it cannot be had, or its host is skipped.
        """
        name = host_of(url)
        host = self._hosts.get(name)
        if host is None or host.skipped_since is None:
            return await self._noted(name, url)
        if host.asked or self._clock() < host.until:
            SKIPPED_MEDIA.inc()
            raise MediumError(host.reason, f"{url}: its host is skipped", outage=True)
        host.asked = True
        try:
            return await self._noted(name, url)
        finally:
            host.asked = False

    async def _noted(self, name: str, url: str) -> bytes:
        try:
            content = await self._fetcher.fetch(url)
        except MediumError as error:
            if error.outage or error.reason == "fetch_failed":
                self._note_failure(name, error.reason)
            else:
                # It answers; this one picture is not there, or not to be had.
                self._note_answer(name)
            raise
        self._note_answer(name)
        return content

    def _note_failure(self, name: str, reason: str) -> None:
        host = self._hosts.setdefault(name, _Host(reason))
        self._hosts.move_to_end(name)
        host.failures += 1
        host.reason = reason
        if host.skipped_since is None:
            if host.failures >= _ENOUGH_FAILURES:
                host.skipped_since = self._clock()
                host.until = host.skipped_since + host.pause_seconds
                self._show(name)
                log.warning("picture_host_is_skipped", host=name, failures=host.failures, reason=reason)
        elif host.asked:
            host.pause_seconds = min(2 * host.pause_seconds, _LONGEST_PAUSE_SECONDS)
            host.until = self._clock() + host.pause_seconds
        if len(self._hosts) > _MOST_HOSTS:
            self._forget(next(iter(self._hosts)))

    def _note_answer(self, name: str) -> None:
        if name in self._hosts:
            host = self._forget(name)
            if host.skipped_since is not None:
                seconds = round(self._clock() - host.skipped_since)
                log.warning("picture_host_answers_again", host=name, seconds=seconds)

    def _forget(self, name: str) -> _Host:
        host = self._hosts.pop(name)
        if host.skipped_since is None:
            return host
        if name in self._named:
            self._named.discard(name)
            HOSTS_SKIPPED.remove(name)
        else:
            self._unnamed -= 1
            HOSTS_SKIPPED.labels(_OTHERS).set(self._unnamed)
        return host

    def _show(self, name: str) -> None:
        """Name a host in the metric, as long as few are: strangers may name any number of them."""
        if len(self._named) < _MOST_NAMES:
            self._named.add(name)
            HOSTS_SKIPPED.labels(name).set(1)
        else:
            self._unnamed += 1
            HOSTS_SKIPPED.labels(_OTHERS).set(self._unnamed)
