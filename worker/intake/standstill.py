"""Partitions whose next bytes cannot be read: each stands still by itself, is said loudly, and is looked at again."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from aiokafka import TopicPartition

from worker.broker.fetching import UnreadableBatchError
from worker.intake.lane import Lane
from worker.intake.lanes import Lanes
from worker.telemetry.metrics import UNREADABLE_PARTITIONS

log = structlog.get_logger(__name__)

# Damage by a network is gone when the bytes are sent again; damage on a disk is not.
_TRIES = 3
_SOON_SECONDS = 0.2
# A broker may be repaired, or another replica become the leader.
_LATER_SECONDS = 10.0


@dataclass(slots=True)
class _Standstill:
    """One partition: the lane that stands before `offset`, how often that was read in vain, when it is read again."""

    lane: Lane
    offset: int
    tries: int = 0
    due: float = 0.0

    @property
    def is_certain(self) -> bool:
        return self.tries >= _TRIES


class Standstills:
    """Holds the lanes of partitions that cannot be read.

    Args:
        lanes: the claims.
        clock: monotonic seconds.
    """

    def __init__(self, lanes: Lanes, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lanes = lanes
        self._clock = clock
        self._found: dict[TopicPartition, _Standstill] = {}

    @property
    def certain(self) -> int:
        """Partitions that were read in vain often enough."""
        return sum(found.is_certain for found in self._found.values())

    def note(self, error: UnreadableBatchError) -> None:
        """Hold a partition whose next bytes could not be read."""
        lane = self._lanes.get(error.source)
        if lane is None:
            return
        found = self._found.get(error.source)
        if found is None or found.lane is not lane or found.offset != error.offset:
            found = self._found[error.source] = _Standstill(lane, error.offset)
        found.tries += 1
        found.due = self._clock() + (_LATER_SECONDS if found.is_certain else _SOON_SECONDS)
        lane.hold()
        if found.tries == _TRIES:
            log.error("partition_unreadable", partition=error.source.partition, offset=error.offset, reason=error.said)
        self._count()

    def look_again(self) -> None:
        """Let the lanes go on whose time has come; forget those of partitions that are gone."""
        for source, found in list(self._found.items()):
            if self._lanes.get(source) is not found.lane:
                del self._found[source]
            elif self._clock() >= found.due:
                # Once: the next error sets the time anew.
                found.due = float("inf")
                found.lane.go_on()
        self._count()

    def note_read(self, sources: Iterable[TopicPartition]) -> None:
        """Forget partitions of which records were read."""
        for source in sources:
            found = self._found.pop(source, None)
            if found is not None and found.is_certain:
                log.info("partition_readable_again", partition=source.partition, offset=found.offset)

    def _count(self) -> None:
        UNREADABLE_PARTITIONS.set(self.certain)
