"""What is read of record batches: everything that aiokafka reads, in the same words, and much that it does not."""

import gzip
import random
import struct
from collections.abc import Sequence
from typing import Any

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import KafkaError
from aiokafka.record.memory_records import MemoryRecords

from tests.tiers import some_slow
from tests.worker.raw_batches import (
    CHECKED_FROM,
    CONTROL,
    NOW,
    TRANSACTIONAL,
    Made,
    batch,
    marker,
    sealed,
    sized,
    written,
)
from worker.broker.decompression import MAX_BATCH_BYTES, TooLargeError, decompress
from worker.broker.fetching import FetchedRecord, PartitionReader
from worker.broker.record_batches import BatchFault
from worker.telemetry.metrics import sample

SOURCE = TopicPartition("posts", 3)
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
XERIAL = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)


def snapped(data: bytes) -> bytes:
    """Return bytes as Java's library writes them."""
    block = bytes(cramjam.snappy.compress_raw(data))
    return XERIAL + struct.pack(">i", len(block)) + block


COMPRESS = {
    GZIP: gzip.compress,
    SNAPPY: snapped,
    LZ4: lambda data: bytes(cramjam.lz4.compress(data)),
    ZSTD: lambda data: bytes(cramjam.zstd.compress(data)),
}


def reader(data: bytes, *, offset: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> PartitionReader:
    """Return a reader of what a broker sent."""
    return PartitionReader(SOURCE, data, offset=offset, end=1_000, aborted=aborted)


def of_aiokafka(data: bytes, *, offset: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> Any:
    """Return what aiokafka reads the same bytes with."""
    return PartitionRecords(
        SOURCE, MemoryRecords(data), list(aborted), offset, None, None, check_crcs=True, isolation_level=READ_COMMITTED
    )


def fields(record: Any) -> tuple[Any, ...]:
    """Return what a record says, but for what only this project's readers know."""
    return record.offset, record.timestamp, record.timestamp_type, record.key, record.value, record.headers


def values(records: Sequence[FetchedRecord]) -> list[bytes | None]:
    """Return the values of readable records."""
    return [record.value for record in records if record.unreadable is None]


GOOD = [
    Made(b"first", b"a", [(b"traceparent", b"00-1-2-01"), ("né".encode(), b"")], time=3),
    Made(None, b"b"),
    Made(b"", None, [(b"x", None), (b"x", b"twice")], time=-5),
]


@pytest.mark.parametrize("codec", [0, *COMPRESS], ids=["none", "gzip", "snappy", "lz4", "zstd"])
def test_sound_batches_are_read_as_aiokafka_reads_them(codec: int) -> None:
    """Records, positions and the end are aiokafka's: all codecs, transactions, compaction, a start in a batch."""

    def packed(records: Sequence[Made], **about: Any) -> bytes:
        about["attributes"] = about.get("attributes", 0) | codec
        return batch(records, payload=COMPRESS[codec](written(records)) if codec else None, **about)

    batches = [
        packed(GOOD, first=4),
        packed(GOOD, first=10, attributes=TRANSACTIONAL, producer=7),
        packed([Made(b"kept")], first=20, last_delta=5),
        marker(producer=7, first=26, aborted=True),
        packed(GOOD, first=27, attributes=TRANSACTIONAL, producer=7, timestamp=NOW + 9),
        marker(producer=7, first=30, aborted=False),
        packed(GOOD, first=40, attributes=0x08),
        packed(GOOD, first=60)[:-3],
    ]
    for number, start in ((0, 0), (0, 4), (0, 5), (1, 12), (2, 22), (2, 24)):
        data = b"".join(batches[number:])
        ours, theirs = reader(data, offset=start, aborted=[(7, 10)]), of_aiokafka(data, offset=start, aborted=[(7, 10)])
        assert [fields(record) for record in ours] == [fields(record) for record in theirs]
        assert ours.next_fetch_offset == theirs.next_fetch_offset == 43


def test_each_record_says_from_where_it_was_read() -> None:
    """Between `read_from` and a record are markers, aborted records and gaps, and no record that was passed over."""
    data = b"".join(
        [
            batch(GOOD, first=5),
            batch(GOOD, first=8, attributes=TRANSACTIONAL, producer=7),
            marker(producer=7, first=11, aborted=True),
            batch([Made(b"late")], first=30),
        ]
    )
    assert [(record.read_from, record.offset) for record in reader(data, offset=2, aborted=[(7, 8)])] == [
        (2, 5),
        (6, 6),
        (7, 7),
        (8, 30),
    ]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\xed\xa0\x80", b"caf\xe9", b"\xc0\x80"])
def test_a_header_name_that_is_not_utf_8_costs_nothing(name: bytes) -> None:
    """The record is read, its name escaped so that it can be written again; aiokafka ends in the middle."""
    data = batch([Made(b"before"), Made(b"odd", b"key", [(name, b"1"), (b"ok", None)]), Made(b"behind")])
    with pytest.raises(UnicodeDecodeError):
        list(of_aiokafka(data))
    counted = sample("moderate_record_faults_total", kind="header_name")
    records = list(reader(data))
    assert values(records) == [b"before", b"odd", b"behind"]
    assert records[1].key == b"key"
    (escaped, value), plain = records[1].headers
    assert (value, plain) == (b"1", ("ok", None))
    assert escaped.encode().decode("unicode_escape").encode("latin-1") == name
    assert sample("moderate_record_faults_total", kind="header_name") == counted + 1


UNREADABLE = {
    "value longer than the record": Made(body=b"\0\0\2" + sized(b"k") + b"\xfe\xff\xff\x0fabc"),
    "a number without an end": Made(body=b"\0\0\2" + b"\xff" * 12),
    "minus one header": Made(body=b"\0\0\2" + sized(b"k") + sized(b"v") + b"\1"),
    "many headers": Made(body=b"\0\0\2" + sized(b"k") + sized(b"v") + b"\xfe\xff\xff\xff\x0f"),
    "a header without a name": Made(body=b"\0\0\2" + sized(b"k") + sized(b"v") + b"\2" + b"\1" + sized(b"x")),
    "bytes behind the headers": Made(body=b"\0\0\2" + sized(b"k") + sized(b"v") + b"\0more"),
    "nothing": Made(body=b"\0"),
    "an offset far away": Made(body=b"\0\0" + b"\xfe\xff\xff\x0f" + sized(b"k") + sized(b"v") + b"\0"),
}


@pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE)
def test_a_record_that_cannot_be_read_keeps_its_bytes(bad: Made) -> None:
    """It stands at its place with all its bytes and a reason; its neighbours are read."""
    records = list(reader(batch([Made(b"before"), bad, Made(b"behind")])))
    assert values(records) == [b"before", b"behind"]
    assert [record.offset for record in records] == [0, 1, 2]
    assert records[1].unreadable
    assert records[1].value == bad.body
    assert records[1].key is None


def test_where_records_cannot_be_told_apart_the_rest_keeps_its_bytes() -> None:
    """A length that is none leaves one record for the rest of the batch, at the batch's last offset."""
    rest = b"\xfe\xff\xff\x0f" + b"some bytes"
    data = batch([Made(b"before")], last_delta=5, payload=written([Made(b"before")]) + rest)
    behind = batch([Made(b"next")], first=6)
    records = list(reader(data + behind))
    assert [(record.offset, record.value) for record in records] == [(0, b"before"), (5, rest), (6, b"next")]
    assert records[1].unreadable
    # A lane that goes on behind it does not meet it again.
    assert [record.value for record in reader(behind, offset=6)] == [b"next"]


@pytest.mark.parametrize("codec", COMPRESS, ids=["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_that_cannot_be_decompressed_keeps_its_bytes(codec: int) -> None:
    """Garbage, a truncated stream and one of gigabytes are one record each, behind which reading goes on."""
    whole = COMPRESS[codec](written([Made(random.Random(1).randbytes(3000))]))
    behind = batch([Made(b"next")], first=8)
    for payload in (b"", b"\x17garbage", whole[:-40]):
        data = batch([], last_delta=7, attributes=codec, payload=payload)
        first, second = reader(data + behind)
        assert (first.offset, first.value, second.value) == (7, data, b"next")
        assert "0 to 7" in (first.unreadable or "")


@pytest.mark.parametrize("codec", some_slow(COMPRESS, {"1", "3"}), ids=["gzip", "snappy", "lz4", "zstd"])
def test_a_bomb_is_not_unpacked(codec: int) -> None:
    """What grows beyond the bound stays packed; what just fits is read."""
    data = bytes(MAX_BATCH_BYTES + 1)
    packed = memoryview(COMPRESS[codec](data))
    with pytest.raises(TooLargeError):
        decompress(codec, packed)
    assert len(decompress(codec, memoryview(COMPRESS[codec](data[:-1])))) == MAX_BATCH_BYTES
    (record,) = reader(batch([], last_delta=2, attributes=codec, payload=bytes(packed)))
    assert "more than" in (record.unreadable or "")
    assert sample("moderate_record_faults_total", kind="too_large") >= 1


def test_streams_may_follow_each_other() -> None:
    """Gzip members, zstd and lz4 frames and snappy streams behind one another are one batch, as Java reads them."""
    halves = b"one half, ", b"and the other"
    for codec, compress in COMPRESS.items():
        assert bytes(decompress(codec, memoryview(b"".join(map(compress, halves))))) == b"".join(halves)
    raw = bytes(cramjam.snappy.compress_raw(halves[0]))
    assert bytes(decompress(SNAPPY, memoryview(raw))) == halves[0]


def test_a_marker_that_compaction_emptied_is_passed_over() -> None:
    """aiokafka refuses a control batch without records, and a compacted topic may have one."""
    empty = batch([], first=3, last_delta=0, attributes=TRANSACTIONAL | CONTROL, producer=7)
    data = batch(GOOD) + empty + batch([Made(b"next")], first=4)
    with pytest.raises(KafkaError, match="did not contain any records"):
        list(of_aiokafka(data))
    assert [record.offset for record in reader(data)] == [0, 1, 2, 4]


def flipped(data: bytes, at: int) -> bytes:
    """Return bytes of which one is another."""
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


DAMAGE = {
    "a byte of a record": flipped(batch([Made(b"lost")], first=3), 70),
    "the checksum": flipped(batch([Made(b"lost")], first=3), 18),
    "a later format": sealed(batch([Made(b"lost")], first=3)[:16] + b"\3" + batch([Made(b"lost")], first=3)[17:]),
    "the first offset, forward": struct.pack(">q", 2**50) + batch([Made(b"lost")], first=3)[8:],
    "the first offset, back": struct.pack(">q", 1) + batch([Made(b"lost")], first=3)[8:],
    "the length": batch([Made(b"lost")], first=3)[:8] + struct.pack(">i", 3) + batch([Made(b"lost")], first=3)[12:],
    "a negative length": batch([Made(b"lost")], first=3)[:8] + struct.pack(">i", -70) + b"\0" * 60,
    "an unknown codec": batch([Made(b"lost")], first=3, attributes=6),
    "an old format, damaged": struct.pack(">qiIbb", 3, 14, 1, 1, 0) + b"\0" * 8,
}


@pytest.mark.parametrize("bad", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_batch_ends_the_reading_before_it(bad: bytes) -> None:
    """What stands before it is handed out, the position stays there, and the next fetch says what is wrong."""
    records = reader(batch(GOOD) + bad + batch([Made(b"behind")], first=9))
    assert [record.offset for record in records] == [0, 1, 2]
    assert records.next_fetch_offset == 3
    with pytest.raises(BatchFault):
        reader(bad, offset=3)


def test_less_than_a_batch_is_said() -> None:
    """aiokafka would pass over one offset here, and with it a post."""
    with pytest.raises(BatchFault, match="no whole batch"):
        reader(batch(GOOD, first=3)[:50], offset=3)


def test_an_old_format_is_still_read() -> None:
    """Records that a broker has kept since before Kafka 0.11 come as aiokafka reads them, without headers."""
    from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

    for magic in (0, 1):
        builder = LegacyRecordBatchBuilder(magic=magic, compression_type=0, batch_size=1000)
        builder.append(5, timestamp=NOW, key=b"k", value=b"old")
        (record,) = reader(bytes(builder.build()), offset=5)
        assert (record.offset, record.key, record.value, record.headers) == (5, b"k", b"old", ())
        assert record.timestamp == (NOW if magic else -1)


def test_no_bytes_end_the_reading_in_any_other_way() -> None:
    """Of 20,000 mutated batches none raises anything but a fault; offsets only grow, and stay within the batch."""
    random_source = random.Random(18)
    sound = bytearray(batch([*GOOD, *GOOD], first=10))
    faults = 0
    for _ in range(20_000):
        made = bytearray(sound)
        low = random_source.choice([0, CHECKED_FROM, 61])
        for _ in range(random_source.randint(1, 4)):
            made[random_source.randrange(low, len(made))] = random_source.choice([0, 1, 0x7F, 0x80, 0xFF])
        if random_source.random() < 0.3:
            del made[random_source.randrange(61, len(made)) :]
        data = bytes(made) if low == 0 else sealed(bytes(made))
        try:
            found = list(reader(data, offset=10, aborted=[(0, 0)]))
        except BatchFault:
            faults += 1
            continue
        offsets = [record.offset for record in found]
        assert offsets == sorted(set(offsets))
    assert 1_000 < faults < 15_000
