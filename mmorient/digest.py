"""Digests of files, and of a checkpoint without loading it: no torch is needed to know which one a folder holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

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
