"""Feeds the sample posts into the posts topic for ever, as of now: what a producer does, for the compose stack.

    python deploy/feeder.py SAMPLES --posts-per-second 20 --pictures-host feeder:8000

The pictures that samples name by address are served on port 8000; the worker must be allowed to fetch them from there
(MODERATE_MEDIA__ALLOWED_PRIVATE_HOSTS). Broker and topic are the worker's own settings.
"""

# ruff: noqa: INP001 - a script
import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from aiohttp import web
from aiokafka import AIOKafkaProducer

from worker.commands.demo.samples import Sample, read_samples
from worker.settings import load_settings

_PORT = 8000


def endless(samples: list[Sample]) -> Iterator[Sample]:
    """Give the samples round after round; a post's id tells the round, so that each is a post of its own."""
    for turn in count():
        for sample in samples:
            yield _renamed(sample, turn)


def _renamed(sample: Sample, turn: int) -> Sample:
    """Return the sample with the round in its id; one of the malformed as it is."""
    try:
        post = json.loads(sample.value or b"")
    except (ValueError, RecursionError):
        return sample
    if not isinstance(post, dict) or not isinstance(post.get("id"), str):
        return sample
    post["id"] += f"-{turn}"
    value = json.dumps(post, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Sample(post["id"].encode("utf-8", "surrogatepass"), value, sample.title, sample.pictures)


async def serve(folder: Path) -> None:
    """Serve the pictures of a folder to other containers."""
    app = web.Application()
    app.router.add_static("/", folder)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=_PORT).start()


async def feed(samples: list[Sample], posts_per_second: float) -> None:
    """Send posts at a rate until the process is ended."""
    kafka = load_settings().kafka
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True, max_request_size=kafka.max_request_bytes
    )
    await producer.start()
    partitions = sorted(await producer.partitions_for(kafka.posts_topic))
    due = time.monotonic()
    try:
        for number, sample in enumerate(endless(samples)):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += 1 / posts_per_second
            batch = producer.create_batch()
            # A record may have neither key nor value, which only whole batches can carry.
            batch.append(key=sample.key, value=sample.value, timestamp=None)
            await producer.send_batch(batch, kafka.posts_topic, partition=partitions[number % len(partitions)])
    finally:
        await producer.stop()


async def main() -> None:
    """Serve the pictures and feed."""
    parser = argparse.ArgumentParser(description="Feed the sample posts into the posts topic for ever.")
    parser.add_argument("samples", type=Path, help="folder with posts.jsonl, malformed.jsonl and pictures/")
    parser.add_argument("--posts-per-second", type=float, default=20.0)
    parser.add_argument("--pictures-host", default=f"127.0.0.1:{_PORT}", help="where others find this process")
    args = parser.parse_args()
    await serve(args.samples / "pictures")
    await feed(read_samples(f"http://{args.pictures_host}/", args.samples), args.posts_per_second)


if __name__ == "__main__":
    asyncio.run(main())
