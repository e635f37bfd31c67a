"""A dead letter: one record of the dead-letter topic, or the parts of a large one, joined."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError

from schemas import DeadLetter, own_headers
from worker.broker.positions import Position
from worker.commands.dead_letters.verdicts import Verdict
from worker.items import Headers
from worker.output.records import ATTEMPT_HEADER, PART_HEADER, REPLAY_OF_HEADER

_MAX_DIGITS = 9
_FETCH = "fetch"  # the stage of what could not be read: its bytes are no record's value


@dataclass(frozen=True)
class Letter:
    """One dead letter.

    Args:
        position: of its record on the dead-letter topic, or of its first part.
        timestamp: when it was written, in milliseconds since the epoch.
        key, value: the post record's, untouched.
        headers: of the record, without the number of a part.
        offsets: of the records that it was written in.
    """

    position: Position
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, records: Sequence[ConsumerRecord]) -> Self:
        """Join the parts of a letter, all of them and in order; one record is one that is whole."""
        first = records[0]
        whole = first.value if len(records) == 1 else b"".join(record.value or b"" for record in records)
        headers = [(name, value) for name, value in first.headers if name != PART_HEADER]
        offsets = tuple(record.offset for record in records)
        return cls(Position.of(first), first.timestamp, first.key, whole, headers, offsets)

    @cached_property
    def reason(self) -> DeadLetter | None:
        """Why it is here; None where its headers do not say it as the worker does."""
        return reason_in(self.headers)

    @property
    def post(self) -> Position | None:
        """Where its post stood; None where the headers do not say."""
        reason = self.reason
        return None if reason is None else Position(reason.topic, reason.partition, reason.offset)

    @property
    def attempts(self) -> int | None:
        """How often its post was written again before it came here; None where the header is no such number."""
        found = [value for name, value in self.headers if name == ATTEMPT_HEADER and value is not None]
        numbers = [int(value) for value in found if value and value.isdigit() and len(value) <= _MAX_DIGITS]
        return max(numbers, default=0) if len(numbers) == len(found) else None

    @property
    def replay_of(self) -> str | None:
        """The position of the post before it was written again, as the header says."""
        value = dict(self.headers).get(REPLAY_OF_HEADER)
        return None if value is None else value.decode(errors="replace")

    @property
    def post_headers(self) -> list[tuple[str, bytes | None]]:
        """The post's own headers, without what the worker and a replay add."""
        return [
            (name, value)
            for name, value in own_headers(self.headers)
            if name not in {PART_HEADER, ATTEMPT_HEADER, REPLAY_OF_HEADER}
        ]

    @property
    def post_id(self) -> str | None:
        """The post's id; None where the bytes do not say."""
        return self._text_of("id")

    @property
    def community(self) -> str | None:
        """The post's community; None where the bytes do not say."""
        return self._text_of("community")

    def left_out(self, posts_topic: str) -> Verdict | None:
        """Return why there is no post that could be written to the posts topic; None where there is one."""
        post = self.post
        if post is None or self.reason is None or post.partition != self.position.partition:
            return Verdict.UNREADABLE
        if post.topic != posts_topic:
            return Verdict.OTHER_TOPIC
        if self.value is None:
            # Of an earlier version: written again, it would delete what has come under its key since.
            return Verdict.DELETION
        return Verdict.NO_RECORD if self.reason.stage == _FETCH else None

    def is_of(self, post_id: str) -> bool:
        """Return whether it is of this post, as far as bytes that are not JSON can tell."""
        if self._fields is not None:
            return self.post_id == post_id
        text = json.dumps(post_id, ensure_ascii=False).encode(errors="replace")
        return self.key == text[1:-1] or text in (self.value or b"")

    def _text_of(self, field: str) -> str | None:
        found = (self._fields or {}).get(field)
        return found if isinstance(found, str) else None

    @cached_property
    def _fields(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self.value or b"")
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


def reason_in(headers: Headers) -> DeadLetter | None:
    """Return the reason that headers carry; None where they do not carry it as the worker writes it."""
    try:
        return DeadLetter.from_headers(headers)
    except (ValidationError, UnicodeDecodeError, AttributeError):
        return None


def part_of(headers: Headers) -> tuple[int, int]:
    """Return the number and the count of a part; (1, 1) of a record that is whole."""
    number, _, count = (dict(headers).get(PART_HEADER) or b"").partition(b"/")
    if number.isdigit() and count.isdigit() and max(len(number), len(count)) <= _MAX_DIGITS and int(count) > 0:
        return int(number), int(count)
    return 1, 1
