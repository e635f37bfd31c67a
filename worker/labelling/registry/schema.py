"""A registry's schema as what it is for: bytes to what a record says."""

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


def no_record(kind: str, error: BaseException) -> InvalidRecordError:
    """Return the rejection of what is no record of its schema."""
    # Its message may quote the record.
    said = f"record: no {kind} of its schema: {type(error).__name__}"
    return InvalidRecordError("decode", said, reason="not_of_schema")
