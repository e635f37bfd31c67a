"""Memory of `mmorient label` over a large archive: `python -m bench.archive`.

Generates an archive of posts (long texts, and every third with an inline picture of noise of 2 to 4 MB), as JSON lines
and then as Parquet, labels it into a file of the same form, and prints the peak of the resident memory by how much of
the archive was read. Everything lies in a temporary folder that goes at the end.
"""

import argparse
import base64
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

GIGABYTE = 1000**3
WORDS = ("the", "a", "my", "this", "game", "song", "monday", "rain", "bridge", "cat", "never", "great", "again", "why")
# So that the JSON lines and the table hold the same.
_SEED = 7
_GROUP_BYTES = 256 * 1000**2


def posts() -> Iterator[dict[str, Any]]:
    """Yield posts for ever; `data` is bytes."""
    chance = random.Random(_SEED)  # noqa: S311
    number = 0
    while True:
        number += 1
        post: dict[str, Any] = {
            "id": f"p-{number}",
            "text": " ".join(chance.choices(WORDS, k=chance.randint(5, 400))),
        }
        if number % 3 == 0:
            side = chance.randint(820, 1150)
            content = BytesIO()
            noise = Image.frombytes("RGB", (side, side), chance.randbytes(side * side * 3))
            noise.save(content, "PNG", compress_level=0)
            post["media"] = [{"data": content.getvalue()}]
        yield post


def write_json_lines(path: Path, size: int) -> int:
    """Write posts until the file has `size` bytes; return their number."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for post in posts():
            for medium in post.get("media", ()):
                medium["data"] = base64.b64encode(medium["data"]).decode()
            file.write(json.dumps(post) + "\n")
            count += 1
            if file.tell() >= size:
                return count
    raise AssertionError


def write_table(path: Path, size: int) -> int:
    """Write posts in row groups of 256 MB until the file has `size` bytes; return their number."""
    media = pa.list_(pa.struct([pa.field("data", pa.binary())]))
    schema = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.string()), pa.field("media", media)])
    count, written, group, group_bytes = 0, 0, [], 0
    # A page is checked for its size after as many values: 1,024 pictures would be one page of gigabytes.
    with parquet.ParquetWriter(path, schema, write_batch_size=1, use_dictionary=["text"]) as writer:
        for post in posts():
            group.append(post)
            count += 1
            group_bytes += sum(len(medium["data"]) for medium in post.get("media", ()))
            if group_bytes >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                written, group, group_bytes = written + group_bytes, [], 0
                if written >= size:
                    return count
    raise AssertionError


def measure(archive: Path, out: Path, marks: list[int]) -> None:
    """Label the archive and print the peak at each mark (bytes read) and at the end."""
    command = [sys.executable, "-m", "mmorient", "label", str(archive), "--output", str(out)]
    started = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    state = out.with_name(f"{out.name}.state.json")
    ready, before, peak = 0, 0, 0

    def show(size: int) -> None:
        figures = f"{time.monotonic() - started:>9.0f}{ready / 1e6:>8.0f}{peak / 1e6:>8.0f}"
        print(f"{archive.suffix[1:]:<9}{size / GIGABYTE:>6.1f}{figures}", flush=True)

    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
            read = watched.io_counters().read_chars
        except psutil.Error:
            break
        if not ready and state.exists():
            ready, before = peak, read
        elif ready and marks and read - before >= marks[0]:
            show(marks.pop(0))
        time.sleep(0.02)
    if process.wait():
        raise SystemExit(f"{archive}: exit code {process.returncode}")
    show(archive.stat().st_size)


def main() -> None:
    """Generate, label, print; one form after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    args = parser.parse_args()
    size = int(args.gigabytes * GIGABYTE)
    steps = [0.1, 0.2, 0.4, 0.6, 0.8]
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        for ending, write in (("jsonl", write_json_lines), ("parquet", write_table)):
            archive = Path(name) / f"posts.{ending}"
            count = write(archive, size)
            print(f"{count} posts, {archive.stat().st_size / GIGABYTE:.2f} GB, {os.cpu_count()} cores; megabytes")
            print(f"{'form':<9}{'GB':>6}{'seconds':>9}{'ready':>8}{'peak':>8}", flush=True)
            measure(archive, Path(name) / f"labels.{ending}", [int(size * step) for step in steps])
            archive.unlink()


if __name__ == "__main__":
    main()
