"""Dead letter: a record that could not be processed, its bytes untouched, the reason in its headers.

The header names are those of Kafka Connect's dead-letter queues, so that tools which know them read these too.
"""

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

_PREFIX = "__connect.errors."
Headers = Sequence[tuple[str, bytes | None]]  # Kafka knows headers without a value


class DeadLetter(BaseModel):
    """Why a record is on the dead-letter topic, and where it came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str = Field(serialization_alias=f"{_PREFIX}topic")
    partition: int = Field(ge=0, serialization_alias=f"{_PREFIX}partition")
    offset: int = Field(ge=0, serialization_alias=f"{_PREFIX}offset")
    stage: str = Field(serialization_alias=f"{_PREFIX}stage")
    exception_class_name: str = Field(serialization_alias=f"{_PREFIX}exception.class.name")
    exception_message: str = Field(serialization_alias=f"{_PREFIX}exception.message")

    def headers(self, record_headers: Headers = ()) -> list[tuple[str, bytes | None]]:
        """Return the record's own headers followed by the reason; an earlier reason is replaced."""
        reason: Headers = [
            (name, str(value).encode(errors="replace")) for name, value in self.model_dump(by_alias=True).items()
        ]
        return [*own_headers(record_headers), *reason]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes | None]]) -> Self:
        """Read the reason back from a dead letter's headers.

        Raises:
            pydantic.ValidationError: a header is missing or is not what it should be.
        """
        alias = {str(field.serialization_alias): name for name, field in cls.model_fields.items()}
        return cls.model_validate(
            {alias[key]: value.decode() for key, value in headers if key in alias and value is not None}
        )


def own_headers(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Return the headers that are a record's own, without a reason."""
    return [(name, value) for name, value in headers if not name.startswith(_PREFIX)]
