"""What a file is: by its first bytes where they tell, else by its name."""

from __future__ import annotations

import enum
import stat
from pathlib import Path

from mmorient.errors import ArchiveUsageError

STANDARD_INPUT = Path("-")
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
CSV_ENDINGS = (".csv", ".tsv")
PARQUET_ENDINGS = (".parquet", ".parq", ".pq")

# What nobody can read as text: the first bytes, and the name that a person knows it by.
_FOREIGN = {
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"ARROW1": "an Arrow (Feather) file",
    b"\xff\xff\xff\xff": "an Arrow stream",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"SQLite format 3\x00": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"SEQ\x06": "a Hadoop sequence file",
    b"\x89HDF": "an HDF5 file",
}
_HEAD_BYTES = 16


class Kind(enum.Enum):
    """How the rows of a file are read."""

    EMPTY = "empty"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def kind_of(path: Path, name: str) -> Kind:
    """Say what a file is; one of no bytes is empty whatever its name, one of an unknown name is JSON.

    Args:
        path: Of the file; ``-`` is standard input.
        name: Of it, for messages.

    Raises:
        ArchiveUsageError: It is of a format that is not read, or cannot be opened.
    """
    if path == STANDARD_INPUT:
        return Kind.JSON
    try:
        found = path.stat()
        regular = stat.S_ISREG(found.st_mode)
        # A pipe could not be read a second time.
        head = _head(path) if regular else b""
    except OSError as error:
        raise ArchiveUsageError(f"{name}: {error.strerror or error}") from error
    if regular and not found.st_size:
        return Kind.EMPTY
    if head.startswith(b"PAR1"):
        return Kind.PARQUET
    for signature, kind in _FOREIGN.items():
        if head.startswith(signature):
            raise ArchiveUsageError(f"{name}: is {kind}: write its rows as Parquet, CSV or JSON lines")
    return _by_name(path)


def bare_name(path: Path) -> str:
    """A file's name in lower case, without the ending of its compression."""
    name = path.name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return name


def _by_name(path: Path) -> Kind:
    name = bare_name(path)
    if name.endswith(PARQUET_ENDINGS):
        return Kind.PARQUET
    return Kind.CSV if name.endswith(CSV_ENDINGS) else Kind.JSON


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)
