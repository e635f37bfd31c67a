"""Which files an archive is made of: files, folders and globs as a person names them."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmorient.errors import ArchiveUsageError
from mmorient.files.formats import COMPRESSED, CSV_ENDINGS, JSON_ENDINGS, PARQUET_ENDINGS, STANDARD_INPUT
from mmorient.files.lakes import refuse_lakes

ENDINGS = (*(json + packed for json in JSON_ENDINGS for packed in ("", *COMPRESSED)), *PARQUET_ENDINGS)
"""What is read out of a folder; a file that is named itself is read whatever its name."""

_CSV = tuple(ending + packed for ending in CSV_ENDINGS for packed in ("", *COMPRESSED))
# How far a labelling is, beside its output.
_STATE_ENDING = ".state.json"
_TOLD = 4


def find_files(named: Sequence[str], *, leave_out: Sequence[Path] = ()) -> list[Path]:
    """Return the files that are meant, each once: in the order of their naming, those of a folder or a glob sorted.

    Names that begin with ``_`` or ``.`` are passed over in folders and globs, as Spark and Hive do: they mark what is
    done or under way. A partition's folder (``_day=1``) is none of them, nor is what a glob itself begins so.

    Args:
        named: Files, folders (searched to any depth for ``ENDINGS``), globs (``**`` too), ``-`` for standard input.
        leave_out: Files and folders that no folder and no glob brings: the output, which may lie among the inputs.

    Raises:
        ArchiveUsageError: A name that brings nothing, a file that is named itself and to be left out, or a folder that
            is a table of Delta Lake, Iceberg or Hudi.
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
        raise ArchiveUsageError(f"{name}: {_nothing_in(path)}")
    if path.exists():
        if _is_within(path, out):
            raise ArchiveUsageError(f"{name}: is read and written at once")
        return [path]
    if glob.has_magic(name):
        matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207 - an absolute one too
        matches = [match for match in matches if _is_matched(match, path)]
        for folder in dict.fromkeys(match.parent for match in matches if not match.is_dir()):
            refuse_lakes(folder, str(folder))
        found = [one for match in matches for one in (_inside(match) if match.is_dir() else [match])]
        if found := [one for one in found if not _is_within(one, out)]:
            return found
        raise ArchiveUsageError(f"{name}: matches no file")
    raise ArchiveUsageError(f"{name}: no such file")


def _inside(folder: Path) -> Iterator[Path]:
    refuse_lakes(folder, str(folder))
    found = []
    for place, folders, files in os.walk(folder):
        if place != str(folder):
            refuse_lakes(Path(place), place, around=False)
        folders[:] = [name for name in folders if not _is_passed_over(name)]
        found += [Path(place, name) for name in files if name.lower().endswith(ENDINGS) and not _is_passed_over(name)]
    return iter(sorted(path for path in found if path.is_file()))


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name) or name.endswith(_STATE_ENDING)


def _is_matched(match: Path, pattern: Path) -> bool:
    """Whether a glob means what it matches: what is passed over elsewhere it must begin to spell itself."""
    begun = {part[:1] for part in pattern.parts}
    asked = {part for part in match.parts if part[:1] in {"_", "."} and part[:1] in begun}
    return not any(_is_passed_over(part) and part not in {".", "..", *asked} for part in match.parts)


def _nothing_in(folder: Path) -> str:
    """What there is in a folder instead."""
    names = [name for _, _, files in os.walk(folder) for name in files if not _is_passed_over(name)]
    if any(name.lower().endswith(_CSV) for name in names):
        return f"only tables of CSV in this folder: name them themselves, such as {folder}/*.csv"
    said = f"no {', '.join(f'*{ending}' for ending in ('.jsonl', '.ndjson', '.json', '.parquet'))} in this folder"
    others = Counter(Path(name).suffix for name in names).most_common(_TOLD)
    return said + (f" (it holds {', '.join(f'{count} *{suffix}' for suffix, count in others)})" if others else "")


def _is_within(path: Path, out: Sequence[Path]) -> bool:
    resolved = path.resolve()
    return any(resolved == one or one in resolved.parents for one in out)
