"""Texts, pictures and posts a second, and the wait of a lone one: `python -m bench.tiles --against FOLDER`.

FOLDER holds another version of this project (`git worktree add FOLDER COMMIT`). Both versions take turns, each turn in
a process of its own, so that whatever else the machine does befalls both; medians of the turns are compared.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent.parent
# What is measured: unit, and whether more of it is better.
FIGURES = {
    "texts": ("a second", True),
    "pictures": ("a second", True),
    "cached posts": ("a second", True),
    "lone short text": ("ms", False),
    "lone text of 30 words": ("ms", False),
    "lone text of 100 words": ("ms", False),
    "lone picture": ("ms", False),
}


def sentences(count: int) -> list[str]:
    """Return texts of tweets' lengths, made of the sample posts' words."""
    rng = random.Random(1)  # noqa: S311
    lines = (HERE / "samples" / "posts.jsonl").read_text(encoding="utf-8").splitlines()
    words = " ".join(json.loads(line).get("text") or "" for line in lines).split()
    found = []
    for _ in range(count):
        length = min(60, max(2, round(rng.lognormvariate(2.6, 0.6))))
        start = rng.randrange(len(words) - length)
        found.append(" ".join(words[start : start + length]))
    return found


def measure(seconds: float) -> dict[str, float]:
    """Return each figure of the version that is imported here."""
    from mmorient import Moderator, Post, decode_picture

    moderator = Moderator.from_checkpoint()
    noise = np.random.default_rng(0)
    content = BytesIO()
    Image.fromarray(noise.integers(0, 256, (224, 224, 3), dtype=np.uint8)).save(content, "PNG")
    picture = decode_picture(content.getvalue())
    texts = sentences(256)
    cached = moderator.embed([Post(text) for text in texts])
    words = " ".join(texts).split()
    starts = range(0, 256, 64)

    def lone(length: int) -> float:
        return 1000 * _time(lambda: moderator.label([Post(" ".join(words[:length]))]), seconds)

    return {
        "texts": 256 / _time(lambda: [moderator.embed_texts(texts[at : at + 64]) for at in starts], seconds),
        "pictures": 16 / _time(lambda: moderator.embed_pictures([picture] * 16), seconds),
        "cached posts": 256 / _time(lambda: [moderator.classify(cached[at : at + 64]) for at in starts], seconds),
        "lone short text": lone(8),
        "lone text of 30 words": lone(30),
        "lone text of 100 words": lone(100),
        "lone picture": 1000 * _time(lambda: moderator.label([Post(None, (picture,))]), seconds),
    }  # fmt: skip


def _time(work: Callable[[], object], seconds: float) -> float:
    """Return the median seconds of a call."""
    work()
    took: list[float] = []
    while len(took) < 3 or sum(took) < seconds:
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def main() -> None:
    """Measure one version, or two in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="folder of another version")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each figure in each turn")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.seconds)))
        return
    folders = [folder for folder in (args.against, HERE) if folder is not None]
    turns: dict[Path, list[dict[str, float]]] = {folder: [] for folder in folders}
    for _ in range(args.turns):
        for folder in folders:
            command = [sys.executable, str(Path(__file__).resolve()), "--one", "--seconds", str(args.seconds)]
            environment = os.environ | {"PYTHONPATH": str(folder.resolve())}
            ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            turns[folder].append(json.loads(ran.stdout))
    print(f"{args.turns} turns, medians")
    for name, (unit, more_is_better) in FIGURES.items():
        medians = [statistics.median(turn[name] for turn in turns[folder]) for folder in folders]
        line = f"{name:<24}" + "".join(f"{median:>10.1f}" for median in medians) + f" {unit}"
        if args.against is not None:
            ratios = [
                new[name] / old[name] if more_is_better else old[name] / new[name]
                for old, new in zip(*turns.values(), strict=True)
            ]
            line += f"   times as good: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(line)


if __name__ == "__main__":
    main()
