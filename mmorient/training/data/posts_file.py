"""Reader of people's own labelled posts: one file of CSV or JSON, into examples with partial labels."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmorient.errors import ArchiveError, DataError, PostError
from mmorient.files.csv_rows import csv_table, folded
from mmorient.files.formats import COMPRESSED, CSV_ENDINGS, JSON_ENDINGS, Kind, bare_name, kind_of
from mmorient.files.json_rows import read_json_rows
from mmorient.input.reading.fields import read_text
from mmorient.input.reading.tolerant_json import read_json
from mmorient.labels import DEGREES, TASKS, Task
from mmorient.training.data.examples import TRAIN, VAL, Example

INTENSITY = "_intensity"
ENDINGS = tuple(ending + packed for ending in (*CSV_ENDINGS, *JSON_ENDINGS) for packed in ("", *COMPRESSED))
_SPLITS = (TRAIN, VAL)
_FIELDS = {*TASKS, *(name + INTENSITY for name, task in TASKS.items() if task.degrees)}
_COLUMNS = ("text", "picture", "split", *sorted(_FIELDS))

Refuse = Callable[[str, str], None]
"""Told of a row that cannot be used: its name, such as ``posts.csv:17``, and why."""


def read_posts(file: Path, refuse: Refuse | None = None) -> Iterator[Example]:
    """Read a file of labelled posts; a label that is missing or empty is unknown.

    A post has ``text``, ``picture`` (a path, relative to the file) or both; ``split``; a class for any task of
    ``TASKS``, and a degree for any that has them, as ``humour_intensity``. JSON may hold the labels under ``labels``.
    Other fields, such as ``id``, are passed over. Without ``split``, every tenth post goes to ``val``, drawn by its
    text, so that the same text is always in the same split. Case, spaces and hyphens make no difference in the names of
    columns and classes.

    Args:
        file: CSV with a header (``.csv``, ``.tsv``) or JSON (``.jsonl``, ``.ndjson``, ``.json``), maybe compressed. Its
            name without endings becomes the source.
        refuse: Is told of rows that cannot be used; without it the first of them is an error.

    Raises:
        DataError: The file cannot be read, or one of its posts, with the line; or none of its posts can be used.
    """
    if not file.name.lower().endswith(ENDINGS):
        raise DataError(f"{file}: neither {' nor '.join((*CSV_ENDINGS, *JSON_ENDINGS))}")
    used, first = 0, ""
    for number, row in _rows(file):
        try:
            example = _example(file, row)
        except DataError as error:
            first = first or f"{file}:{number}: {error}"
            if refuse is None:
                raise DataError(first) from error
            refuse(f"{file}:{number}", str(error))
            continue
        used += 1
        yield example
    if first and not used:
        raise DataError(f"{first} (and no other row can be used)")


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    try:
        kind = kind_of(file, str(file))
        if kind is Kind.CSV:
            yield from _csv_rows(file)
        elif kind is Kind.JSON:
            for number, row, _ in read_json_rows(file, str(file)):
                yield number, row if isinstance(row, str) else _object(row)
    except ArchiveError as error:
        raise DataError(str(error)) from error


def _csv_rows(file: Path) -> Iterator[tuple[int, Mapping[str, str] | str]]:
    with csv_table(file, str(file), _COLUMNS) as (table, _):
        if not _FIELDS.intersection(table.columns):
            columns = ", ".join(TASKS)
            raise DataError(f"{file}:{table.header_line}: no column of a task: {columns} ({table.missing(_COLUMNS)})")
        if (said := _misspelt(table.columns)) is not None:
            raise DataError(f"{file}:{table.header_line}: {said}")
        yield from table.rows()


def _misspelt(columns: Iterable[str]) -> str | None:
    """Say which column is likely a label's, misspelt: it would be passed over, and the task not be learned."""
    names = list(map(folded, columns))
    for name in (one for one in names if one and one not in _COLUMNS):
        near = [one for one in difflib.get_close_matches(name, _FIELDS, 1, 0.8) if one not in names]
        if near:
            return f"column {name!r}: is {near[0]!r} meant? Rename it, or leave it out"
    return None


def _object(line: bytes) -> Mapping[str, Any] | str:
    try:
        row = read_json(line)
    except PostError as error:
        return f"no JSON: {error}"
    if not isinstance(row, dict):
        return "no JSON object"
    labels = row.get("labels") or {}
    if not isinstance(labels, dict):
        return "labels are no JSON object"
    labels = {folded(name): value for name, value in labels.items()}
    if unknown := labels.keys() - _FIELDS:
        return f"labels: {min(unknown)!r} is none of {', '.join(sorted(_FIELDS))}"
    if (said := _misspelt([*row, *labels])) is not None:
        return said
    known = {name: value for key, value in row.items() if (name := folded(key)) in _COLUMNS}
    return known | labels


def _example(file: Path, row: Mapping[str, Any] | str) -> Example:
    if isinstance(row, str):
        raise DataError(row)
    text = _text(row.get("text"))
    name = _word(row, "picture")
    if not text and not name:
        raise DataError("no text and no picture")
    picture = file.parent / name if name else None
    if picture is not None and not picture.is_file():
        raise DataError(f"picture {name!r} is missing")
    split = folded(_word(row, "split")) or _drawn_split(text or name)
    if split not in _SPLITS:
        raise DataError(f"split {split!r} is none of {', '.join(_SPLITS)}")
    targets: dict[str, int] = {}
    for task in TASKS.values():
        targets |= _targets(task, row)
    return Example(source_of(file), split, text, picture, targets)


def source_of(file: Path) -> str:
    """The name of a file's examples: the file's, without its endings."""
    return file.name[: len(bare_name(file))].rpartition(".")[0]


def _targets(task: Task, row: Mapping[str, Any]) -> dict[str, int]:
    targets: dict[str, int] = {}
    if label := _word(row, task.name):
        targets[task.name] = _index(task.name, label, task.classes)
    if task.degrees and (label := _word(row, task.name + INTENSITY)):
        degree = _index(task.name + INTENSITY, label, task.degrees)
        if targets.setdefault(task.name, int(degree > 0)) != int(degree > 0):
            raise DataError(f"{task.name} {row[task.name]!r} contradicts {task.name + INTENSITY} {label!r}")
        if degree:
            targets[task.name + DEGREES] = degree - 1
    return targets


def _index(field: str, label: str, known: tuple[str, ...]) -> int:
    name = folded(label)
    if name in known:
        return known.index(name)
    said = f"{field} {label!r} is none of {', '.join(known)}"
    if label.lstrip("+-").replace(".", "", 1).isdigit():
        raise DataError(f"{said}: classes are written by name")
    if near := difflib.get_close_matches(name, known, 1, 0.75):
        raise DataError(f"{said}: is {near[0]!r} meant?")
    raise DataError(said)


def _word(row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    if value is not None and not isinstance(value, str):
        named = ": classes are written by name" if field in _FIELDS else ""
        raise DataError(f"{field} {value!r} is no string{named}")
    return (value or "").strip()


def _text(value: object) -> str:
    try:
        return (read_text(value) or "").strip()
    except PostError as error:
        raise DataError(str(error)) from error


def _drawn_split(key: str) -> str:
    # Python's own hash differs from process to process.
    return VAL if int.from_bytes(hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:8]) % 10 == 0 else TRAIN
