"""Whose run a work folder holds: what is another run never goes on with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmorient.digest import file_digest
from mmorient.errors import DataError
from mmorient.training.data.examples import Example


def claim_folder(work: Path, run: Mapping[str, object]) -> None:
    """Note in a folder what a run is of, or see that it is the run that began there.

    Args:
        work: The folder.
        run: All that its weights follow from, by what a person calls it; JSON.

    Raises:
        DataError: Another run began there; the message says what of it is another.
    """
    file = work / "run.json"
    own = json.dumps(run, indent=2, sort_keys=True)
    if file.is_file() and (differing := _differing(file.read_text(encoding="utf-8"), json.loads(own))):
        raise DataError(f"{work}: holds a run with another {differing}; take another folder, or empty it")
    file.write_text(own, encoding="utf-8")


def digest_of(examples: Sequence[Example]) -> str:
    """``sha256:…`` of texts, labels and splits, and of the pictures by their names and sizes."""
    digest = hashlib.sha256()
    for one in examples:
        picture = None if one.picture is None else (str(one.picture), _size(one.picture))
        row = (one.source, one.split, one.text, picture, sorted(one.targets.items()))
        digest.update(json.dumps(row).encode())
    return f"sha256:{digest.hexdigest()}"


def digest_of_pictures(examples: Sequence[Example]) -> str:
    """``sha256:…`` of what the pictures' files hold, each once; one that is missing counts as empty."""
    digest = hashlib.sha256()
    for file in dict.fromkeys(one.picture for one in examples if one.picture is not None):
        digest.update((file_digest(file) if file.is_file() else "").encode())
    return f"sha256:{digest.hexdigest()}"


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else -1


def _differing(before: str, run: Mapping[str, object]) -> str:
    """What of a run is another, empty where nothing is: an earlier version did not note all that this one does."""
    try:
        was = json.loads(before)
    except ValueError:
        was = None
    if not isinstance(was, dict):
        return " and ".join(run)
    return " and ".join(name for name in run if name in was and not _same(was[name], run[name], name))


def _same(was: object, now: object, name: str) -> bool:
    if name == "configuration" and isinstance(was, dict) and isinstance(now, dict):
        return was == {field: value for field, value in now.items() if field in was}
    return was == now
