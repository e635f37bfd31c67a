"""Decoding alone, microseconds a post, now and in an earlier version: `python -m bench.reading --before FOLDER`.

FOLDER is a checkout of that version (`git worktree add FOLDER COMMIT`). Each runs in processes of its own, by turns;
the least CPU time of each process counts, and the median over the turns is shown.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_TEXT = "oh great, another monday, said the gardener before the tomatoes were ripe and done"
_ABOUT = {"id": "p-1", "created_at": "2026-11-20T12:00:00Z", "author_id": "u-9", "community": "gardening"}
_INLINE = {"data": "iVBORw0KGgo" + "A" * 40_000, "content_type": "image/png", "ocr_text": "MONDAYS"}
_MORE = {"likes": 12, "thread": {"root": "p-1", "path": [1, 2, 3]}, "tags": ["a", "b"], "source": "app"}
RECORDS: dict[str, bytes] = {
    name: json.dumps(fields).encode()
    for name, fields in {
        "id and text": {"id": "p-1", "text": _TEXT},
        "all fields": _ABOUT | {"language": "en", "text": _TEXT},
        "unknown fields": _ABOUT | {"text": _TEXT} | _MORE,
        "picture by address": _ABOUT | {"text": _TEXT, "media": [{"url": "https://img.example/1.jpg"}]},
        "two pictures": _ABOUT | {"media": [{"url": "https://img.example/1.jpg"}, {"data": "iVBORw0KGgo="}]},
        "inline picture, 40 kB": _ABOUT | {"text": _TEXT, "media": [_INLINE]},
        "* id is a number": {"id": 1017, "text": _TEXT},
        "* created_at is no time": _ABOUT | {"text": _TEXT, "created_at": "yesterday"},
        "* half an emoji": {"id": "p-1", "text": _TEXT + "\ud83d"},
        "* Debezium": {"before": None, "after": _ABOUT | {"text": _TEXT}, "op": "c", "source": {"table": "posts"}},
    }.items()
}


def measure() -> dict[str, float]:
    """Return microseconds a record of this process's version."""
    from worker.errors import InvalidRecordError
    from worker.labelling.decode import parse_post

    def once(value: bytes) -> Callable[[], Any]:
        def call() -> Any:
            try:
                return parse_post(value, max_text_chars=100_000)
            except InvalidRecordError as error:
                return error

        return call

    found = {}
    for name, value in RECORDS.items():
        call = once(value)
        rounds = 5000 if len(value) < 2000 else 500
        found[name] = min(timeit.repeat(call, timer=time.process_time, number=rounds, repeat=9)) / rounds * 1e6
    return found


def main() -> None:
    """Measure both versions by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.turns):
        for version, folder in (("before", options.before), ("now", ROOT)):
            script = f"import json, runpy, sys; sys.path.insert(0, {str(folder)!r}); "
            script += f"print(json.dumps(runpy.run_path({__file__!r})['measure']()))"
            ran = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, check=True)
            for name, microseconds in json.loads(ran.stdout).items():
                times.setdefault((version, name), []).append(microseconds)
    print(f"microseconds a record, medians of {options.turns}; * was a dead letter before")
    print(f"{'record':<26}{'bytes':>7}{'before':>9}{'now':>9}{'ratio':>8}  (each turn)")
    for name, value in RECORDS.items():
        before, now = times["before", name], times["now", name]
        ratios = " ".join(f"{b / a:.2f}" for a, b in zip(before, now, strict=True))
        middle = statistics.median(b / a for a, b in zip(before, now, strict=True))
        shown = f"{statistics.median(before):>9.2f}{statistics.median(now):>9.2f}{middle:>8.2f}"
        print(f"{name:<26}{len(value):>7}{shown}  ({ratios})")


if __name__ == "__main__":
    main()
