"""Archives that the tests make, and the command in a process of its own."""

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

Fields = Mapping[str, Any]


def write_lines(path: Path, posts: Sequence[Fields | bytes]) -> Path:
    """Write JSON lines, compressed as the ending says; bytes go as they are."""
    lines = b"".join(
        (post if isinstance(post, bytes) else json.dumps(post, ensure_ascii=False).encode()) + b"\n" for post in posts
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        lines = gzip.compress(lines)
    elif path.suffix == ".zst":
        lines = pa.compress(lines, codec="zstd", asbytes=True)
    path.write_bytes(lines)
    return path


def write_parquet(path: Path, posts: Sequence[Fields], *, rows: int = 7) -> Path:
    """Write the same posts as a table, inline pictures as bytes, some rows a row group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist([_with_bytes(post) for post in posts]), path, row_group_size=rows)
    return path


def _with_bytes(post: Fields) -> dict[str, Any]:
    media = [
        {**medium, "data": base64.b64decode(medium["data"])} if "data" in medium else dict(medium)
        for medium in post.get("media") or ()
    ]
    return {**post, "media": media or None}


def command(before: str, arguments: Sequence[str]) -> list[str]:
    """`mmorient` as a command line, with some Python before it starts."""
    root = str(Path(__file__).parents[3])
    code = f"import sys; sys.path.insert(0, {root!r}); {before}; from mmorient.cli import main; main()"
    return [sys.executable, "-c", code, *arguments]


def memory_of_reading(name: str, folder: Path) -> tuple[int, int]:
    """Read an archive in a process of its own; return its rows, and the megabytes that this took above an idle one."""
    read = (
        "import resource, sys, pyarrow.parquet; from mmorient import open_archive;"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024;"
        "idle = peak(); count = sum(1 for row in open_archive([sys.argv[1]]).rows());"
        "print(count, peak() - idle)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", read, name],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": ""},
        check=True,
        capture_output=True,
        text=True,
    )
    count, megabytes = map(int, ran.stdout.split())
    return count, megabytes
