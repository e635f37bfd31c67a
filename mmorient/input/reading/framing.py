"""What stands before a record's JSON, or in its place: the headers of schema registries, and formats that are none."""

from __future__ import annotations

from mmorient.errors import PostError

_MAGIC = 0
# Bytes before the record: Confluent's (magic, four of the schema's id), Apicurio's (eight of it), those of AWS Glue
# (version, compression, sixteen of the schema's id).
_CONFLUENT, _APICURIO, _GLUE = 5, 9, 18
_GLUE_HEAD = b"\x03\x00"
# Formats that are known by how they begin, and what a person can do.
_OTHERS = (
    (b"\x1f\x8b", "gzip: leave compressing to Kafka (compression.type of the producer)"),
    (b"\x28\xb5\x2f\xfd", "zstd: leave compressing to Kafka (compression.type of the producer)"),
    (b"\x04\x22\x4d\x18", "lz4: leave compressing to Kafka (compression.type of the producer)"),
    (b"Obj\x01", "an Avro file: send its rows"),
    (b"\xc3\x01", "Avro in its single-object encoding: send it with a Schema Registry header"),
    (b"PAR1", "a Parquet file: moderate import sends its rows"),
    (b"\xac\xed\x00\x05", "a serialised Java object: send JSON"),
    (b"<?xml", "XML: send JSON"),
)


def unframed(value: bytes) -> bytes:
    """Return a record without what a schema registry's serialiser puts before its JSON.

    Raises:
        PostError: It is no JSON, and it is plain what it is instead.
    """
    if not value:
        raise PostError("the record is empty", "empty")
    for begin, name in _OTHERS:
        if value.startswith(begin):
            raise PostError(f"record: is {name}", "unsupported")
    if value[0] == _MAGIC:
        for length in (_CONFLUENT, _APICURIO):
            if _is_object(value, length):
                return value[length:]
        if schema_id(value) is not None and not _is_utf16(value):
            raise PostError(
                "record: Avro or Protobuf behind a Schema Registry header: install the extra 'registry' and set "
                "MODERATE_KAFKA__REGISTRY_URL",
                "unsupported",
            )
    if value.startswith(_GLUE_HEAD) and _is_object(value, _GLUE):
        return value[_GLUE:]
    return value


def schema_id(value: bytes) -> int | None:
    """Return the id of the schema that a record names in Confluent's header; None where there is no such header."""
    if len(value) <= _CONFLUENT or value[0] != _MAGIC or _is_utf16(value):
        return None
    return int.from_bytes(value[1:_CONFLUENT])


def is_registry_json(value: bytes) -> bool:
    """Whether a record behind Confluent's header is JSON."""
    return _is_object(value, _CONFLUENT)


def _is_object(value: bytes, start: int) -> bool:
    return value[start : start + 8].lstrip(b" \t\r\n")[:1] == b"{"


def _is_utf16(value: bytes) -> bool:
    """Big-endian UTF-16 and UTF-32 begin with zeros too."""
    return value[1:2] in {b"{", b"["} or value[:4] in {b"\0\0\0{", b"\0\0\xfe\xff", b"\0\0\0["}
