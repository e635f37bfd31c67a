"""The stream against the bare model: `python -m bench.stream`.

Both label the same distinct posts in the same run, by turns: the bare model calls `Moderator.label` on posts that are
parsed, decoded and batched already; the stream reads them from Kafka, looks them up in Redis (all misses), labels,
and commits labels and offsets in transactions. The figure is the ratio of their posts a second.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

from bench.on_stack import Servers, run_on_own_stack
from mmorient import Moderator, Post, decode_picture, post_text
from worker.commands.demo.samples import FOLDER
from worker.settings import Settings

PARTITIONS = 4


def make_posts(count: int, picture_share: float, run: int) -> list[bytes]:
    """Return posts none of whose texts or pictures has been seen before."""
    lines = [json.loads(line) for line in (FOLDER / "posts.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [line["text"] for line in lines if (line.get("text") or "").strip()]
    pictures = [path.read_bytes() for path in sorted((FOLDER / "pictures").glob("*.jpg"))]
    posts = []
    for number in range(count):
        post: dict[str, Any] = {"id": f"p-{run}-{number}", "text": f"{texts[number % len(texts)]} {run}.{number}"}
        if (number * 7919) % 1000 < picture_share * 1000:
            # Bytes behind the end of a JPEG change its content key and nothing else.
            content = pictures[number % len(pictures)] + f"{run}.{number}".encode()
            post["media"] = [{"data": base64.b64encode(content).decode()}]
        posts.append(json.dumps(post).encode())
    return posts


def bare_rate(moderator: Moderator, values: Sequence[bytes], batch: int) -> float:
    """Return posts a second of the model alone."""
    posts = []
    for value in values:
        entry = json.loads(value)
        pictures = tuple(decode_picture(base64.b64decode(medium["data"])) for medium in entry.get("media", ()))
        posts.append(Post(text=post_text(entry["text"]), pictures=pictures))
    started = time.perf_counter()
    for start in range(0, len(posts), batch):
        moderator.label(posts[start : start + batch])
    return len(posts) / (time.perf_counter() - started)


async def stream_rate(servers: Servers, values: Sequence[bytes]) -> float:
    """Return posts a second from the first record written to the last offset committed."""
    return len(values) / await servers.seconds_to_commit(values, PARTITIONS)


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run both by turns and print the table."""
    await servers.create_topics(PARTITIONS)
    moderator = Moderator.from_checkpoint(args.checkpoint)
    batch = Settings().batch.max_posts
    async with servers.worker():
        await stream_rate(servers, make_posts(batch, 0.5, run=0))
        print(f"{args.posts} posts, batches of {batch}, {os.cpu_count()} cores, medians of {args.repeat}", flush=True)
        print(f"{'workload':<24}{'bare posts/s':>14}{'stream posts/s':>16}{'ratio':>8}  (each run)")
        for name, share in (("text only", 0.0), ("30 % with a picture", 0.3)):
            pairs = []
            for repeat in range(args.repeat):
                values = make_posts(args.posts, share, run=1 + repeat + round(share * 1000))
                bare = await asyncio.to_thread(bare_rate, moderator, values, batch)
                pairs.append((bare, await stream_rate(servers, values)))
            bare, stream = (statistics.median(rates) for rates in zip(*pairs, strict=True))
            ratios = [stream / bare for bare, stream in pairs]
            each = " ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"{name:<24}{bare:>14.1f}{stream:>16.1f}{statistics.median(ratios):>8.2f}  ({each})", flush=True)


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1500)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--checkpoint", default=os.environ.get("MODERATE_CHECKPOINT"))
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
