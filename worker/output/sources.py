"""Which record an output is of: what labels say in `source`, and dead letters in their headers."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from schemas import DeadLetter, Source
from worker.items import Headers
from worker.output.records import GROUP_HEADER, LETTER_GROUP_HEADER


class Output(Protocol):
    """What is used of a record on an output topic."""

    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102


def read_label(value: bytes | None) -> Mapping[str, Any] | None:
    """Return the fields of a label; None where the bytes are no JSON object."""
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def source_in(label: Mapping[str, Any]) -> Source | None:
    """Return where the post of a label stands; None where the label does not say."""
    source = label.get("source")
    try:
        return Source(
            topic=str(source["topic"]),  # type: ignore[index]
            partition=_number(source["partition"]),  # type: ignore[index]
            offset=_number(source["offset"]),  # type: ignore[index]
        )
    except (KeyError, TypeError, ValueError):
        return None


def source_of_letter(headers: Headers) -> Source | None:
    """Return where the post of a dead letter stood; None where its headers do not say it as the worker does."""
    try:
        reason = DeadLetter.from_headers(headers)
    except (ValidationError, UnicodeDecodeError):
        return None
    return Source(topic=reason.topic, partition=reason.partition, offset=reason.offset)


def reads_outputs_of(group_id: str, posts_topic: str) -> Callable[[Output], int | None]:
    """Return what tells the offset of the post of an output that a group wrote; None of any other record.

    Args:
        group_id: of the group.
        posts_topic: where its posts stand.
    """
    group = group_id.encode()

    def reads(record: Output) -> int | None:
        headers = dict(record.headers)
        if headers.get(LETTER_GROUP_HEADER) == group:
            source = source_of_letter(record.headers)
        elif headers.get(GROUP_HEADER) == group:
            source = source_in(read_label(record.value) or {})
        else:
            return None
        ours = source is not None and (source.topic, source.partition) == (posts_topic, record.partition)
        return source.offset if source is not None and ours else None

    return reads


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    return value
