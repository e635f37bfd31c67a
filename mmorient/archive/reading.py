"""An archive's rows, one after the other and from any place on: for the command here, and for whoever feeds topics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mmorient.archive.json_lines import MAX_LINE_BYTES, read_json_lines
from mmorient.archive.parquet_rows import check_parquet, read_parquet_rows
from mmorient.archive.paths import STANDARD_INPUT, find_files

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
        number: Of the line or the row in it, from 1.
        value: A post as JSON, as it stands in the file (line end and all) or made of a Parquet row; empty where it
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
        files: JSON lines (``.gz`` and ``.zst`` compressed) and ``.parquet``; ``-`` is standard input.
        columns: What is read of a Parquet row besides a Post's fields.

    Raises:
        ArchiveUsageError: A Parquet file that is none.
    """

    def __init__(self, files: Sequence[Path], *, columns: Sequence[str] = ()) -> None:
        self._names = [str(path) for path in files]
        # Absolute: another process reads them too, maybe from another folder.
        self._paths = [path if path == STANDARD_INPUT else path.resolve() for path in files]
        self._columns = tuple(columns)
        sizes = [0 if path == STANDARD_INPUT else path.stat().st_size for path in self._paths]
        self._starts = [sum(sizes[:index]) for index in range(len(sizes))]
        self.bytes = sum(sizes)
        listed = [[str(path), size] for path, size in zip(self._paths, sizes, strict=True)]
        self.digest = f"sha256:{sha256(json.dumps(listed).encode()).hexdigest()}"
        for path, name in zip(self._paths, self._names, strict=True):
            if _is_parquet(path):
                check_parquet(path, name)

    def __len__(self) -> int:
        return len(self._paths)

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
        path, name = self._paths[file], self._names[file]
        if _is_parquet(path):
            for number, post, read in read_parquet_rows(path, name, skip=skip, columns=self._columns):
                yield Row(file, number, b"", read, post) if isinstance(post, str) else Row(file, number, post, read)
            return
        for number, line, read in read_json_lines(path, name, max_line_bytes=MAX_LINE_BYTES):
            if number > skip and line is None:
                yield Row(file, number, b"", read, f"longer than {MAX_LINE_BYTES} bytes")
            elif number > skip and line is not None:
                yield Row(file, number, line, read)

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


def open_archive(named: Sequence[str], *, columns: Sequence[str] = (), leave_out: Sequence[Path] = ()) -> Archive:
    """The archive that files, folders and globs make: see ``find_files``.

    Raises:
        ArchiveUsageError: A name that brings nothing, or a Parquet file that is none.
    """
    return Archive(find_files(named, leave_out=leave_out), columns=columns)


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


def _is_parquet(path: Path) -> bool:
    return path.name.endswith(".parquet")
