"""Folders that are a table of a table format: their Parquet files hold rows that are deleted or replaced, too."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mmorient.errors import ArchiveUsageError

_DUCKDB = "DuckDB: COPY (FROM {}('{{}}')) TO 'posts.parquet'"


def refuse_lakes(folder: Path, name: str, *, around: bool = True) -> None:
    """See whether a folder is a table of Delta Lake, Iceberg or Hudi, or lies within one.

    Args:
        folder: Which is there.
        name: Of it, for messages.
        around: Whether it may lie within one that nobody has looked at yet.

    Raises:
        ArchiveUsageError: It is one; with what to do instead.
    """
    for one in (folder.resolve(), *(folder.resolve().parents if around else ())):
        found = None
        with suppress(OSError):  # a folder above that is not ours to look into
            found = _lake(one)
        if found is not None:
            kind, where, how = found
            inside = name if one == folder.resolve() else f"{name}: lies in {one}, which"
            raise ArchiveUsageError(
                f"{inside} is a table of {kind} ({where}): its Parquet files hold deleted and replaced rows, too; write"
                f" out what the table holds now, such as by {how.format(one)}"
            )


def _lake(folder: Path) -> tuple[str, str, str] | None:
    if (folder / "_delta_log").is_dir():
        return "Delta Lake", "_delta_log", _DUCKDB.format("delta_scan")
    if next((folder / "metadata").glob("*.metadata.json*"), None) or (folder / "metadata/version-hint.text").is_file():
        return "Iceberg", "metadata/*.metadata.json", _DUCKDB.format("iceberg_scan")
    if (folder / ".hoodie").is_dir():
        return "Hudi", ".hoodie", "Spark: spark.read.format('hudi').load('{}').write.parquet('posts')"
    return None
