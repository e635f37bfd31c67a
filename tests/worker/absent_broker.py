"""A broker that is registered and never there: partitions that have it for a replica are under their min ISR.

One broker alone cannot refuse a write for lack of replicas: it asks for no more of them than a partition has. So a
second one is registered by a single request to the controller, and partitions are given it as a second replica.
"""

import asyncio
import re
import struct
import uuid
from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path

from tests.worker.patience import within

_ABSENT = 2
_REGISTER, _REASSIGN, _ALTER_CONFIGS = 62, 45, 44
_TOPIC, _SET, _DELETE = 2, 0, 1
# Whatever level the cluster stands at, this broker says that it knows it.
_FEATURES = (
    "metadata.version", "kraft.version", "transaction.version", "group.version", "eligible.leader.replicas.version",
    "share.version", "streams.version",
)  # fmt: skip
_ANSWER_SECONDS = 15.0


async def register(folder: Path) -> None:
    """Register the absent broker in the cluster whose server runs in `folder`; once in its life."""
    cluster = _found(r"cluster\.id=(\S+)", folder / "kafka-data" / "meta.properties")
    port = _found(r"controller\.quorum\.voters=1@127\.0\.0\.1:(\d+)", folder / "server.properties")
    body = struct.pack(">i", _ABSENT) + _text(cluster) + uuid.uuid4().bytes
    body += _array([_text("PLAINTEXT") + _text("127.0.0.1") + struct.pack(">Hh", 9, 0) + _NO_TAGS])
    body += _array([_text(name) + struct.pack(">hh", 0, 100) + _NO_TAGS for name in _FEATURES])
    # No rack; no ZooKeeper; one log folder; no earlier epoch.
    body += _length(None) + b"\0" + _array([uuid.uuid4().bytes]) + struct.pack(">q", -1) + _NO_TAGS
    answer = await _ask(f"127.0.0.1:{port}", _REGISTER, 3, body)
    (code,) = struct.unpack_from(">h", answer, 4)
    assert code == 0, f"the controller refuses to register a broker: error {code}"


async def starve(kafka: str, topic: str, partitions: Collection[int]) -> None:
    """Give partitions fewer replicas in step than a write needs."""
    await _set_min_isr(kafka, topic, 2)
    await _reassign(kafka, topic, dict.fromkeys(partitions, (1, _ABSENT)))


async def mend(kafka: str, topic: str, partitions: Collection[int]) -> None:
    """Let partitions be written to again."""
    await _reassign(kafka, topic, dict.fromkeys(partitions))
    await _set_min_isr(kafka, topic, None)


async def _reassign(kafka: str, topic: str, replicas: dict[int, Sequence[int] | None]) -> None:
    entries = [
        struct.pack(">i", partition)
        + (_length(None) if chosen is None else _array([struct.pack(">i", one) for one in chosen]))
        + _NO_TAGS
        for partition, chosen in replicas.items()
    ]
    body = struct.pack(">i", 10_000) + _array([_text(topic) + _array(entries) + _NO_TAGS]) + _NO_TAGS
    answer = BytesIO(await _ask(kafka, _REASSIGN, 0, body))
    answer.read(4)
    codes = [_int16(answer)]
    _read_text(answer)
    for _ in range(_read_length(answer)):
        _read_text(answer)
        for _ in range(_read_length(answer)):
            answer.read(4)
            codes.append(_int16(answer))
            _read_text(answer)
            answer.read(1)
        answer.read(1)
    assert not any(codes), f"partitions of {topic} could not be reassigned: errors {codes}"


async def _set_min_isr(kafka: str, topic: str, count: int | None) -> None:
    operation = struct.pack(">b", _DELETE if count is None else _SET)
    config = _text("min.insync.replicas") + operation + (_length(None) if count is None else _text(str(count)))
    resource = struct.pack(">b", _TOPIC) + _text(topic) + _array([config + _NO_TAGS]) + _NO_TAGS
    answer = await _ask(kafka, _ALTER_CONFIGS, 1, _array([resource]) + b"\0" + _NO_TAGS)
    # Behind the throttle time and the number of responses, one.
    (code,) = struct.unpack_from(">h", answer, 5)
    assert code == 0, f"min.insync.replicas of {topic} could not be set: error {code}"


async def _ask(address: str, key: int, version: int, body: bytes) -> bytes:
    """Send a request of a flexible version; return the response behind its header."""
    host, _, port = address.rpartition(":")
    request = struct.pack(">hhih", key, version, 1, -1) + _NO_TAGS + body
    async with within(_ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(struct.pack(">i", len(request)) + request)
            (length,) = struct.unpack(">i", await reader.readexactly(4))
            # The correlation id, and no tags.
            return (await reader.readexactly(length))[5:]
        finally:
            writer.close()


_NO_TAGS = b"\0"


def _length(count: int | None) -> bytes:
    """Return the unsigned varint of a count and one; 0 where there is nothing."""
    rest, written = 0 if count is None else count + 1, bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*written, rest])


def _text(value: str) -> bytes:
    return _length(len(value.encode())) + value.encode()


def _array(entries: Sequence[bytes]) -> bytes:
    return _length(len(entries)) + b"".join(entries)


def _read_length(answer: BytesIO) -> int:
    found = shift = 0
    while (byte := answer.read(1)[0]) > 0x7F:
        found |= (byte & 0x7F) << shift
        shift += 7
    return max(0, (found | byte << shift) - 1)


def _read_text(answer: BytesIO) -> bytes:
    return answer.read(_read_length(answer))


def _int16(answer: BytesIO) -> int:
    (value,) = struct.unpack(">h", answer.read(2))
    return int(value)


def _found(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text(encoding="utf-8"))
    assert match is not None, f"{pattern} is not in {path}"
    return match.group(1)
