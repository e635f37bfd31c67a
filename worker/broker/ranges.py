"""Where a bounded reading of a topic begins and ends: what a person writes, and the offsets that it means now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from worker.errors import SettingsError

_POLL_MILLISECONDS = 500


@dataclass(frozen=True)
class Bound:
    """One end of a range.

    Args:
        kind: `earliest` and `latest` are the topic's ends; `offset` and `time` have a value.
        value: an offset, or milliseconds since the epoch.
    """

    kind: Literal["earliest", "latest", "offset", "time"]
    value: int = 0

    def __str__(self) -> str:
        if self.kind == "offset":
            return str(self.value)
        if self.kind == "time":
            return datetime.fromtimestamp(self.value / 1000, UTC).isoformat(timespec="milliseconds")
        return self.kind


@dataclass(frozen=True)
class OffsetRange:
    """The offsets from `since` to before `until` of one partition.

    Args:
        since, until: offsets.
        gone: offsets at its beginning that were asked for and are no longer there.
    """

    since: int
    until: int
    gone: int = 0

    @property
    def offsets(self) -> int:
        """How many offsets there are: records, and what compaction and transactions left no record for."""
        return self.until - self.since


def parse_bound(text: str) -> Bound:
    """Read `earliest`, `latest`, an offset, or an ISO 8601 time (UTC where it names no zone).

    Raises:
        SettingsError: it is none of these.
    """
    if text in {"earliest", "latest"}:
        return Bound("earliest" if text == "earliest" else "latest")
    if text.isdecimal():
        return Bound("offset", int(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"{text!r} is not a bound: write earliest, latest, an offset, or a time such as 2026-11-20T12:00:00Z"
        ) from error
    return Bound("time", round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000))


def parse_range(start: str, end: str) -> tuple[Bound, Bound]:
    """Read both ends of a range.

    Raises:
        SettingsError: one is no bound, or the range can hold nothing, whatever the topic holds.
    """
    since, until = parse_bound(start), parse_bound(end)
    backwards = since.kind == until.kind and since.kind in {"offset", "time"} and since.value >= until.value
    if since.kind == "latest" or until.kind == "earliest" or backwards:
        raise SettingsError(f"--from {start} --to {end}: the range holds nothing, it ends where it begins or before")
    return since, until


def parse_partitions(text: str) -> frozenset[int]:
    """Read partition numbers such as `0,3-5`.

    Raises:
        SettingsError: it is no such list.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
            raise SettingsError(f"{text!r} is not a list of partitions such as 0,3-5")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


async def freeze(
    consumer: AIOKafkaConsumer, sources: Sequence[TopicPartition], start: Bound, end: Bound
) -> dict[TopicPartition, OffsetRange]:
    """Return the range of each partition as it is at this moment; `latest` is the last stable offset.

    Args:
        consumer: a started one with `read_committed`, of whose assignment this disposes.
        sources: partitions.
        start, end: what was asked for; `end` is not part of the range.

    Raises:
        aiokafka.errors.KafkaError: the broker did not say.
    """
    oldest: Mapping[TopicPartition, int] = await consumer.beginning_offsets(sources)
    ends: Mapping[TopicPartition, int] = await consumer.end_offsets(sources)
    since = await _offsets(consumer, sources, start, oldest, ends)
    until = await _offsets(consumer, sources, end, oldest, ends)
    ranges: dict[TopicPartition, OffsetRange] = {}
    for source in sources:
        last = min(until[source], ends[source])
        first = max(since[source], oldest[source])
        wanted = 0 if start.kind == "earliest" else since[source]
        gone = max(0, min(oldest[source], last) - wanted) if start.kind != "time" else 0
        ranges[source] = OffsetRange(min(first, last), last, gone)
    return ranges


async def _offsets(
    consumer: AIOKafkaConsumer,
    sources: Iterable[TopicPartition],
    bound: Bound,
    oldest: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> Mapping[TopicPartition, int]:
    if bound.kind == "earliest":
        return oldest
    if bound.kind == "latest":
        return ends
    if bound.kind == "offset":
        return dict.fromkeys(sources, bound.value)
    found = await consumer.offsets_for_times(dict.fromkeys(sources, bound.value))
    offsets = dict(ends)
    for source in sources:
        # Without an entry no record is as late as that: the range begins, or ends, behind the last one.
        if entry := found.get(source):
            offsets[source] = await _first_record(consumer, source, entry.offset, ends[source], bound.value)
    return offsets


async def _first_record(
    consumer: AIOKafkaConsumer, source: TopicPartition, offset: int, end: int, timestamp: int
) -> int:
    """Return the offset of the first record from `offset` on that is as late as `timestamp`.

    The broker's answer may be a transaction's marker, whose time is that of writing: in a topic that was filled with
    posts of the past, the first marker is later than all of them. Behind it the times are taken to be in order.
    """
    record = await _record_from(consumer, source, offset, end)
    if record is None or record.timestamp >= timestamp:
        return end if record is None else int(record.offset)
    low, high = int(record.offset) + 1, end
    while low < high:
        # All records before `low` are earlier; the first one from `high` on, if there is one, is not.
        middle = (low + high) // 2
        record = await _record_from(consumer, source, middle, high)
        if record is None or record.timestamp >= timestamp:
            high = middle
        else:
            low = int(record.offset) + 1
    return low


async def _record_from(
    consumer: AIOKafkaConsumer, source: TopicPartition, offset: int, end: int
) -> ConsumerRecord | None:
    """Return the first committed record from `offset` on and before `end`."""
    consumer.assign([source])
    consumer.seek(source, offset)
    while await consumer.position(source) < end:
        for records in (await consumer.getmany(source, timeout_ms=_POLL_MILLISECONDS, max_records=1)).values():
            return records[0] if records[0].offset < end else None
    return None
