"""Whose run a work folder holds: what is another run never goes on with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

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
    if file.is_file() and (before := file.read_text(encoding="utf-8")) != own:
        raise DataError(f"{work}: holds a run with another {_differing(before, run)}; take another folder, or empty it")
    file.write_text(own, encoding="utf-8")


def digest_of(examples: Sequence[Example]) -> str:
    """``sha256:…`` of texts, labels and splits, and of the pictures by their names and sizes."""
    digest = hashlib.sha256()
    for one in examples:
        picture = None if one.picture is None else (str(one.picture), _size(one.picture))
        row = (one.source, one.split, one.text, picture, sorted(one.targets.items()))
        digest.update(json.dumps(row).encode())
    return f"sha256:{digest.hexdigest()}"


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else -1


def _differing(before: str, run: Mapping[str, object]) -> str:
    try:
        was = json.loads(before)
    except ValueError:
        was = {}
    return " and ".join(name for name in run if not isinstance(was, dict) or was.get(name) != run[name])
