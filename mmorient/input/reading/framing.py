"""What stands before a record's JSON, or in its place: the headers of schema registries, and formats that are none."""

from __future__ import annotations

from mmorient.errors import PostError

_MAGIC = 0
# Bytes before the record: Confluent's (magic, four of the schema's id), Apicurio's (eight of it), those of AWS Glue
# (version, compression, sixteen of the schema's id).
REGISTRY_HEADER_BYTES, _APICURIO, _GLUE = 5, 9, 18
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
        if (length := _json_behind(value)) is not None:
            return value[length:]
        if registered_schema(value) is not None:
            raise PostError(
                "record: Avro or Protobuf behind a Schema Registry header: install the extra 'registry' and set "
                "MODERATE_KAFKA__REGISTRY_URL",
                "unsupported",
            )
    if value.startswith(_GLUE_HEAD) and value[_GLUE : _GLUE + 1] == b"{":
        return value[_GLUE:]
    return value


def registered_schema(value: bytes) -> int | None:
    """Return the id of the schema by which a record is to be read; None where it needs none, as JSON does."""
    if len(value) <= REGISTRY_HEADER_BYTES or value[0] != _MAGIC or _is_utf16(value):
        return None
    return None if _json_behind(value) is not None else int.from_bytes(value[1:REGISTRY_HEADER_BYTES])


def _json_behind(value: bytes) -> int | None:
    """Return the length of a registry's header before an object of JSON."""
    if value[REGISTRY_HEADER_BYTES : REGISTRY_HEADER_BYTES + 1] == b"{":
        return REGISTRY_HEADER_BYTES
    # Confluent's ids begin at 1, so that four zeros are the first half of a longer one.
    is_longer = value[1:REGISTRY_HEADER_BYTES] == bytes(4) and value[_APICURIO : _APICURIO + 1] == b"{"
    return _APICURIO if is_longer else None


def _is_utf16(value: bytes) -> bool:
    """Big-endian UTF-16 and UTF-32 begin with zeros too."""
    return value[1:2] in {b"{", b"["} or value[:4] in {b"\0\0\0{", b"\0\0\xfe\xff", b"\0\0\0["}
