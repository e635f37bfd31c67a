"""Records of files: JSON lines and Parquet, in pieces of bounded size."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from mmorient import ArchiveError
from mmorient.archive.json_lines import MAX_LINE_BYTES, read_json_lines
from worker.commands.diff.read.lines import Origin, Records
from worker.commands.diff.read.sources import STANDARD_INPUT
from worker.commands.diff.read.store import Store
from worker.errors import FatalError

PIECE_RECORDS = 50_000
PIECE_BYTES = 32 * 1024 * 1024
# Of a Parquet file, so that pictures beside them are not read.
COLUMNS = frozenset(
    {"id", "post_id", "task", "label", "probabilities", "intensity", "labels", "modalities", "model", "source"}
    | {"community", "language", "text"}
)


def read_files(store: Store, names: Sequence[str], columns: frozenset[str] = COLUMNS) -> Iterator[Records]:
    """Yield the records of files in their order.

    Args:
        store: that turns Parquet into JSON.
        names: of files; - is standard input.
        columns: of Parquet files, to look at.

    Raises:
        FatalError: a file cannot be read.
    """
    origins = [Origin("standard input" if name == STANDARD_INPUT else name) for name in names]
    for place, name in enumerate(names):
        try:
            if Path(name).suffix == ".parquet":
                yield from _read_parquet(store, name, origins, place, columns)
            else:
                yield from _read_lines(name, origins, place)
        except ArchiveError as error:
            raise FatalError(str(error)) from error
        except (OSError, pa.ArrowException) as error:
            raise FatalError(f"{name}: {error}".splitlines()[0]) from error


def _read_lines(name: str, origins: Sequence[Origin], place: int) -> Iterator[Records]:
    records, size = Records(origins), 0
    for number, line, _ in read_json_lines(Path(name), name, max_line_bytes=MAX_LINE_BYTES):
        records.add(place, number, 0, text_of(line))
        size += len(line or b"")
        if len(records.values) >= PIECE_RECORDS or size >= PIECE_BYTES:
            yield records
            records, size = Records(origins), 0
    if records.values:
        yield records


def _read_parquet(
    store: Store, name: str, origins: Sequence[Origin], place: int, columns: frozenset[str]
) -> Iterator[Records]:
    with parquet.ParquetFile(name) as file:
        wanted = [column for column in file.schema_arrow.names if column in columns]
        first = 1
        for batch in file.iter_batches(batch_size=10_000, columns=wanted):
            store.database.register("rows", pa.Table.from_batches([batch]))
            values = [value for (value,) in store.rows("SELECT to_json(rows)::VARCHAR FROM rows")]
            store.database.unregister("rows")
            count = len(values)
            yield Records(origins, [place] * count, list(range(first, first + count)), [0] * count, values)
            first += count


def text_of(value: bytes | None) -> str | None:
    """Return a record's text; None where it is no UTF-8."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def read_truth(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the posts of a file of `id` and a column a task (CSV, or JSON lines), with what is known of each.

    Raises:
        FatalError: the file cannot be read, or has no `id`.
    """
    try:
        with Path(name).open(encoding="utf-8-sig", newline="") as file:
            rows = map(json.loads, filter(str.strip, file)) if Path(name).suffix != ".csv" else csv.DictReader(file)
            for number, row in enumerate(rows, 1):
                if not isinstance(row, dict) or not row.get("id"):
                    raise FatalError(f"{name}: row {number} has no id")
                known = {str(task): value for task, value in row.items() if task != "id" and isinstance(value, str)}
                yield str(row["id"]), {task: value.strip() for task, value in known.items() if value.strip()}
    except (OSError, ValueError, csv.Error) as error:
        raise FatalError(f"{name}: {error}") from error
