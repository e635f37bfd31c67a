"""Parquet by parts: a part is whole or not there, and the parts become one file at the end, or are the output."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mmorient.archive.label_table import label_batch, label_schema
from mmorient.archive.resuming import State, sync_folder
from mmorient.archive.writing import lock
from mmorient.errors import ArchiveUsageError
from mmorient.files.extras import extra_module

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

# What a kill costs at most: a minute or so of labelling. A part ends with the chunk that fills it.
_PART_ROWS = 4096
# About 40 MB in memory.
_GROUP_ROWS = 64 * 1024
_PARTIAL = ".partial"


class ParquetOutput:
    """One row a post.

    Args:
        path: The file; the folder of the parts where ``folder`` is set.
        folder: Whether the parts are the output.

    Raises:
        ArchiveUsageError: pyarrow is not installed.
    """

    def __init__(self, path: Path, *, folder: bool) -> None:
        extra_module("pyarrow.parquet", "archives", f"{path}: Parquet")
        self.path = path
        self._is_folder = folder
        self._parts = path if folder else path.with_name(f"{path.name}.parts")
        self._schema: pa.Schema | None = None
        self._batches: list[pa.RecordBatch] = []
        self._count = 0
        self._folder: int | None = None

    @property
    def exists(self) -> bool:
        """Whether there is anything in the file, or a part."""
        whole = not self._is_folder and self.path.exists() and self.path.stat().st_size > 0
        return whole or any(self._made())

    def claim(self) -> None:
        """Lock the folder of parts, made where it is missing."""
        self._parts.mkdir(exist_ok=True)
        self._folder = os.open(self._parts, os.O_RDONLY)
        lock(self._folder, self._parts)

    def open(self, state: State) -> None:
        """Remove the parts behind the state."""
        self._schema = label_schema(state.model)
        if state.finished and not self._is_folder:
            if not self.exists:
                raise ArchiveUsageError(f"{self.path}: is gone; --overwrite begins anew")
            return
        kept = {self._part(number) for number in range(state.parts)}
        for path in self._made():
            if path not in kept:
                path.unlink()
        if lost := [path.name for path in kept if not path.exists()]:
            raise ArchiveUsageError(f"{self._parts}: {min(lost)} is missing; --overwrite begins anew")
        self._count = state.parts

    def write(self, lines: Sequence[str], reached: State) -> State | None:
        """Gather; close the part, and keep the state, when it is full."""
        if lines:
            self._batches.append(label_batch(lines, self._schema))
        return self.settle(reached) if sum(map(len, self._batches)) >= _PART_ROWS else None

    def settle(self, reached: State) -> State:
        """Write what is gathered as a part."""
        if self._batches:
            self._write(self._part(self._count), self._tables())
            self._count += 1
            self._batches = []
        return reached.model_copy(update={"parts": self._count})

    def complete(self) -> None:
        """Put the parts together, some of their rows in memory at a time."""
        if self._is_folder:
            if not self._count:
                self._write(self._part(0), ())
        else:
            self._write(self.path, self._row_groups())

    def tidy(self) -> None:
        """Remove the parts where the file has them all."""
        if self._is_folder:
            return
        for path in self._made():
            path.unlink()
        with suppress(OSError):  # something else is in it
            self._parts.rmdir()

    def close(self) -> None:
        """Unlock the folder."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def _part(self, number: int) -> Path:
        return self._parts / f"part-{number:05}.parquet"

    def _made(self) -> Iterator[Path]:
        yield from sorted(self._parts.glob("part-*.parquet*"))

    def _tables(self) -> Iterator[pa.Table]:
        import pyarrow as pa

        yield pa.Table.from_batches(self._batches, schema=self._schema)

    def _row_groups(self) -> Iterator[pa.Table]:
        import pyarrow as pa
        from pyarrow import parquet

        gathered: list[pa.Table] = []
        rows = 0
        for number in range(self._count):
            table = parquet.ParquetFile(self._part(number)).read()
            while rows + len(table) >= _GROUP_ROWS:
                taken = _GROUP_ROWS - rows
                yield pa.concat_tables([*gathered, table.slice(0, taken)])
                gathered, rows, table = [], 0, table.slice(taken)
            gathered.append(table)
            rows += len(table)
        if rows:
            yield pa.concat_tables(gathered)

    def _write(self, path: Path, tables: Sequence[pa.Table] | Iterator[pa.Table]) -> None:
        from pyarrow import parquet

        partial = path.with_name(path.name + _PARTIAL)
        with partial.open("wb") as file:
            writer: ParquetWriter
            with parquet.ParquetWriter(file, self._schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table.combine_chunks(), row_group_size=_GROUP_ROWS)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
