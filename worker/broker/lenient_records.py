"""Records of a batch that aiokafka refuses, one by one: each is read, or keeps its bytes and says why it cannot be.

The layout of a record, after its length: attributes (1 byte), time since the batch's first (varint), offset since the
batch's first (varint), key and value (varint length, -1 for none), headers (varint count; name and value each).
"""

from collections.abc import Iterator
from typing import NamedTuple

from worker.telemetry.metrics import RECORD_FAULTS

_VARINT_BYTES = 10


class RawRecord(NamedTuple):
    """A record; where `unreadable` says why it is none, `value` is all the bytes that it had."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    unreadable: str | None = None
    checksum: int | None = None


class Frame(NamedTuple):
    """What a batch's header says about its records.

    Args:
        base_offset, last_offset: that it covers.
        records: how many there are.
        timestamp: what the records' times are added to; where `appended`, the time of all of them. Milliseconds since
            the epoch.
        appended: whether the broker set the time.
    """

    base_offset: int
    last_offset: int
    records: int
    timestamp: int
    appended: bool


def lenient_records(payload: memoryview, frame: Frame, *, behind: int) -> Iterator[RawRecord]:
    """Yield the records from offset `behind` on, in the order of their offsets.

    Args:
        payload: of the batch, not compressed.
        frame: the batch.
        behind: least offset.
    """
    position, last, count = 0, frame.base_offset - 1, 0
    while position < len(payload) and last < frame.last_offset:
        try:
            body, behind_it = _bytes(payload, position)
        except (ValueError, IndexError) as error:
            # Where the end of a record is not known, neither is the beginning of the next.
            if frame.last_offset >= behind:
                RECORD_FAULTS.labels("unreadable").inc()
                yield _unreadable(frame, frame.last_offset, payload[position:], error)
            return
        position = behind_it
        try:
            record = _record(body, frame, last)
        except (ValueError, IndexError) as error:
            record = _unreadable(frame, last + 1, body, error)
        last = record.offset
        count += 1
        if last >= behind:
            if record.unreadable is not None:
                RECORD_FAULTS.labels("unreadable").inc()
            yield record
    if count < frame.records and max(last + 1, behind) <= frame.last_offset:
        RECORD_FAULTS.labels("unreadable").inc()
        yield _unreadable(frame, frame.last_offset, memoryview(b""), ValueError(f"{count} of {frame.records} records"))


def _record(body: memoryview, frame: Frame, last: int) -> RawRecord:
    time, position = _varint(body, 1)
    offset, position = _varint(body, position)
    if not last < frame.base_offset + offset <= frame.last_offset:
        raise ValueError(f"offset {frame.base_offset + offset} where {last + 1} to {frame.last_offset} are left")
    key, position = _nullable(body, position)
    value, position = _nullable(body, position)
    count, position = _varint(body, position)
    headers: list[tuple[str, bytes | None]] = []
    odd = False
    for _ in range(count):
        found, position = _bytes(body, position)
        content, position = _nullable(body, position)
        # Escaped, so that it can be written again, on dead letters and their replays.
        name = str(found, errors="backslashreplace")
        odd |= name.encode() != found
        headers.append((name, content))
    if count < 0 or position != len(body):
        raise ValueError(f"{count} headers end at byte {position} of {len(body)}")
    if odd:
        RECORD_FAULTS.labels("header_name").inc()
    timestamp = frame.timestamp if frame.appended else frame.timestamp + time
    return RawRecord(frame.base_offset + offset, timestamp, int(frame.appended), key, value, headers)


def _unreadable(frame: Frame, offset: int, body: memoryview, error: Exception) -> RawRecord:
    return RawRecord(offset, frame.timestamp, int(frame.appended), None, bytes(body), [], f"{error}")


def _nullable(data: memoryview, position: int) -> tuple[bytes | None, int]:
    length, start = _varint(data, position)
    if length < 0:
        return None, start
    found, position = _bytes(data, position)
    return bytes(found), position


def _bytes(data: memoryview, position: int) -> tuple[memoryview, int]:
    """Return the bytes that follow their length, and the position behind them.

    Raises:
        IndexError: the data ends in the length.
        ValueError: it ends before the bytes do, or the length is none.
    """
    length, start = _varint(data, position)
    if not 0 <= length <= len(data) - start:
        raise ValueError(f"{length} bytes where {len(data) - start} are left")
    return data[start : start + length], start + length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return a number and the position behind it.

    Raises:
        IndexError: the data ends in it.
        ValueError: it is longer than any number.
    """
    found = 0
    for index in range(_VARINT_BYTES):
        byte = data[position + index]
        found |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), position + index + 1
    raise ValueError("a number of more than ten bytes")
