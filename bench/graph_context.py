"""What the reference bank costs: `python -m bench.graph_context`.

Labels the same text-only posts with the contexts `self` and `bank` by turns, in one run, on a checkpoint of random
weights with 4,096 reference posts: once where no post has a neighbour, as is the rule over a cosine of 0.9, and once
with a threshold so low that every post has hundreds.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from mmorient import Moderator, Post
from mmorient.config import GraphKind
from mmorient.training.data.examples import PROBES
from mmorient.training.fitting.compact import compact_config
from mmorient.training.fitting.untrained import write_untrained
from worker.commands.demo.samples import FOLDER, read_samples


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
    kinds: tuple[tuple[str, GraphKind], ...] = (("checkpoint", "self"), ("checkpoint", "bank"), ("near", "bank"))
    texts = [sample.title for sample in read_samples("http://127.0.0.1/", FOLDER) if sample.pictures == 0]
    posts = [Post(texts[number % len(texts)]) for number in range(args.posts)]
    with tempfile.TemporaryDirectory() as folder:
        config = compact_config("bench", probes=PROBES, bank_posts=args.bank)
        near = config.model_copy(update={"head": config.head.model_copy(update={"threshold": 0.01})})
        for name, one in (("checkpoint", config), ("near", near)):
            write_untrained(Path(folder) / name, config=one)
        moderators = [Moderator.from_checkpoint(Path(folder) / name, graph_context=kind) for name, kind in kinds]
        for moderator in moderators:
            seconds_per_post(moderator, posts[:64])
        runs = [[seconds_per_post(moderator, posts) for moderator in moderators] for _ in range(args.repeat)]
    print(
        f"{args.posts} text-only posts, {args.bank} reference posts, {os.cpu_count()} cores, medians of {args.repeat}"
    )
    for place, name in enumerate(("self", "bank, no neighbours", "bank, every post with neighbours")):
        each = statistics.median(run[place] for run in runs) * 1e3
        ratio = statistics.median(run[place] / run[0] for run in runs)
        print(f"{name:<34}{each:>8.2f} ms a post   {100 * (ratio - 1):+.1f} %")


if __name__ == "__main__":
    main()
