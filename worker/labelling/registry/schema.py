"""A registry's schema as what it is for: bytes to what a record says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.errors import InvalidRecordError


class SchemaError(Exception):
    """A schema that cannot be used."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A schema that another one refers to.

    Args:
        name: by which it does.
        schema: Avro as JSON, or a Protobuf descriptor in base64.
    """

    name: str
    schema: str


class RegistrySchema(Protocol):
    """Reads records of one schema."""

    def read(self, payload: bytes) -> object:
        """Return what a record says, in the types of JSON, bytes and times.

        Args:
            payload: the record behind the registry's five bytes.

        Raises:
            InvalidRecordError: it is no record of this schema.
        """
        ...


def schema_of(kind: str, schema: str, references: Sequence[Reference]) -> RegistrySchema:
    """Return what reads records of a schema.

    Args:
        kind: as the registry names it: AVRO, PROTOBUF, JSON.
        schema: Avro as JSON, or a Protobuf descriptor in base64.
        references: those first that others refer to.

    Raises:
        SchemaError: it is none, or of another kind.
    """
    try:
        if kind == "AVRO":
            from worker.labelling.registry.avro import AvroSchema

            return AvroSchema(schema, references)
        if kind == "PROTOBUF":
            from worker.labelling.registry.protobuf import ProtobufSchema

            return ProtobufSchema(schema, references)
    except ImportError as error:
        raise SchemaError(f"{kind} needs the extra 'registry' ({error.name} is not installed)") from error
    raise SchemaError(f"{kind} is not read")


def no_record(kind: str, error: BaseException) -> InvalidRecordError:
    """Return the rejection of what is no record of its schema."""
    said = str(error).partition("\n")[0][:200] or type(error).__name__
    return InvalidRecordError("decode", f"record: no {kind} of its schema: {said}", reason="not_of_schema")
