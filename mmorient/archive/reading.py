"""An archive's rows, one after the other and from any place on: for the command here, and for whoever feeds topics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmorient.archive.csv_posts import check_csv, read_csv_posts
from mmorient.archive.inputs import Inputs
from mmorient.archive.json_posts import read_json_posts
from mmorient.archive.parquet_rows import check_parquet, read_parquet_rows
from mmorient.archive.post_fields import PICTURE_COLUMNS, POST_COLUMNS
from mmorient.files.formats import STANDARD_INPUT, Kind, kind_of
from mmorient.files.partitions import partition_columns
from mmorient.files.paths import find_files

_CHUNK_ROWS = 64
_CHUNK_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where an archive is read: all files before ``file``, and the first ``row`` lines or rows of it."""

    file: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an archive.

    Attributes:
        file: Index of its file.
        number: Of the line or the row in it, from 1; of the post in an array.
        value: A post as JSON, as it stands in the file (line end and all) or made of a table's row; empty where it
            could not be read.
        read_bytes: Of its file, by now.
        refused: Why it could not be read.
    """

    file: int
    number: int
    value: bytes
    read_bytes: int
    refused: str | None = None

    @property
    def end(self) -> Place:
        """The place behind it."""
        return Place(self.file, self.number)


class Archive:
    """Files of posts as one sequence of rows.

    Args:
        files: JSON, CSV and Parquet, as ``kind_of`` tells them apart; ``-`` is standard input.
        columns: What is read of a table's row besides a Post's fields.
        fields: Of a Post, those that are read of a table's row; lines of JSON are whole in any case.

    Attributes:
        bytes: Of all files.
        inputs: The files, for whoever goes on with a run over them.
        empty: The names of files of no bytes, which bring no rows.

    Raises:
        ArchiveUsageError: A file that is no table, has no ids, or is of a format that is not read.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        columns: Sequence[str] = (),
        fields: Sequence[str] = (*POST_COLUMNS, *PICTURE_COLUMNS),
    ) -> None:
        self._names = [str(path) for path in files]
        # Absolute: another process reads them too, maybe from another folder.
        self._paths = [path if path == STANDARD_INPUT else path.resolve() for path in files]
        self._columns = tuple(dict.fromkeys((*fields, *columns)))
        self._kinds = [kind_of(path, name) for path, name in zip(self._paths, self._names, strict=True)]
        self._partitions = [{} if path == STANDARD_INPUT else partition_columns(path.absolute()) for path in files]
        sizes = [0 if path == STANDARD_INPUT else path.stat().st_size for path in self._paths]
        self._starts = [sum(sizes[:index]) for index in range(len(sizes))]
        self.bytes = sum(sizes)
        self.inputs = Inputs(self._names, self._paths, sizes)
        self.empty = [name for name, kind in zip(self._names, self._kinds, strict=True) if kind is Kind.EMPTY]
        for path, name, kind in zip(self._paths, self._names, self._kinds, strict=True):
            if kind is Kind.PARQUET:
                check_parquet(path, name)
            elif kind is Kind.CSV:
                check_csv(path, name, self._columns)

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def names(self) -> list[str]:
        """The files, as they were named."""
        return list(self._names)

    @property
    def standard_input(self) -> bool:
        """Whether standard input is part of it: that cannot be read twice."""
        return STANDARD_INPUT in self._paths

    def rows(self, start: Place = Place()) -> Iterator[Row]:
        """Read on from a place; blank lines are passed over.

        Raises:
            ArchiveError: A file cannot be read.
        """
        for file in range(start.file, len(self._paths)):
            yield from self.rows_of(file, start.row if file == start.file else 0)

    def rows_of(self, file: int, skip: int = 0) -> Iterator[Row]:
        """Read one file, its first ``skip`` lines or rows left out.

        Raises:
            ArchiveError: It cannot be read.
        """
        for number, post, read in self._read(file, skip):
            if number > skip:
                yield Row(file, number, b"", read, post) if isinstance(post, str) else Row(file, number, post, read)

    def _read(self, file: int, skip: int) -> Iterator[tuple[int, bytes | str, int]]:
        path, name, kind = self._paths[file], self._names[file], self._kinds[file]
        partitions = {one: value for one, value in self._partitions[file].items() if one in self._columns}
        if kind is Kind.PARQUET:
            return read_parquet_rows(path, name, skip=skip, columns=self._columns, partitions=partitions)
        if kind is Kind.CSV:
            return read_csv_posts(path, name, columns=self._columns, partitions=partitions)
        if kind is Kind.JSON:
            return read_json_posts(path, name, partitions=partitions)
        return iter(())

    def name(self, row: Row) -> str:
        """A row as messages write it: ``posts.jsonl:17``."""
        name = "standard input" if self._paths[row.file] == STANDARD_INPUT else self._names[row.file]
        return f"{name}:{row.number}"

    def folder(self, row: Row) -> Path:
        """What a medium's ``path`` in a row is relative to."""
        path = self._paths[row.file]
        return Path() if path == STANDARD_INPUT else path.parent

    def read_bytes(self, row: Row) -> int:
        """Bytes of the whole archive that are read with a row, of ``bytes``."""
        return self._starts[row.file] + row.read_bytes


def open_archive(
    named: Sequence[str],
    *,
    columns: Sequence[str] = (),
    fields: Sequence[str] = (*POST_COLUMNS, *PICTURE_COLUMNS),
    leave_out: Sequence[Path] = (),
) -> Archive:
    """The archive that files, folders and globs make: see ``find_files``.

    Raises:
        ArchiveUsageError: A name that brings nothing, or a file that ``Archive`` refuses.
    """
    return Archive(find_files(named, leave_out=leave_out), columns=columns, fields=fields)


def chunks(rows: Iterable[Row], *, max_rows: int = _CHUNK_ROWS, max_bytes: int = _CHUNK_BYTES) -> Iterator[list[Row]]:
    """Gather rows of one file: 64 fill the encoders' rows, and the first labels come within a second.

    Where a chunk ends depends on where it began and on nothing else, so that reading on at the end of any chunk cuts
    the same ones.

    Args:
        rows: In their order.
        max_rows: In one chunk.
        max_bytes: In one chunk; a larger row is a chunk of its own.
    """
    chunk: list[Row] = []
    size = 0
    for row in rows:
        if chunk and (row.file != chunk[0].file or size + len(row.value) > max_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += len(row.value)
        if len(chunk) == max_rows:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
