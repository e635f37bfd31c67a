"""A picture host's outage is no property of a post: what worked and then fails is waited for, or set aside.

What a host is, is known from what it did: it gave pictures before, and now cannot be connected to, takes too long or
says that it is in trouble (5xx). A picture that is not there (404) is no outage.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import structlog

from worker.labelling.fetching.turns import host_of
from worker.labelling.media import Fetcher, MediumError, OutageError
from worker.telemetry.metrics import HOSTS_OUT, OUTAGE_MEDIA

log = structlog.get_logger(__name__)

OnOutage = Literal["label", "hold", "dead-letter"]

_MOST_HOSTS = 1024
# Before that nothing is known of a host; and a single failure is nothing to wait for.
_ENOUGH_SUCCESSES = 20
_ENOUGH_FAILURES = 3
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0


@dataclass(slots=True)
class _Host:
    successes: int = 0
    failures: int = 0  # in a row
    out_since: float | None = None
    probed: bool = False
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class OutageFetcher:
    """A fetcher that remembers hosts, and treats the outage of one as the operator says.

    Args:
        fetcher: fetches.
        on_outage: label without the picture, hold its post back, or make it a dead letter.
        hold_seconds: longest time that one outage holds posts back; those that come later are not held.
        clock: monotonic seconds.
    """

    def __init__(
        self, fetcher: Fetcher, *, on_outage: OnOutage, hold_seconds: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._fetcher = fetcher
        self._on_outage = on_outage
        self._hold_seconds = hold_seconds
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    async def fetch(self, url: str) -> bytes:
        """Return the bytes behind `url`.

        Raises:
            OutageError: its host is out, and its post is to be a dead letter.
            MediumError: it cannot be had.
        """
        name = host_of(url)
        for _ in range(_ENOUGH_FAILURES + 1):
            if self._on_outage == "hold" and self._holds(name):
                return await self._hold(name, url)
            try:
                return await self._noted(name, url)
            except MediumError as error:
                host = self._hosts.get(name)
                if not error.outage or host is None or host.successes < _ENOUGH_SUCCESSES:
                    raise
                if self._on_outage == "dead-letter" and host.out_since is not None:
                    OUTAGE_MEDIA.labels("dead_letter").inc()
                    raise OutageError(error.reason) from error
                if self._on_outage == "label" or (host.out_since is not None and not self._holds(name)):
                    OUTAGE_MEDIA.labels("left_out").inc(host.out_since is not None)
                    raise
                failed = error
                # Tried again: until it is known whether its host is out, or only this picture.
        raise failed

    async def _hold(self, name: str, url: str) -> bytes:
        """Wait until the host answers, which those that wait find out by turns, or until the outage is too long."""
        OUTAGE_MEDIA.labels("held").inc()
        host = self._hosts[name]
        pause = _FIRST_PAUSE_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, max(0.0, self._left(host)))):
                    await host.answered.wait()
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            last = host.out_since is None or self._left(host) <= 0
            if host.probed and not last:
                continue
            host.probed = True
            try:
                return await self._noted(name, url)
            except MediumError as error:
                if last or not error.outage:
                    raise
            finally:
                host.probed = False

    def _holds(self, name: str) -> bool:
        """Return whether posts wait for a host."""
        host = self._hosts.get(name)
        return host is not None and host.out_since is not None and self._left(host) > 0

    def _left(self, host: _Host) -> float:
        """Return how long this outage may still hold posts back, in seconds."""
        since = host.out_since
        return self._hold_seconds - (self._clock() - since) if since is not None else 0.0

    async def _noted(self, name: str, url: str) -> bytes:
        try:
            content = await self._fetcher.fetch(url)
        except MediumError as error:
            self._note(name, worked=False, outage=error.outage)
            raise
        self._note(name, worked=True, outage=False)
        return content

    def _note(self, name: str, *, worked: bool, outage: bool) -> None:
        host = self._hosts.get(name)
        if host is None:
            if not worked:
                return  # of a host that never worked nothing is remembered: strangers name any number of them
            host = self._hosts[name] = _Host()
            self._forget_oldest()
        self._hosts.move_to_end(name)
        if not outage:
            host.successes += worked
            host.failures = 0
            if host.out_since is not None:
                log.warning("picture_host_is_back", host=name, seconds=round(self._clock() - host.out_since))
                # It has to work for a while before its next outage is one again.
                host.out_since, host.successes = None, int(worked)
                HOSTS_OUT.dec()
                host.answered.set()
            return
        host.failures += 1
        if host.out_since is None and host.successes >= _ENOUGH_SUCCESSES and host.failures >= _ENOUGH_FAILURES:
            host.out_since = self._clock()
            host.answered.clear()
            HOSTS_OUT.inc()
            log.warning("picture_host_is_out", host=name, posts_are=self._on_outage, at_most_seconds=self._hold_seconds)

    def _forget_oldest(self) -> None:
        if len(self._hosts) <= _MOST_HOSTS:
            return
        # A host that is out, and waited for, stays.
        for name, host in self._hosts.items():
            if host.out_since is None:
                del self._hosts[name]
                return
        _, host = self._hosts.popitem(last=False)
        HOSTS_OUT.dec()
        host.answered.set()
