"""What the sandbox of the decoders costs: python -m bench.sandbox; and what hostile pictures cost: --hostile.

Both ways decode the same files in turns, so that what else the machine does meets both.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bench.pictures import files
from mmorient import PictureError, decode_picture
from tests.worker.labelling.sandbox.hostile_pictures import hostile_pictures
from worker.labelling.sandbox.decoders import Sandbox, Terms, children_of

Decode = Callable[[bytes], object]
_SAMPLES = Path(__file__).parent.parent / "samples" / "pictures"
_MAX_BYTES = 8 * 1024 * 1024
_TERMS = Terms(memory_bytes=1024**3, cpu_seconds=10, most_seconds=24)


def pictures_a_second(decode: Decode, contents: Sequence[bytes], threads: ThreadPoolExecutor) -> float:
    """Decode all of them, as many at once as there are threads."""
    started = time.perf_counter()
    for _ in threads.map(decode, contents):
        pass
    return len(contents) / (time.perf_counter() - started)


def opened(children: int) -> Sandbox:
    """Return children that are ready."""
    sandbox = Sandbox(children=children, max_bytes=_MAX_BYTES, side=224, terms=_TERMS)
    if not sandbox.start():
        raise SystemExit("no sandbox here")
    return sandbox


def compare(turns: int) -> None:
    """Print pictures a second with and without, one at a time and as shipped."""
    loads = {
        "sample pictures": [file.read_bytes() for file in sorted(_SAMPLES.iterdir())],
        "JPEGs of 1080x1350": [dict(files())["JPEG 1080x1350"]] * 40,
        "small JPEGs, 320x240": [dict(files())["JPEG 320x240"]] * 150,
        "bench/pictures.py's": [content for _, content in files()],
    }
    print(f"{turns} turns, medians; pictures a second")
    print(f"{'':24}{'in process':>12}{'1 child':>10}{'ratio':>8}  (each turn)    {children_of(1)} children, ratio")
    one, several = opened(1), opened(children_of(1))
    with ThreadPoolExecutor(1) as alone, ThreadPoolExecutor(children_of(1)) as together:
        for name, contents in loads.items():
            rows = []
            for turn in range(turns + 1):
                row = [
                    pictures_a_second(decode_picture, contents, alone),
                    pictures_a_second(one.decode_picture, contents, alone),
                    pictures_a_second(several.decode_picture, contents, together),
                ]
                rows += [row] if turn else []  # the first one warms up
            medians = [statistics.median(row[which] for row in rows) for which in range(3)]
            ratios = [row[1] / row[0] for row in rows]
            more = statistics.median(row[2] / row[0] for row in rows)
            each = " ".join(f"{ratio:.2f}" for ratio in ratios)
            print(
                f"{name:24}{medians[0]:12.1f}{medians[1]:10.1f}{statistics.median(ratios):8.2f}  ({each})  {more:.2f}"
            )
    one.close()
    several.close()


def neighbours(turns: int, seconds: float) -> None:
    """Print what pictures wait while hostile ones are decoded beside them, one hostile in fifty."""
    sandbox = opened(children_of(1))
    ordinary = [file.read_bytes() for file in sorted(_SAMPLES.iterdir())]
    hostile = [content for make in hostile_pictures().values() if len(content := make()) <= _MAX_BYTES]
    found: dict[str, list[float]] = {"alone": [], "beside": []}
    all_times: dict[str, list[float]] = {"alone": [], "beside": []}
    done = 0
    with ThreadPoolExecutor(children_of(1)) as threads:
        for _ in range(turns):
            for kind, times in found.items():
                waited = _waited(sandbox, threads, ordinary, hostile if kind == "beside" else [], seconds)
                times.append(_quantile(waited, 0.99))
                all_times[kind] += waited
                done += len(waited)
    pids = [child._process.pid for child in sandbox._children if child._process]  # noqa: SLF001
    peak = max(
        int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))[0]) for pid in pids
    )
    print(f"{len(hostile)} hostile pictures, {done} ordinary ones, {turns} turns of {seconds:g} s; milliseconds")
    for kind, times in found.items():
        each = " ".join(f"{1000 * p99:.0f}" for p99 in times)
        waited = all_times[kind]
        print(f"{kind:8} p50 {1000 * _quantile(waited, 0.5):6.1f}  p99 {1000 * _quantile(waited, 0.99):6.1f}  ({each})")
    ratios = [beside / alone for alone, beside in zip(found["alone"], found["beside"], strict=True)]
    print(f"p99 beside / alone: {statistics.median(ratios):.2f}; a child's largest memory: {peak // 1024} MB")
    sandbox.close()


def _waited(
    sandbox: Sandbox, threads: ThreadPoolExecutor, ordinary: Sequence[bytes], hostile: Sequence[bytes], seconds: float
) -> list[float]:
    """Return seconds from asking for each ordinary picture to having it; pictures come as at half of the speed."""
    chance = random.Random(1)  # noqa: S311 - reproducible
    waited: list[float] = []

    def decode(content: bytes, asked: float, *, counts: bool) -> None:
        with suppress(PictureError):
            sandbox.decode_picture(content)
        if counts:
            waited.append(time.perf_counter() - asked)

    begun = time.perf_counter()
    number = 0
    while time.perf_counter() - begun < seconds:
        time.sleep(chance.expovariate(1 / 0.02))
        threads.submit(decode, ordinary[number % len(ordinary)], time.perf_counter(), counts=True)
        if hostile and number % 50 == 0:
            threads.submit(decode, chance.choice(hostile), time.perf_counter(), counts=False)
        number += 1
    threads.submit(int).result()
    while len(waited) < number:
        time.sleep(0.05)
    return waited


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a turn of --hostile")
    args = parser.parse_args()
    if args.hostile:
        neighbours(args.turns, args.seconds)
    else:
        compare(args.turns)


if __name__ == "__main__":
    main()
