"""Reader of people's own labelled posts: one file of CSV or JSON lines, into examples with partial labels."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmorient.errors import DataError, PostError
from mmorient.input.reading.fields import read_text
from mmorient.input.reading.tolerant_json import read_json
from mmorient.labels import TASKS, Task
from mmorient.network.mm_orient import DEGREES
from mmorient.training.data.examples import TRAIN, VAL, Example

INTENSITY = "_intensity"
_SPLITS = (TRAIN, VAL)
_FIELDS = {*TASKS, *(name + INTENSITY for name, task in TASKS.items() if task.degrees)}


def read_posts(file: Path) -> Iterator[Example]:
    """Read a file of labelled posts; a label that is missing or empty is unknown.

    A post has ``text``, ``picture`` (a path, relative to the file) or both; ``split``; a class for any task of
    ``TASKS``, and a degree for any that has them, as ``humour_intensity``. JSON lines may hold the labels under
    ``labels``. Other fields, such as ``id``, are passed over. Without ``split``, every tenth post goes to ``val``,
    drawn by its text, so that the same text is always in the same split.

    Args:
        file: CSV with a header (``.csv``) or JSON lines (``.jsonl``), UTF-8. Its stem becomes the source.

    Raises:
        DataError: The file cannot be read, or one of its posts; with the line.
    """
    readers = {".csv": _csv_rows, ".jsonl": _json_rows}
    if file.suffix.lower() not in readers:
        raise DataError(f"{file}: neither .csv nor .jsonl")
    for number, row in readers[file.suffix.lower()](file):
        try:
            yield _example(file, row)
        except DataError as error:
            raise DataError(f"{file}:{number}: {error}") from error


def _example(file: Path, row: Mapping[str, Any]) -> Example:
    text = _text(row.get("text"))
    name = _word(row, "picture")
    if not text and not name:
        raise DataError("no text and no picture")
    picture = file.parent / name if name else None
    if picture is not None and not picture.is_file():
        raise DataError(f"picture {name!r} is missing")
    split = _word(row, "split") or _drawn_split(text or name)
    if split not in _SPLITS:
        raise DataError(f"split {split!r} is none of {', '.join(_SPLITS)}")
    targets: dict[str, int] = {}
    for task in TASKS.values():
        targets |= _targets(task, row)
    return Example(file.stem, split, text, picture, targets)


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
    if label not in known:
        raise DataError(f"{field} {label!r} is none of {', '.join(known)}")
    return known.index(label)


def _word(row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{field} {value!r} is no string")
    return (value or "").strip()


def _text(value: object) -> str:
    try:
        return (read_text(value) or "").strip()
    except PostError as error:
        raise DataError(str(error)) from error


def _drawn_split(key: str) -> str:
    # Python's own hash differs from process to process.
    return VAL if int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % 10 == 0 else TRAIN


def _csv_rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(_content(file), newline=""), strict=True)
    number = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        if not _FIELDS.intersection(header):
            raise DataError(f"{file}:1: no column of a task: {', '.join(TASKS)}")
        # A quoted text may hold line breaks: a row is named by the line that it begins on.
        number = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                raise DataError(f"{file}:{number}: {len(cells)} cells where the header has {len(header)}")
            if cells:
                yield number, dict(zip(header, cells, strict=True))
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}:{number}: {error}") from error


def _json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_content(file).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = read_json(line.encode())
        except PostError as error:
            raise DataError(f"{file}:{number}: no JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{file}:{number}: no JSON object")
        labels = row.get("labels") or {}
        if not isinstance(labels, dict):
            raise DataError(f"{file}:{number}: labels are no JSON object")
        if unknown := labels.keys() - _FIELDS:
            raise DataError(f"{file}:{number}: labels: {min(unknown)!r} is none of {', '.join(sorted(_FIELDS))}")
        yield number, row | labels


def _content(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error
    try:
        # Spreadsheets put a byte-order mark before the header.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{file}:{line}: not UTF-8") from error
