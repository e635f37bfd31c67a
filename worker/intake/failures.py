"""Partitions whose lanes fail again and again: each waits by itself, is said loudly, and ends its process once at most.

A label partition with too few replicas, or a transaction that the broker cannot end, is no fault of this process: every
other one would fail there, too. So the partition waits, longer each time, and the others go on. Should it be this
process after all, then it had worked here before, and ends once: a process in which it never worked does not.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, ProducerFenced

from worker.telemetry.metrics import FAILING_PARTITIONS

log = structlog.get_logger(__name__)

# A broker that restarts breaks each lane once or twice, and not for so long.
_CERTAIN_SHARE = 1 / 15
# A partition that has failed for a minute is tried again after a quarter of one.
_WAIT_SHARE = 0.25
_LONGEST_WAIT_SECONDS = 30.0
# The next owner of a partition fences a lane once. So many fences in a row, each soon after the lane was opened, mean
# that another deployment uses our transactional ids.
_FENCES_OF_A_STRANGER = 5
_FENCES_SECONDS = 60.0


@dataclass(slots=True)
class _Failing:
    """One partition: since when its lanes fail, and whether that was said."""

    since: float
    is_certain: bool = False


class Failures:
    """Remembers which partitions fail, as long as they stay with this process.

    Args:
        give_up_seconds: a partition that worked here and then fails for so long, while others are committed, ends the
            process.
        ends_by_itself: of a run that ends by itself, which nobody waits for endlessly: it is given up in any case.
        clock: monotonic seconds.
    """

    def __init__(
        self, give_up_seconds: float, *, ends_by_itself: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._give_up_seconds = give_up_seconds
        self._ends_by_itself = ends_by_itself
        self._clock = clock
        self._failing: dict[TopicPartition, _Failing] = {}
        self._worked: set[TopicPartition] = set()

    @property
    def certain(self) -> int:
        """Partitions that have failed for long enough."""
        return sum(failing.is_certain for failing in self._failing.values())

    def keep(self, assigned: Iterable[TopicPartition]) -> None:
        """Forget partitions that went to other processes; one that a rebalance gives back goes on as it was."""
        kept = set(assigned)
        self._worked &= kept
        for source in self._failing.keys() - kept:
            del self._failing[source]
        self._count()

    def note_work(self, source: TopicPartition) -> None:
        """Note that a partition's lane has committed posts, or stands open for long."""
        self._worked.add(source)
        failing = self._failing.pop(source, None)
        if failing is not None and failing.is_certain:
            seconds = round(self._clock() - failing.since)
            log.info("partition_works_again", partition=source.partition, seconds=seconds)
            self._count()

    def note(self, source: TopicPartition, *, broker_answers: bool) -> bool:
        """Note that a partition's lane broke.

        Args:
            source: the partition.
            broker_answers: whether the broker was reachable when it was last asked; the outage of a broker is not the
                partition's failure.

        Returns:
            Whether it is certain from now on that the partition fails.
        """
        now = self._clock()
        failing = self._failing.setdefault(source, _Failing(now))
        if not broker_answers:
            failing.since = now
        if failing.is_certain or now - failing.since < self._give_up_seconds * _CERTAIN_SHARE:
            return False
        failing.is_certain = True
        self._count()
        return True

    def seconds(self, source: TopicPartition) -> float:
        """Return for how long a partition has failed."""
        failing = self._failing.get(source)
        return 0.0 if failing is None else self._clock() - failing.since

    def wait_seconds(self, source: TopicPartition, *, least: float) -> float:
        """Return how long a partition waits before its next lane."""
        return max(least, min(self.seconds(source) * _WAIT_SHARE, _LONGEST_WAIT_SECONDS))

    def ends_process(self, source: TopicPartition, *, others_committed_at: float) -> bool:
        """Return whether the process ends over a partition.

        Args:
            source: the partition.
            others_committed_at: when any of the others was last committed, in seconds of the clock.
        """
        failing = self._failing.get(source)
        if failing is None or self._clock() - failing.since < self._give_up_seconds:
            return False
        return self._ends_by_itself or (source in self._worked and others_committed_at > failing.since)

    def _count(self) -> None:
        FAILING_PARTITIONS.set(self.certain)


class Fences:
    """Counts how often one partition's lanes were fenced.

    Args:
        transaction_seconds: a lane that lasted longer may have been fenced by the end of its own transaction's time.
        clock: monotonic seconds.
    """

    def __init__(self, transaction_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._transaction_seconds = transaction_seconds
        self._clock = clock
        self._fences: list[float] = []

    def are_a_strangers(self, error: BaseException, opened_at: float) -> bool:
        """Note what broke a lane; return whether another deployment fences the lanes of this partition."""
        now = self._clock()
        if isinstance(error, ProducerFenced) and now - opened_at < self._transaction_seconds:
            self._fences = [*(then for then in self._fences if now - then < _FENCES_SECONDS), now]
        return len(self._fences) >= _FENCES_OF_A_STRANGER


def reason_of(error: BaseException) -> str:
    """Return the code under which a broken lane is counted."""
    if isinstance(error, ProducerFenced):
        return "fenced"
    if isinstance(error, TimeoutError | KafkaTimeoutError):
        return "timeout"
    return "connection" if isinstance(error, KafkaConnectionError | OSError) else "other"
