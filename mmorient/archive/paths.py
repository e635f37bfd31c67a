"""Which files an archive is made of: files, folders and globs as a person names them."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmorient.errors import ArchiveUsageError

STANDARD_INPUT = Path("-")
ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
"""What is read out of a folder; a file that is named itself is read as JSON lines whatever its name."""


def find_files(named: Sequence[str], *, leave_out: Sequence[Path] = ()) -> list[Path]:
    """Return the files that are meant, each once: in the order of their naming, those of a folder or a glob sorted.

    Args:
        named: Files, folders (searched to any depth for ``ENDINGS``), globs (``**`` too), ``-`` for standard input.
        leave_out: Files and folders that no folder and no glob brings: the output, which may lie among the inputs.

    Raises:
        ArchiveUsageError: A name that brings nothing, or a file that is named itself and to be left out.
    """
    out = [path.resolve() for path in leave_out]
    files: dict[Path, Path] = {}
    for name in named:
        for path in _meant(name, out):
            files.setdefault(path.resolve(), path)
    return list(files.values())


def _meant(name: str, out: Sequence[Path]) -> list[Path]:
    path = Path(name)
    if path == STANDARD_INPUT:
        return [path]
    if path.is_dir():
        if found := [one for one in _inside(path) if not _is_within(one, out)]:
            return found
        raise ArchiveUsageError(f"{name}: no {', '.join(f'*{ending}' for ending in ENDINGS)} in this folder")
    if path.exists():
        if _is_within(path, out):
            raise ArchiveUsageError(f"{name}: is read and written at once")
        return [path]
    if glob.has_magic(name):
        matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207 - an absolute one too
        found = [one for match in matches for one in (_inside(match) if match.is_dir() else [match])]
        if found := [one for one in found if not _is_within(one, out)]:
            return found
        raise ArchiveUsageError(f"{name}: matches no file")
    raise ArchiveUsageError(f"{name}: no such file")


def _inside(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for path in folder.rglob("*") if path.name.endswith(ENDINGS) and path.is_file()))


def _is_within(path: Path, out: Sequence[Path]) -> bool:
    resolved = path.resolve()
    return any(resolved == one or one in resolved.parents for one in out)
