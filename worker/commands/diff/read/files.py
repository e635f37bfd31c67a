"""Records from files of JSON lines or Parquet, in pieces of bounded size."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from mmorient import TASKS, ArchiveError, open_archive
from mmorient.files.csv_rows import csv_table, folded
from mmorient.files.formats import Kind, kind_of
from mmorient.files.json_rows import read_json_rows
from worker.commands.diff.read.lines import Origin, Records
from worker.commands.diff.read.sources import STANDARD_INPUT
from worker.commands.diff.read.store import Store
from worker.errors import FatalError

PIECE_RECORDS = 50_000
PIECE_BYTES = 32 * 1024 * 1024
# The columns that are read of a Parquet file: pictures beside them are left out.
COLUMNS = frozenset(
    {"id", "post_id", "task", "label", "probabilities", "intensity", "labels", "modalities", "model", "source"}
)


def read_files(store: Store, names: Sequence[str]) -> Iterator[Records]:
    """Yield the records of files of labels in their order.

    Args:
        store: turns Parquet into JSON.
        names: of files; `-` is standard input.

    Raises:
        FatalError: a file cannot be read.
    """
    origins = [Origin("standard input" if name == STANDARD_INPUT else name) for name in names]
    for place, name in enumerate(names):
        try:
            if Path(name).suffix == ".parquet":
                yield from _read_parquet(store, name, origins, place)
            else:
                yield from _read_lines(name, origins, place)
        except ArchiveError as error:
            raise FatalError(str(error)) from error
        except (OSError, pa.ArrowException) as error:
            raise FatalError(f"{name}: {error}".splitlines()[0]) from error


def _read_lines(name: str, origins: Sequence[Origin], place: int) -> Iterator[Records]:
    records, size = Records(origins), 0
    for number, line, _ in read_json_rows(Path(name), name):
        records.add(place, number, 0, None if isinstance(line, str) else text_of(line))
        size += len(line)
        if len(records.values) >= PIECE_RECORDS or size >= PIECE_BYTES:
            yield records
            records, size = Records(origins), 0
    if records.values:
        yield records


def _read_parquet(store: Store, name: str, origins: Sequence[Origin], place: int) -> Iterator[Records]:
    with parquet.ParquetFile(name) as file:
        wanted = [column for column in file.schema_arrow.names if column in COLUMNS]
        first = 1
        for batch in file.iter_batches(batch_size=10_000, columns=wanted):
            store.database.register("rows", pa.Table.from_batches([batch]))
            values = [value for (value,) in store.rows("SELECT to_json(rows)::VARCHAR FROM rows")]
            store.database.unregister("rows")
            count = len(values)
            yield Records(origins, [place] * count, list(range(first, first + count)), [0] * count, values)
            first += count


def read_posts(names: Sequence[str], fields: Sequence[str]) -> Iterator[Records]:
    """Yield the posts of files of any format in their order, read as `mmorient label` reads them.

    Args:
        names: of files.
        fields: which columns of tables to read.

    Raises:
        FatalError: a file cannot be read.
    """
    try:
        archive = open_archive(names, fields=fields)
        origins = [Origin(name) for name in archive.names]
        records, size = Records(origins), 0
        for row in archive.rows():
            records.add(row.file, row.number, 0, None if row.refused is not None else text_of(row.value))
            size += len(row.value)
            if len(records.values) >= PIECE_RECORDS or size >= PIECE_BYTES:
                yield records
                records, size = Records(origins), 0
        if records.values:
            yield records
    except ArchiveError as error:
        raise FatalError(str(error)) from error


def text_of(value: bytes | None) -> str | None:
    """Return a record's text; None if it is not UTF-8."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def read_truth(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the ids in a file of known answers (CSV or JSON: `id`, and a column for each task), with each id's answers.

    Raises:
        FatalError: the file cannot be read, or has no `id`.
    """
    try:
        for number, row in _truth_rows(Path(name), name):
            if not isinstance(row, dict) or not row.get("id"):
                raise FatalError(f"{name}: row {number} has no id{f': {row}' if isinstance(row, str) else ''}")
            known = {folded(str(task)): value for task, value in row.items() if task != "id" and isinstance(value, str)}
            yield str(row["id"]), {task: folded(value) for task, value in known.items() if value.strip()}
    except (ArchiveError, ValueError) as error:
        raise FatalError(f"{error}" if isinstance(error, ArchiveError) else f"{name}: {error}") from error


def _truth_rows(path: Path, name: str) -> Iterator[tuple[int, object]]:
    if kind_of(path, name) is Kind.CSV:
        with csv_table(path, name, ("id", *TASKS)) as (table, _):
            yield from table.rows()
        return
    for number, row, _ in read_json_rows(path, name):
        yield number, row if isinstance(row, str) else json.loads(row)
