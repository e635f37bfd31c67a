"""Avro: records by their writer's schema."""

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from uuid import UUID

import fastavro

from worker.labelling.registry.schema import Reference, SchemaError, no_record

_DIGITS = 512


class AvroSchema:
    """Reads records of one schema.

    Args:
        schema: as JSON.
        references: named types that it refers to, those first that others refer to.

    Raises:
        SchemaError: it is no Avro schema.
    """

    def __init__(self, schema: str, references: Sequence[Reference] = ()) -> None:
        named: dict[str, dict[str, object]] = {}
        try:
            for reference in references:
                fastavro.parse_schema(json.loads(reference.schema), named_schemas=named)
            self._schema = fastavro.parse_schema(json.loads(schema), named_schemas=named)
        except Exception as error:  # fastavro raises what Python does
            raise SchemaError(f"no Avro schema: {str(error).partition(chr(10))[0]!r}") from error

    def read(self, payload: bytes) -> object:
        """Return what a record says; raises InvalidRecordError where it is none."""
        try:
            return _plain(fastavro.schemaless_reader(BytesIO(payload), self._schema, None))
        except Exception as error:  # fastavro raises what Python does: EOFError, IndexError, UnicodeDecodeError, …
            raise no_record("Avro", error) from error


def _plain(value: object) -> object:
    """Types that JSON does not have as those that it has; bytes and moments stay."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return _number(value)
    # What is left of these is written as people write it.
    odd = isinstance(value, UUID | timedelta | date | time) and not isinstance(value, datetime)
    return str(value) if odd else value


def _number(value: Decimal) -> int | float:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) <= _DIGITS and value == value.to_integral_value():
        return int(value)
    return float(value)
