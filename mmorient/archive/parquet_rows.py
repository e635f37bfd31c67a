"""Parquet: a row becomes a Post's JSON, some rows in memory at a time however large the row group."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmorient.archive.extras import extra_module
from mmorient.errors import ArchiveError, ArchiveUsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

POST_COLUMNS = ("id", "created_at", "author_id", "community", "language", "text", "media")
_MEDIUM_FIELDS = ("url", "data", "path", "content_type", "ocr_text")
# A buffered stream a column: without one, a column's whole part of the row group would be read at once.
_STREAM_BYTES = 256 * 1024
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_ROWS = 16


def check_parquet(path: Path, name: str) -> None:
    """Look at a file's footer before anything starts.

    Raises:
        ArchiveUsageError: It is no Parquet file, or has no column of posts' ids.
    """
    with _opened(path, name) as file:
        if "id" not in file.schema_arrow.names:
            raise ArchiveUsageError(f"{name}: has no column 'id' (columns: {', '.join(file.schema_arrow.names)})")


def read_parquet_rows(
    path: Path, name: str, *, skip: int, columns: Sequence[str] = ()
) -> Iterator[tuple[int, bytes | str, int]]:
    """Read the rows of a file.

    What is in memory: a page of each column (the file's writer decides how large that is), and a batch of 16 rows at
    most, fewer where the row group's rows are large.

    Args:
        path: The file.
        name: Of the file, for messages.
        skip: Rows that are passed over, their row groups unread where that is possible.
        columns: Read besides ``POST_COLUMNS``.

    Yields:
        A row's number, its Post as JSON (a string says why there is none), and about how many bytes of the file are
        read by now.

    Raises:
        ArchiveError: The file cannot be read.
    """
    import pyarrow as pa

    with _opened(path, name) as file:
        wanted = [column for column in dict.fromkeys((*POST_COLUMNS, *columns)) if column in file.schema_arrow.names]
        size, total = path.stat().st_size, max(1, file.metadata.num_rows)
        number = 0
        try:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if number + rows <= skip:
                    number += rows
                    continue
                batches = file.iter_batches(
                    _batch_rows(file, group), row_groups=[group], columns=wanted, use_threads=False
                )
                for batch in batches:
                    first = max(0, skip - number)
                    for own, post in enumerate(_posts(batch.slice(first)), number + first + 1):
                        yield own, post, size * own // total
                    number += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise ArchiveError(f"{name}: cannot be read: {_first_line(error)}") from error


def _opened(path: Path, name: str) -> ParquetFile:
    parquet = extra_module("pyarrow.parquet", "archives", f"{name}: Parquet")
    import pyarrow as pa

    try:
        return parquet.ParquetFile(path, buffer_size=_STREAM_BYTES, pre_buffer=False, memory_map=False)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveUsageError(f"{name}: cannot be read as Parquet: {_first_line(error)}") from error


def _batch_rows(file: ParquetFile, group: int) -> int:
    part = file.metadata.row_group(group)
    fitting = _BATCH_BYTES * int(part.num_rows) // max(1, int(part.total_byte_size))
    return max(1, min(_BATCH_ROWS, fitting))


def _posts(batch: pa.RecordBatch) -> Iterator[bytes | str]:
    import pyarrow as pa

    names = batch.schema.names
    columns = [_readable(column) for column in batch.columns]
    for index in range(batch.num_rows):
        try:
            row = {name: column[index].as_py() for name, column in zip(names, columns, strict=True)}
            yield json.dumps(_post(row), ensure_ascii=False).encode()
        except (UnicodeError, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
            yield f"cannot be written as JSON: {_first_line(error)}"


def _readable(column: pa.Array) -> pa.Array:
    """Times to microseconds: Python knows no smaller ones."""
    import pyarrow as pa

    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def _post(row: Mapping[str, Any]) -> dict[str, Any]:
    post = {name: _value(value) for name, value in row.items() if value is not None and name != "media"}
    if row.get("media") is not None:
        post["media"] = [medium and _medium(medium) for medium in row["media"]]
    return post


def _medium(medium: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: medium[name] for name in _MEDIUM_FIELDS if medium.get(name) is not None}
    if isinstance(data := fields.get("data"), bytes):
        fields["data"] = base64.b64encode(data).decode()
    return {name: _value(value) for name, value in fields.items()}


def _value(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode()  # Spark once wrote strings so
    if isinstance(value, datetime):
        utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return utc.isoformat().replace("+00:00", "Z")
    return value


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
