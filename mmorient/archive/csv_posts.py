"""Posts of a table of CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmorient.archive.post_fields import post_json
from mmorient.errors import ArchiveUsageError
from mmorient.files.csv_rows import csv_table


def check_csv(path: Path, name: str, columns: Sequence[str]) -> None:
    """Look at a table's header before anything starts.

    Raises:
        ArchiveUsageError: It has no column of posts' ids, or one that is read stands twice.
    """
    with csv_table(path, name, columns) as (table, _):
        if "id" not in table.columns:
            raise ArchiveUsageError(f"{name}:{table.header_line}: has no column 'id' ({table.missing(['id'])})")


def read_csv_posts(
    path: Path, name: str, *, columns: Sequence[str], partitions: Mapping[str, str]
) -> Iterator[tuple[int, bytes | str, int]]:
    """Read the rows of a table; an empty cell is none.

    Args:
        path: Of the file.
        name: Of it, for messages.
        columns: That are read, where they are there.
        partitions: Columns that the file's folders name; one of the table's own wins.

    Yields:
        The number of the line that a row begins on, its Post as JSON (a string says why there is none), and how many
        bytes of the file are read by now.

    Raises:
        ArchiveError: The file cannot be read.
    """
    with csv_table(path, name, columns) as (table, position):
        known = {
            column: value for column, value in partitions.items() if column in columns and column not in table.columns
        }
        for number, row in table.rows():
            if isinstance(row, str):
                yield number, row, position()
                continue
            cells = {column: cell for column, cell in row.items() if column in columns and cell.strip()}
            try:
                yield number, post_json({**known, **cells}), position()
            except (ValueError, RecursionError) as error:
                yield number, f"cannot be read: {error}", position()
