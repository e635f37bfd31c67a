"""How long partitions stood still: samples of what was fed and of what the group has committed.

All times are monotonic seconds.
"""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

_INTERVAL_SECONDS = 0.3
_ANSWER_SECONDS = 3.0
# A partition whose next post came later than this after a fault says nothing about the fault.
_SOON_SECONDS = 2.0


@dataclass(frozen=True)
class Sample:
    """One look: by partition, the offset that is fed next, and the one that the group reads next."""

    at: float
    fed: dict[int, int]
    done: dict[int, int]


@dataclass(frozen=True)
class Span:
    """From when to when something was broken; the same time twice for what is over at once."""

    begin: float
    end: float


def recovered_at(samples: Sequence[Sample], since: float, aside: Collection[int] = ()) -> float | None:
    """Return when every partition that had unread posts around `since` had moved on; None where one has not.

    Args:
        samples: in order of time.
        since: the end of a fault.
        aside: partitions that do not count.
    """
    after = [sample for sample in samples if sample.at > since]
    if not after:
        return None
    # Not the last sample before: what was committed between it and the fault is no recovery.
    start = after[0].done
    waiting: set[int] = set()
    moved = set(aside)
    latest = since
    # Whoever looks is answered by the brokers, too: where they answer later than that, the first answer counts.
    soon = since + _SOON_SECONDS if after[0].at <= since + _SOON_SECONDS else after[0].at + _SOON_SECONDS
    for sample in after:
        if sample.at <= soon:
            waiting |= {one for one, end in sample.fed.items() if end > start.get(one, 0)} - moved
        for partition in {one for one in waiting if sample.done.get(one, 0) > start.get(one, 0)}:
            waiting.discard(partition)
            moved.add(partition)
            latest = sample.at
        if not waiting and sample.at > soon:
            return latest
    return None


def stall_after(
    samples: Sequence[Sample], fault: Span, others: Sequence[Span], aside: Collection[int] = ()
) -> float | None:
    """Return the seconds from the end of a fault to the recovery of all partitions; None where they did not recover.

    Where another fault began before that and ended later, the clock starts again at its end.
    """
    since = fault.end
    while True:
        end = recovered_at(samples, since, aside)
        limit = math.inf if end is None else end
        over = [other.end for other in others if other.begin < limit and since < other.end <= limit]
        if not over:
            return None if end is None else end - since
        since = min(over)


def longest_standstill(samples: Sequence[Sample], aside: Callable[[int, float], bool]) -> float:
    """Return the longest time in seconds that a partition with unread posts stood still, faults included.

    Args:
        samples: in order of time.
        aside: whether a partition does not count at a time.
    """
    longest = 0.0
    since: dict[int, float] = {}
    last: dict[int, int] = {}
    for sample in samples:
        for partition, end in sample.fed.items():
            done = sample.done.get(partition, 0)
            if done >= end or done > last.get(partition, 0) or aside(partition, sample.at):
                since[partition] = sample.at
            last[partition] = max(done, last.get(partition, 0))
            longest = max(longest, sample.at - since.setdefault(partition, sample.at))
    return longest


class Progress:
    """Takes samples of a group.

    Args:
        bootstrap_servers: the broker.
        group_id: whose committed offsets are looked at.
        topic: the posts.
        fed: gives the next offset to be fed by partition.
    """

    def __init__(self, bootstrap_servers: str, group_id: str, topic: str, fed: Callable[[], dict[int, int]]) -> None:
        self.samples: list[Sample] = []
        self._bootstrap_servers = bootstrap_servers
        self._group_id = group_id
        self._topic = topic
        self._fed = fed

    async def watch(self) -> None:
        """Take samples until cancelled; while the broker does not answer there are none."""
        while True:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap_servers)
            try:
                await asyncio.wait_for(admin.start(), _ANSWER_SECONDS)
                while True:
                    await self._take(admin)
                    await asyncio.sleep(_INTERVAL_SECONDS)
            except (KafkaError, TimeoutError, OSError):
                await asyncio.sleep(_INTERVAL_SECONDS)
            finally:
                with suppress(KafkaError, TimeoutError, OSError):
                    await asyncio.wait_for(admin.close(), _ANSWER_SECONDS)

    async def _take(self, admin: AIOKafkaAdminClient) -> None:
        fed = dict(self._fed())
        offsets = await asyncio.wait_for(admin.list_consumer_group_offsets(self._group_id), _ANSWER_SECONDS)
        done = {
            source.partition: entry.offset
            for source, entry in offsets.items()
            if source.topic == self._topic and entry.offset >= 0
        }
        if self.samples:
            # A coordinator that is still loading answers with nothing.
            done = {
                partition: max(offset, done.get(partition, 0)) for partition, offset in self.samples[-1].done.items()
            } | {partition: offset for partition, offset in done.items() if partition not in self.samples[-1].done}
        self.samples.append(Sample(time.monotonic(), fed, done))
