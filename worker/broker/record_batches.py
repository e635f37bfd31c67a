"""Record batches as the broker stores them: their frames, and whatever can be made of their records.

A batch whose checksum is right is as its producer wrote it. aiokafka reads its records, which is fast; what it refuses
(one header name that is not UTF-8 is enough) is read again by `lenient_records`. A batch whose checksum is wrong was
damaged later, on a disk or on the way, and is not read at all.
"""

import struct
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from worker.broker.decompression import CODECS, MAX_BATCH_BYTES, TooLargeError, decompress
from worker.broker.lenient_records import Frame, RawRecord, lenient_records
from worker.telemetry.metrics import RECORD_FAULTS

_FRAME = struct.Struct(">qi")  # first offset, and the bytes that follow
_HEADER = struct.Struct(">qiibIhiqqqhii")
_ATTRIBUTES = struct.Struct(">h")
_CONTROL_KEY = struct.Struct(">hh")  # version, kind
_ABORT = 0
_MAGIC_AT = 16
_CHECKED_FROM = 21
_PRESENT_MAGIC = 2
_LEAST_BYTES = 26  # a record without key and value in the oldest format
_CODEC, _APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
# The broker looks up the end of the partition before it reads, so a few records may lie behind that end.
_FAR = 10_000_000


class BatchFault(Exception):  # noqa: N818 - a finding about the log, not a fault of this program
    """The next bytes of a partition are no batch that can be read; the message says why."""


class Header(NamedTuple):
    """The first 61 bytes of a batch of the present format."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    checksum: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int


class Batch:
    """A batch whose frame is whole and whose checksum is right.

    Args:
        data: its bytes.
        header: their beginning; None in the formats before the present one.

    Raises:
        BatchFault: an earlier format, and damaged.
    """

    def __init__(self, data: memoryview, header: Header | None) -> None:
        self.data = data
        self._header = header
        self._legacy: Any = None
        if header is None:
            self._legacy = _legacy(data)
            self.base_offset = self.last_offset = int(self._legacy.next_offset) - 1
            self.producer_id, attributes = -1, 0
        else:
            self.base_offset, self.last_offset = header.base_offset, header.base_offset + header.last_offset_delta
            self.producer_id, attributes = header.producer_id, header.attributes
        self.is_control = bool(attributes & _CONTROL)
        self.is_transactional = bool(attributes & _TRANSACTIONAL)

    @property
    def is_abort_marker(self) -> bool:
        """Whether it says that a transaction was aborted. Compaction may leave a marker empty: then it says nothing."""
        if self._header is None or not self.is_control:
            return False
        payload = self.data[_HEADER.size :]
        key = next((record.key for record in lenient_records(payload, self._frame, behind=0)), None) or b""
        return len(key) >= _CONTROL_KEY.size and _CONTROL_KEY.unpack_from(key)[1] == _ABORT

    @property
    def _frame(self) -> Frame:
        header = self._header
        if header is None:
            return Frame(self.base_offset, self.last_offset, 1, -1, appended=False)
        appended = bool(header.attributes & _APPEND_TIME)
        timestamp = header.max_timestamp if appended else header.first_timestamp
        return Frame(self.base_offset, self.last_offset, header.records, timestamp, appended)

    def records(self, *, behind: int) -> Iterator[Any]:
        """Yield the records from offset `behind` on, each a `RawRecord` or one of aiokafka's with the same fields.

        Those of aiokafka have no `unreadable`.
        """
        header = self._header
        if header is None:
            _, said = yield from _tried(self._legacy, behind, self.last_offset)
            if said is not None:
                yield self._whole(said)
            return
        payload: bytes | memoryview = self.data[_HEADER.size :]
        if codec := header.attributes & _CODEC:
            try:
                payload = decompress(codec, self.data[_HEADER.size :])
            except TooLargeError:
                yield self._whole(f"it holds more than {MAX_BATCH_BYTES} bytes", kind="too_large")
                return
            except Exception as error:  # noqa: BLE001 - each codec's library has its own
                yield self._whole(f"{CODECS[codec]} cannot read it: {error}")
                return
        plain = header._replace(attributes=header.attributes & ~_CODEC)
        fast = DefaultRecordBatch(b"".join((_HEADER.pack(*plain), payload)))
        behind, said = yield from _tried(fast, behind, self.last_offset)
        if said is not None:
            yield from lenient_records(memoryview(payload), self._frame, behind=behind)

    def _whole(self, said: str, kind: str = "unreadable") -> RawRecord:
        """Return the batch as one record, at its last offset: what reads on behind that does not meet it again."""
        RECORD_FAULTS.labels(kind).inc()
        where = f"the batch of offsets {self.base_offset} to {self.last_offset}"
        frame = self._frame
        return RawRecord(
            self.last_offset,
            frame.timestamp,
            int(frame.appended),
            None,
            bytes(self.data),
            [],
            unreadable=f"{where}: {said}",
        )


def batch_at(data: memoryview, position: int, *, behind: int, end: int) -> Batch | None:
    """Return the batch that begins at a position of what was fetched; None where the rest is no whole one.

    Args:
        data: what the broker sent of one partition.
        position: in it.
        behind: the batch's first offset must not be before it.
        end: of the partition, as the broker said.

    Raises:
        BatchFault: these bytes are no batch, a damaged one, or one of a format that is not known here.
    """
    if len(data) - position < _FRAME.size:
        return None
    first, length = _FRAME.unpack_from(data, position)
    if length < _LEAST_BYTES - _FRAME.size:
        raise BatchFault(f"a batch of {length} bytes")
    frame = data[position : position + _FRAME.size + length]
    if len(frame) < _FRAME.size + length:
        return None
    magic = frame[_MAGIC_AT]
    if magic > _PRESENT_MAGIC:
        raise BatchFault(f"a batch of format {magic}; the latest that is known here is {_PRESENT_MAGIC}")
    if magic < _PRESENT_MAGIC:
        return Batch(frame, None)
    if len(frame) < _HEADER.size:
        raise BatchFault(f"a batch of {len(frame)} bytes")
    header = Header(*_HEADER.unpack_from(frame))
    if calc_crc32c(frame[_CHECKED_FROM:].tobytes()) != header.checksum:
        raise BatchFault(f"the checksum of the batch at offset {first} is wrong: {len(frame)} bytes are damaged")
    # The checksum does not cover the first offset.
    if header.last_offset_delta < 0 or not behind <= first <= end + _FAR:
        raise BatchFault(f"a batch at offset {first} where one from {behind} on was expected")
    if header.attributes & _CODEC not in CODECS:
        raise BatchFault(f"the batch at offset {first} is compressed in a way that is not known here")
    return Batch(frame, header)


def _legacy(data: memoryview) -> Any:
    """Return a batch of the formats before the present one.

    Raises:
        BatchFault: it is damaged.
    """
    try:
        batch: Any = MemoryRecords(bytes(data)).next_batch()
        sound = batch.validate_crc()
    except Exception as error:
        raise BatchFault(f"a record of an old format: {error}") from error
    if not sound:
        raise BatchFault(f"the checksum of a record of an old format is wrong: {len(data)} bytes are damaged")
    return batch


def _tried(batch: Any, behind: int, end: int) -> Generator[Any, None, tuple[int, str | None]]:
    """Yield aiokafka's records; return the offset behind the last, and why it read no further, if that is not the end.

    Args:
        batch: of aiokafka.
        behind: least offset.
        end: largest offset.
    """
    last = -1
    try:
        records = iter(batch)
    except Exception as error:  # noqa: BLE001 - whatever it is, the fetch goes on
        return behind, f"{type(error).__name__}: {error}"
    while True:
        try:
            record = next(records)
        except StopIteration:
            return behind, None
        except Exception as error:  # noqa: BLE001 - as above
            return behind, f"{type(error).__name__}: {error}"
        if not last < record.offset <= end:
            return behind, f"offset {record.offset} behind {last}"
        last = record.offset
        if last >= behind:
            yield record
            behind = last + 1
