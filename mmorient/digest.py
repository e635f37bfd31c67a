"""Digests of files, and of a checkpoint without loading it: no torch is needed to know which one a folder holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mmorient.config import FORMAT
from mmorient.errors import CheckpointError

CONFIG = "config.json"
SHIPPED = Path(__file__).parent / "checkpoints" / "compact"


def file_digest(path: Path) -> str:
    """The file's SHA-256 as ``sha256:…``."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def checkpoint_digest(path: Path | None = None) -> str:
    """``sha256:…`` of a checkpoint's ``config.json``, which holds the digest of every file that can change a label.

    Args:
        path: Its folder; None is the one that comes with this package.

    Raises:
        CheckpointError: There is none.
    """
    file = (path or SHIPPED) / CONFIG
    if not file.is_file():
        raise CheckpointError(file, "is missing")
    return file_digest(file)


def check_checkpoint(path: Path) -> None:
    """Look at a checkpoint as far as that goes without torch, whose start takes seconds.

    Raises:
        CheckpointError: There is no such folder, its ``config.json`` cannot be read or is of another format, or a file
            that it names is missing.
    """
    if not path.is_dir():
        raise CheckpointError(path, "no such folder")
    file = path / CONFIG
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(file, "is missing") from error
    except OSError as error:
        raise CheckpointError(file, f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(file, f"is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(file, "is not a JSON object")
    if (written := found.get("format", FORMAT)) != FORMAT:
        raise CheckpointError(file, f"format is {written!r}, this version reads {FORMAT!r}")
    files = found.get("files")
    for name in sorted(files) if isinstance(files, dict) else ():
        if not (path / name).is_file():
            raise CheckpointError(path / name, "is missing")
