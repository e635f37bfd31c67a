"""Protobuf: messages by the descriptors that a registry gives."""

import base64
import binascii
from collections.abc import Sequence

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor

from worker.errors import InvalidRecordError
from worker.labelling.registry.schema import Reference, SchemaError, no_record

_KNOWN = (
    any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2,
)  # fmt: skip
_MOST_INDEXES = 16
_VARINT_BYTES = 10


class ProtobufSchema:
    """Reads messages of one file's types.

    Args:
        schema: the file's descriptor, serialised, in base64.
        references: files that it imports, those first that others import.

    Raises:
        SchemaError: it is no descriptor.
    """

    def __init__(self, schema: str, references: Sequence[Reference] = ()) -> None:
        pool = descriptor_pool.DescriptorPool()
        for module in _KNOWN:
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        try:
            for reference in references:
                file = _file_of(reference.schema)
                file.name = reference.name
                pool.Add(file)
            file = _file_of(schema)
            # The registry gives it no name, or the name of another file.
            file.name = "record.proto"
            pool.Add(file)
            self._file = pool.FindFileByName("record.proto")
        except (TypeError, ValueError, KeyError) as error:
            raise SchemaError(f"no Protobuf descriptor: {str(error).partition(chr(10))[0]}") from error
        self._types = [self._file.message_types_by_name[one.name] for one in file.message_type]

    def read(self, payload: bytes) -> object:
        """Return what a record says, by the names in the schema; raises InvalidRecordError where it is none."""
        indexes, start = _indexes(payload)
        message = message_factory.GetMessageClass(self._type(indexes))()
        try:
            message.ParseFromString(payload[start:])
            return json_format.MessageToDict(message, preserving_proto_field_name=True)
        except Exception as error:  # the parser's own errors are not Python's
            raise no_record("Protobuf", error) from error

    def _type(self, indexes: Sequence[int]) -> Descriptor:
        types = self._types
        try:
            for index in indexes[:-1]:
                types = types[index].nested_types
            return types[indexes[-1]]
        except IndexError as error:
            raise no_record("Protobuf", error) from error


def _file_of(schema: str) -> descriptor_pb2.FileDescriptorProto:
    try:
        return descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(schema, validate=True))
    except (binascii.Error, ValueError) as error:
        raise SchemaError("the registry gives Protobuf's source, not its descriptor (format=serialized)") from error
    except Exception as error:
        raise SchemaError(f"no Protobuf descriptor: {error}") from error


def _indexes(payload: bytes) -> tuple[list[int], int]:
    """Return which of the file's types a record is of, and where its message begins."""
    count, start = _varint(payload, 0)
    if not count:
        return [0], start
    if not 0 < count <= _MOST_INDEXES:
        raise _no_head()
    indexes = []
    for _ in range(count):
        index, start = _varint(payload, start)
        if index < 0:
            raise _no_head()
        indexes.append(index)
    return indexes, start


def _varint(payload: bytes, start: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(payload[start : start + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            # Zigzag: signed numbers of which small ones are short.
            return (value >> 1) ^ -(value & 1), start + place + 1
    raise _no_head()


def _no_head() -> InvalidRecordError:
    return InvalidRecordError("decode", "record: no Protobuf behind the registry's header", reason="not_of_schema")
