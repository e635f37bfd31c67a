"""Tables of CSV as spreadsheets and exports write them, one row in memory at a time.

Commas, semicolons, tabs or bars; UTF-8, or UTF-16 and UTF-32 with or without their mark; a first line ``sep=;``; names
of columns in any case. A row is named by the line that it begins on.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain
from pathlib import Path

from mmorient.errors import ArchiveUsageError
from mmorient.files.opening import opened

MAX_CELL_CHARACTERS = 16 * 1024 * 1024
"""Of one cell: one that is never closed by its quote would be the rest of the file."""

MAX_LINE_CHARACTERS = 2 * MAX_CELL_CHARACTERS

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_SPACES = re.compile(r"[\s-]+")


class CsvTable:
    """A table that is open.

    Attributes:
        columns: Their names; a known one is spelled as it is known, one without a name is empty.
    """

    def __init__(self, lines: _Lines, name: str, known: Collection[str]) -> None:
        self._lines = lines
        self._before, first, separator = _first_line(lines)
        if not separator:
            separator = _separator_of(first, known)
        csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_CHARACTERS))
        self._separator = separator
        self._reader = csv.reader(chain([first] if first else [], lines), delimiter=separator, strict=True)
        try:
            cells = next(self._reader, [])
        except csv.Error as error:
            raise ArchiveUsageError(f"{name}:{self._before + 1}: {_cause(error)}") from error
        self.columns = [_known_name(cell, known) for cell in cells]
        for column in known:
            if self.columns.count(column) > 1:
                places = [str(place) for place, one in enumerate(self.columns, 1) if one == column]
                raise ArchiveUsageError(
                    f"{name}:{self._before + 1}: column {column!r} stands {len(places)} times (cells"
                    f" {', '.join(places)}): leave one of them"
                )

    @property
    def header_line(self) -> int:
        """The number of the header's line."""
        return self._before + 1

    def rows(self) -> Iterator[tuple[int, dict[str, str] | str]]:
        """Yield the number of a row's first line, and its cells by column; a string says why there are none."""
        while True:
            number = self._before + self._reader.line_num + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, _cause(error)
                continue
            if self._lines.is_too_long(number):
                yield number, f"a line of more than {MAX_LINE_CHARACTERS} characters"
            elif cells:
                yield number, self._row(cells)

    def missing(self, wanted: Collection[str]) -> str:
        """Say what the columns are, and which is likely meant, where none of those wanted is among them."""
        named = [column for column in self.columns if column]
        if len(named) < 2:
            return (
                f"one column, {named[0]!r}: the separator is none of {', '.join(_SEPARATORS.values())}"
                if named
                else ("no header")
            )
        said = f"columns: {', '.join(named)}"
        for column in (one for one in named if one not in wanted):
            if near := difflib.get_close_matches(folded(column), wanted, 1, 0.75):
                return f"{said}; is {column!r} meant for {near[0]!r}?"
        return said

    def _row(self, cells: list[str]) -> dict[str, str] | str:
        width = len(self.columns)
        # Spreadsheets end rows with the empty cells of columns that are gone.
        while len(cells) > width and not cells[-1].strip():
            cells.pop()
        if len(cells) != width:
            return self._wrong_width(len(cells))
        for cell in cells:
            if not cell.isascii() and not _is_unicode(cell):
                return "not UTF-8: is the table of an old Windows code page? Save it as CSV UTF-8"
        return {column: cell for column, cell in zip(self.columns, cells, strict=True) if column}

    def _wrong_width(self, found: int) -> str:
        said = f"{found} cells where the header has {len(self.columns)}"
        between = {"\t": "tab"}.get(self._separator, repr(self._separator))
        if found > len(self.columns):
            return f"{said}: a text with a {between} in it must stand in quotes"
        return f"{said}: cells are divided by {between}, and a text with a line end in it must stand in quotes"


@contextmanager
def csv_table(path: Path, name: str, known: Collection[str]) -> Iterator[tuple[CsvTable, Callable[[], int]]]:
    """Open a table.

    Args:
        path: Of the file.
        name: Of it, for messages.
        known: Names of columns that are looked for, however they are spelled.

    Yields:
        The table, and what says how many bytes of the file are read by now.

    Raises:
        ArchiveError: The file cannot be read.
        ArchiveUsageError: A known column stands twice, or the header cannot be read.
    """
    with opened(path, name) as (source, position):
        # Single bytes that are no UTF-8 are kept apart, so that their rows alone are refused.
        text = TextIOWrapper(source, encoding="utf-8", errors="surrogateescape", newline="")
        yield CsvTable(_Lines(text), name, known), position


def folded(name: str) -> str:
    """A name as it is compared: lower case, underscores for spaces and hyphens."""
    return _SPACES.sub("_", name.strip().casefold())


class _Lines:
    """Lines of a text, none longer than some length; a longer one is passed over and counts as blank."""

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self._number = 0
        self._too_long = -1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE_CHARACTERS)
        if not line:
            raise StopIteration
        self._number += 1
        if len(line) == MAX_LINE_CHARACTERS and not line.endswith(("\n", "\r")):
            self._too_long = self._number
            while line and not line.endswith(("\n", "\r")):
                line = self._text.readline(MAX_LINE_CHARACTERS)
            return "\n"
        return line

    def is_too_long(self, number: int) -> bool:
        """Whether a line that was given was one of them."""
        return number == self._too_long


def _first_line(lines: _Lines) -> tuple[int, str, str]:
    """How many lines stand before the header, its line, and the separator that one of those before it names."""
    separator = ""
    for before, line in enumerate(lines):
        if found := _SEP_LINE.fullmatch(line):
            separator = found[1]
        elif line.strip():
            return before, line, separator
    return 0, "", separator


def _separator_of(line: str, known: Collection[str]) -> str:
    """The separator by which a header has most of the columns that are known, or most columns."""

    def worth(separator: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([line], delimiter=separator), [])
        except csv.Error:
            return 0, 0
        return len({_known_name(cell, known) for cell in cells}.intersection(known)), len(cells)

    return max(_SEPARATORS, key=worth)


def _known_name(cell: str, known: Collection[str]) -> str:
    name = cell.strip()
    if name in known:
        return name
    return next((one for one in known if folded(one) == folded(name)), name)


def _is_unicode(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cause(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end of data" in said:
        return f"{said}: a quote that begins in this row is never closed"
    if "field larger" in said:
        return f"{said}: is a quote that begins in this row never closed?"
    if "expected after" in said:
        return f'{said}: a quote within a text is written twice ("")'
    return said
