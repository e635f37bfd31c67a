"""Packages that only archives need: imported when they are used, asked for in one line where they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from mmorient.errors import ArchiveUsageError


def extra_module(name: str, extra: str, purpose: str) -> ModuleType:
    """Import a package that an extra brings.

    Args:
        name: Of the module, such as ``pyarrow.parquet``.
        extra: Of this project, such as ``archives``.
        purpose: What it is wanted for, as the message begins.

    Raises:
        ArchiveUsageError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.split(".", maxsplit=1)[0]
        raise ArchiveUsageError(
            f"{purpose} needs {package}: pip install 'mm-orient-moderation[{extra}]' ({error})"
        ) from error
