"""Folders that are a table of a table format: their Parquet files hold rows that are deleted or replaced, too."""

from __future__ import annotations

from pathlib import Path

from mmorient.errors import ArchiveUsageError


def refuse_lakes(folder: Path, name: str) -> None:
    """See whether a folder is a table of Delta Lake, Iceberg or Hudi, or lies within one.

    Args:
        folder: Which is there.
        name: Of it, for messages.

    Raises:
        ArchiveUsageError: It is one; with what to do instead.
    """
    for one in (folder.resolve(), *folder.resolve().parents):
        if found := _lake(one):
            kind, where, scan = found
            inside = name if one == folder.resolve() else f"{name}: lies in {one}, which"
            raise ArchiveUsageError(
                f"{inside} is a table of {kind} ({where}): its Parquet files hold deleted and replaced rows, too; write"
                f" out what the table holds now, such as by DuckDB: COPY (FROM {scan}('{one}')) TO 'posts.parquet'"
            )


def _lake(folder: Path) -> tuple[str, str, str] | None:
    if (folder / "_delta_log").is_dir():
        return "Delta Lake", "_delta_log", "delta_scan"
    if next((folder / "metadata").glob("*.metadata.json*"), None) or (folder / "metadata/version-hint.text").is_file():
        return "Iceberg", "metadata/*.metadata.json", "iceberg_scan"
    if (folder / ".hoodie").is_dir():
        return "Hudi", ".hoodie", "hudi_scan"
    return None
