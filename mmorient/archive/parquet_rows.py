"""Parquet: a row becomes a Post's JSON, some rows in memory at a time however large the row group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from mmorient.archive.post_fields import POST_COLUMNS, post_json
from mmorient.errors import ArchiveError, ArchiveUsageError
from mmorient.files.extras import extra_module

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

# A buffered stream a column: without one, a column's whole part of the row group would be read at once.
_STREAM_BYTES = 256 * 1024
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_ROWS = 16
_UUID_BYTES = 16


def check_parquet(path: Path, name: str) -> None:
    """Look at a file's footer before anything starts.

    Raises:
        ArchiveUsageError: It is no Parquet file, has no column of posts' ids, or two of one that is read.
    """
    with _opened(path, name) as file:
        found = _columns(file.schema_arrow.names, POST_COLUMNS, name)
        if "id" not in found:
            raise ArchiveUsageError(f"{name}: has no column 'id' (columns: {', '.join(file.schema_arrow.names)})")


def read_parquet_rows(
    path: Path, name: str, *, skip: int, columns: Sequence[str] = POST_COLUMNS, partitions: Mapping[str, str]
) -> Iterator[tuple[int, bytes | str, int]]:
    """Read the rows of a file.

    What is in memory: a page of each column (the file's writer decides how large that is), and a batch of 16 rows at
    most, fewer where the row group's rows are large.

    Args:
        path: The file.
        name: Of the file, for messages.
        skip: Rows that are passed over, their row groups unread where that is possible.
        columns: That are read, where they are there.
        partitions: Columns that the file's folders name; one of its own wins.

    Yields:
        A row's number, its Post as JSON (a string says why there is none), and about how many bytes of the file are
        read by now.

    Raises:
        ArchiveError: The file cannot be read.
    """
    import pyarrow as pa

    with _opened(path, name) as file:
        wanted = _columns(file.schema_arrow.names, columns, name)
        known = {column: value for column, value in partitions.items() if column in columns and column not in wanted}
        size, total = path.stat().st_size, max(1, file.metadata.num_rows)
        number = 0
        try:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if number + rows <= skip:
                    number += rows
                    continue
                batches = file.iter_batches(
                    _batch_rows(file, group), row_groups=[group], columns=[*wanted.values()], use_threads=False
                )
                for batch in batches:
                    first = max(0, skip - number)
                    part = {column: batch.column(own).slice(first) for column, own in wanted.items()}
                    for own, post in enumerate(_posts(part, batch.num_rows - first, known), number + first + 1):
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


def _columns(names: Sequence[str], wanted: Sequence[str], name: str) -> dict[str, str]:
    """What the wanted columns are called in a file: as they are, or in another case.

    Raises:
        ArchiveUsageError: Two columns are called so.
    """
    found: dict[str, str] = {}
    for column in wanted:
        own = [one for one in names if one == column] or [one for one in names if one.lower() == column.lower()]
        if len(own) > 1:
            raise ArchiveUsageError(f"{name}: column {column!r} stands {len(own)} times: leave one of them")
        if own:
            found[column] = own[0]
    return found


def _batch_rows(file: ParquetFile, group: int) -> int:
    part = file.metadata.row_group(group)
    fitting = _BATCH_BYTES * int(part.num_rows) // max(1, int(part.total_byte_size))
    return max(1, min(_BATCH_ROWS, fitting))


def _posts(columns: Mapping[str, pa.Array], count: int, known: Mapping[str, str]) -> Iterator[bytes | str]:
    cells = {name: _cells(name, _readable(column)) for name, column in columns.items()}
    for index in range(count):
        try:
            yield post_json({**known, **{name: cell(index) for name, cell in cells.items()}})
        except (UnicodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
            yield f"cannot be read: {_first_line(error)}"


def _readable(column: pa.Array) -> pa.Array:
    """A column whose values Python knows: times to microseconds, codes of a dictionary to what they stand for."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _readable(column.dictionary_decode())
    if not pa.types.is_date(kind) and not pa.types.is_timestamp(kind):
        return column
    try:
        return column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    except pa.ArrowException:
        return column  # a time beyond what microseconds can say: its own row goes without it


def _cells(name: str, column: pa.Array) -> Callable[[int], object]:
    """What gives the values of a column: None for one that cannot be read and that no label needs.

    It raises a ValueError for an id that cannot be read.
    """
    import pyarrow as pa

    is_uuid = pa.types.is_fixed_size_binary(column.type) and column.type.byte_width == _UUID_BYTES

    def cell(index: int) -> object:
        try:
            value = column[index].as_py()
        except (ValueError, OverflowError, pa.ArrowException) as error:
            if name == "id":
                raise
            not_utf8 = name == "text" and isinstance(error, UnicodeDecodeError)
            return column[index].cast(pa.large_binary()).as_py() if not_utf8 else None
        return UUID(bytes=value) if is_uuid and value is not None else value

    return cell


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
