"""A row of an archive to the record that is sent for it, or to the reason why none is."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from mmorient import Archive, ParsedPost, Place, PostError, PostReader, Row, read_json
from worker.commands.import_archive.terms import Terms
from worker.errors import InvalidRecordError

Malformed = Literal["refuse", "send"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """One record to send.

    Args:
        partition: where it goes.
        key: the post's id, or another field of it.
        value: a Post's JSON; anything, where malformed rows are sent too.
        timestamp_ms: the post's `created_at`.
    """

    partition: int
    key: bytes | None
    value: bytes
    timestamp_ms: int

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row.

    Args:
        name: of the row, as messages write it.
        end: the place behind it.
        read_bytes: of the whole archive, by then.
        record: what is sent.
        refused: why nothing is sent.
        old: whether the topic's retention may delete the record before it is read.
    """

    name: str
    end: Place
    read_bytes: int
    record: ImportRecord | None = None
    refused: str | None = None
    old: bool = False


class RecordMaker:
    """Makes records of rows.

    Args:
        archive: where the rows are from.
        terms: what the topic takes.
        key: the field whose value is the record's key.
        malformed: refuse what is no Post, or send it as it is, for the worker to dead-letter.
        reader: reads posts as the worker will.
        only_malformed: pass over all rows that are posts: an earlier import has sent them.
        now: current time.
    """

    def __init__(
        self,
        archive: Archive,
        terms: Terms,
        *,
        key: str = "id",
        malformed: Malformed = "refuse",
        reader: PostReader | None = None,
        only_malformed: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._archive = archive
        self._terms = terms
        self._key = key
        self._malformed = malformed
        self._reader = reader or PostReader()
        self._only_malformed = only_malformed
        self._now = now

    def outcomes(self, start: Place, done: int) -> Iterator[Outcome]:
        """Yield what becomes of each row from a place on, before which `done` rows lie."""
        for number, row in enumerate(self._archive.rows(start), start=done):
            outcome = Outcome(self._archive.name(row), row.end, self._archive.read_bytes(row))
            made = self._outcome(outcome, row, number, self._malformed)
            if not self._only_malformed or self._outcome(outcome, row, number, "refuse").refused is not None:
                yield made

    def _outcome(self, outcome: Outcome, row: Row, number: int, malformed: Malformed) -> Outcome:
        now_ms = _milliseconds(self._now())
        try:
            record = self._record(row, number, now_ms, malformed)
        except InvalidRecordError as error:
            return replace(outcome, refused=str(error))
        if (refused := self._terms.refusal(record.size, record.timestamp_ms, now_ms)) is not None:
            return replace(outcome, refused=refused)
        return replace(outcome, record=record, old=self._terms.outlived(record.timestamp_ms, now_ms))

    def _record(self, row: Row, number: int, now_ms: int, malformed: Malformed) -> ImportRecord:
        if row.refused is not None:
            raise InvalidRecordError("import", row.refused)
        value = row.value.rstrip(b"\r\n")
        fields, post = self._fields(value), None
        try:
            value = with_pictures(value, fields, self._archive.folder(row))
            post = self._post(value)
        except InvalidRecordError:
            if malformed == "refuse":
                raise
        # Out of an envelope the id is the post's, whatever the envelope calls it.
        key = post.id.encode() if post is not None and self._key == "id" else _key(fields.get(self._key))
        timestamp = now_ms if post is None or post.created_at is None else _milliseconds(post.created_at)
        return ImportRecord(self._terms.partition(key, number), key, value, timestamp)

    def _fields(self, value: bytes) -> dict[str, Any]:
        try:
            fields = read_json(value)
        except PostError:
            return {}  # the reader says what is wrong
        return fields if isinstance(fields, dict) else {}

    def _post(self, value: bytes) -> ParsedPost | None:
        """Return the post; None for a deletion and what else the worker passes over."""
        try:
            found = self._reader.read(value)
        except PostError as error:
            raise InvalidRecordError("import", str(error)) from error
        return found if isinstance(found, ParsedPost) else None


def with_pictures(value: bytes, fields: dict[str, Any], folder: Path) -> bytes:
    """Return a post's JSON with the content of the files that its media name; untouched where they name none.

    Args:
        value: the post's JSON.
        fields: what it says.
        folder: what a medium's `path` is relative to, and must lie in: an archive from elsewhere publishes no other
            file of this machine.

    Raises:
        InvalidRecordError: such a file cannot be read.
    """
    media = fields.get("media")
    media = [media] if isinstance(media, dict) else media
    if not isinstance(media, list) or not any(isinstance(medium, dict) and "path" in medium for medium in media):
        return value
    filled = []
    for index, medium in enumerate(media):
        if not isinstance(medium, dict) or "path" not in medium:
            filled.append(medium)
            continue
        rest = {name: content for name, content in medium.items() if name != "path"}
        if rest.get("data") is None:
            rest["data"] = base64.b64encode(_content(folder, medium["path"], f"media.{index}.path")).decode()
        filled.append(rest)
    try:
        return json.dumps({**fields, "media": filled}, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair cannot be written as UTF-8, but it can be escaped in JSON.
        return json.dumps({**fields, "media": filled}).encode()


def _content(folder: Path, named: object, where: str) -> bytes:
    try:
        path = (folder / str(named)).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise InvalidRecordError("import", f"{where}: {named} lies outside of the archive's folder")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRecordError("import", f"{where}: {named}: {reason}") from error


def _key(value: object) -> bytes | None:
    """Text as UTF-8, whole numbers as their digits; what is neither is no key."""
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    return str(value).encode() if isinstance(value, int) and not isinstance(value, bool) else None


def _milliseconds(time: datetime) -> int:
    """A time without a zone is UTC."""
    zoned = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return (zoned - _EPOCH) // timedelta(milliseconds=1)
