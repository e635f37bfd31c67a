"""Record batches made by hand, with what no client library writes, and the way to bring them to a broker."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
CRC_AT, CHECKED_FROM = 17, 21
TRANSACTIONAL, CONTROL = 0x10, 0x20
NOW = 1_790_000_000_000


def varint(number: int) -> bytes:
    """Return a number as Kafka writes it."""
    left = (number << 1 ^ number >> 63) & (1 << 64) - 1
    out = bytearray()
    while left > 0x7F:
        out.append(0x80 | left & 0x7F)
        left >>= 7
    return bytes([*out, left])


def sized(content: bytes | None) -> bytes:
    """Return bytes behind their length; -1 stands for none."""
    return varint(-1) if content is None else varint(len(content)) + content


@dataclass(frozen=True)
class Made:
    """A record.

    Args:
        value, key, headers: of the record; names of headers as bytes.
        time: milliseconds since the batch's.
        body: its bytes behind the length, in the place of all that.
    """

    value: bytes | None = b"v"
    key: bytes | None = b"k"
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    time: int = 0
    body: bytes | None = field(default=None)

    def written(self, offset: int) -> bytes:
        """Return its bytes."""
        headers = b"".join(sized(name) + sized(value) for name, value in self.headers)
        count = varint(len(self.headers))
        own = b"\0" + varint(self.time) + varint(offset) + sized(self.key) + sized(self.value) + count + headers
        return sized(own if self.body is None else self.body)


def batch(
    records: Sequence[Made],
    *,
    first: int = 0,
    attributes: int = 0,
    timestamp: int = NOW,
    producer: int = -1,
    last_delta: int | None = None,
    payload: bytes | None = None,
) -> bytes:
    """Return a batch with a right checksum.

    Args:
        records: in it.
        first: its first offset.
        attributes: codec, and what it is.
        timestamp: of its first and its last record.
        producer: its number.
        last_delta: of its last offset; by default as many as there are records.
        payload: what stands for the records, such as their compressed bytes.
    """
    last = len(records) - 1 if last_delta is None else last_delta
    content = written(records) if payload is None else payload
    made = HEADER.pack(
        first,
        0,
        0,
        2,
        0,
        attributes,
        last,
        timestamp,
        timestamp,
        producer,
        0 if producer >= 0 else -1,
        -1,
        len(records),
    )
    return sealed(made + content)


def written(records: Sequence[Made]) -> bytes:
    """Return the records of a batch, not compressed."""
    return b"".join(record.written(offset) for offset, record in enumerate(records))


def sealed(made: bytes) -> bytes:
    """Return a batch with its length and checksum set right."""
    checksum = calc_crc32c(made[CHECKED_FROM:])
    return (
        made[:8]
        + struct.pack(">i", len(made) - 12)
        + made[12:CRC_AT]
        + struct.pack(">I", checksum)
        + made[CHECKED_FROM:]
    )


def marker(*, producer: int, first: int, aborted: bool) -> bytes:
    """Return the marker that ends a transaction."""
    key = struct.pack(">hh", 0, 0 if aborted else 1)
    return batch([Made(b"\0" * 6, key)], first=first, attributes=TRANSACTIONAL | CONTROL, producer=producer)


async def produce(bootstrap_servers: str, topic: str, partition: int, made: bytes) -> int:
    """Write a batch as it is; return its first offset."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        request = ProduceRequest(
            transactional_id=None, required_acks=-1, timeout=10_000, topics=[(topic, [(partition, made)])]
        )
        response: Any = await client.send(leader, request)
        ((_, ((_, code, offset, *_),)),) = response.topics
        if code:
            raise for_code(code)(f"{topic}[{partition}]")
        return int(offset)
    finally:
        await client.close()
