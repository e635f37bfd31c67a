"""A backfill on its way: what its group has committed, against the plan; for all processes that share it."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from tqdm import tqdm

from worker.broker.group_offsets import committed_offsets
from worker.commands.backfill.starting import Plans
from worker.errors import FatalError, LaneError
from worker.intake.bounded_run import Restraint
from worker.telemetry.metrics import total

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_SAY_SECONDS = 10.0
_RATE_SECONDS = 60.0


class Backfill:
    """A bounded run: knows when all ranges are done, and says how far they are.

    Args:
        group_id: the backfill's.
        plans: of its partitions.
        restraint: what it leaves to others.
    """

    def __init__(self, group_id: str, plans: Plans, restraint: Restraint) -> None:
        self._group_id = group_id
        self._plans = plans
        self.restraint = restraint

    @property
    def offsets(self) -> int:
        """Offsets in all ranges."""
        return sum(plan.until - plan.since for plan in self._plans.values())

    async def follow(self, admin: AIOKafkaAdminClient) -> None:
        """Return when every range is done, by whichever process.

        Raises:
            FatalError: the group's offsets are gone: they expired, or somebody removed them.
        """
        with _reporter(self.offsets) as report:
            while (done := await self.done(admin)) is None or done < self.offsets:
                if done is not None:
                    report.say(done)
                await asyncio.sleep(_LOOK_SECONDS)
            report.say(done)
        log.info(
            "backfill_done",
            offsets=self.offsets,
            labelled_here=round(total("moderate_posts_labelled_total")),
            dead_lettered_here=round(total("moderate_dead_letters_total")),
        )

    async def done(self, admin: AIOKafkaAdminClient) -> int | None:
        """Return how many offsets are done; None where the broker did not say.

        Raises:
            FatalError: the group's offsets are gone.
        """
        try:
            found = await committed_offsets(admin, self._group_id, list(self._plans))
        except (KafkaError, LaneError, OSError) as error:
            log.debug("progress_unknown", error=repr(error))
            return None
        gone = [source for source in self._plans if source not in found]
        if gone:
            raise FatalError(f"group {self._group_id} has no offset of {gone[0]} any more: begin a new backfill")
        return sum(plan.done(int(found[source].offset)) for source, plan in self._plans.items())


class _Reporter(Protocol):
    def say(self, done: int) -> None: ...


def _reporter(total: int) -> AbstractContextManager["_Reporter"]:
    return _Bar(total) if sys.stderr.isatty() else nullcontext(_Lines(total))


class _Bar:
    """A progress bar on standard error."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, done: int) -> None:
        if self._bar is None:
            # It begins with the first count: what was done before this process started is not part of its rate.
            self._bar = tqdm(total=self._total, initial=done, unit=" offsets", smoothing=0.05)
        self._bar.update(done - self._bar.n)


class _Lines:
    """A log line now and then.

    Args:
        total: offsets in all ranges.
        clock: monotonic seconds.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        self._said_at = float("-inf")

    def say(self, done: int) -> None:
        now = self._clock()
        self._seen.append((now, done))
        while now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        if now - self._said_at < _SAY_SECONDS and done < self._total:
            return
        self._said_at = now
        log.info("backfill_progress", done=done, total=self._total, **self._speed(now, done))

    def _speed(self, now: float, done: int) -> Mapping[str, float | None]:
        since, before = self._seen[0]
        rate = (done - before) / (now - since) if now > since else 0.0
        left = round((self._total - done) / rate) if rate else None
        return {"offsets_per_second": round(rate, 1), "seconds_left": left}
