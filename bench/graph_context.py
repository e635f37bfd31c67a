"""What the reference bank costs: `python -m bench.graph_context`.

Labels the same text-only posts with the contexts `bank` and `self` by turns, in one run, on a checkpoint of random
weights with 4,096 reference posts. Time does not depend on the weights' values.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from mmorient import Moderator, Post
from mmorient.moderator import GraphKind
from mmorient.training.untrained import write_untrained
from worker.demo.samples import FOLDER, read_samples


def seconds_per_post(moderator: Moderator, posts: list[Post]) -> float:
    """Return the time of one post within batches of 64."""
    started = time.perf_counter()
    for start in range(0, len(posts), 64):
        moderator.label(posts[start : start + 64])
    return (time.perf_counter() - started) / len(posts)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=256)
    parser.add_argument("--bank", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=7)
    args = parser.parse_args()
    texts = [sample.title for sample in read_samples("http://127.0.0.1/", FOLDER) if sample.pictures == 0]
    posts = [Post(texts[number % len(texts)]) for number in range(args.posts)]
    contexts: tuple[GraphKind, ...] = ("self", "bank")
    with tempfile.TemporaryDirectory() as folder:
        write_untrained(Path(folder) / "checkpoint", bank_posts=args.bank)
        moderators = [Moderator.from_checkpoint(Path(folder) / "checkpoint", graph_context=kind) for kind in contexts]
        for moderator in moderators:
            seconds_per_post(moderator, posts[:64])
        runs = [[seconds_per_post(moderator, posts) for moderator in moderators] for _ in range(args.repeat)]
    alone, bank = (statistics.median(column) * 1e3 for column in zip(*runs, strict=True))
    ratio = statistics.median(bank / alone for alone, bank in runs)
    print(
        f"{args.posts} text-only posts, {args.bank} reference posts, {os.cpu_count()} cores, medians of {args.repeat}"
    )
    print(f"self {alone:.2f} ms a post, bank {bank:.2f} ms a post: bank costs {100 * (ratio - 1):+.1f} %")


if __name__ == "__main__":
    main()
