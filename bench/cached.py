"""Posts whose embeddings are all cached, through the stream and through a bare pass-through: `python -m bench.cached`.

What is left is all but the encoders: Kafka, Redis, decoding, the heads, records, transactions. The pass-through reads
the same records and writes three records of a label's size for each, in transactions of 512 posts; it does nothing
else. Both are processes of their own, by turns in one run. Embeddings are random: they cost what real ones do.

Of 1,000 texts each comes back within some seconds, as while it spreads. With `--distinct` no text comes twice: each
embedding is found in Redis, and each post goes through the heads.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import sys
import time

import numpy as np
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.on_stack import Servers, run_on_own_stack, with_each
from mmorient import Moderator, post_text
from worker.broker.transaction import GroupOffset, commit
from worker.commands.demo.samples import FOLDER
from worker.items import OutgoingRecord
from worker.labelling.cache.entries import Entry
from worker.labelling.cache.packed_readings import PackedReadings
from worker.labelling.cache.redis_cache import RedisCache, content_key
from worker.settings import KafkaSettings

TEXTS = 1000
_POSTS_A_TRANSACTION = 512
_LABEL_BYTES = 560
_BARE = ("bare.0", "bare.1", "bare.2")


def make_texts(count: int) -> list[str]:
    """Return distinct texts: the first words of one sample post, the last ones of another, and a number."""
    lines = [json.loads(line) for line in (FOLDER / "posts.jsonl").read_text(encoding="utf-8").splitlines()]
    samples = [line["text"].split() for line in lines if (line.get("text") or "").strip()]
    draw = random.Random(0)  # noqa: S311 - texts, the same ones every time
    texts = []
    for number in range(count):
        first, last = draw.choice(samples), draw.choice(samples)
        words = first[: draw.randint(1, len(first))] + last[-draw.randint(1, len(last)) :]
        texts.append(" ".join([*words, str(number)]))
    return texts


def make_posts(count: int, texts: list[str], *, first: int = 0) -> list[bytes]:
    """Return posts that have texts in turns, from one of them on."""
    return [json.dumps({"id": f"p-{n}", "text": texts[(first + n) % len(texts)]}).encode() for n in range(count)]


async def fill_cache(redis: str, texts: list[str]) -> None:
    """Store an embedding for each text, and what is read of it."""
    moderator = await asyncio.to_thread(Moderator.from_checkpoint, os.environ.get("MODERATE_CHECKPOINT"))
    digest, width = moderator.identity.embedding, moderator.text_width
    packed = PackedReadings(moderator)
    draw = np.random.default_rng(0)
    read = [post_text(text) or "" for text in texts]
    async with RedisCache(
        redis, ttl_seconds=3600, timeout_seconds=5, slow_seconds=5, retry_after_seconds=1, on_failure=print
    ) as cache:
        for start in range(0, len(read), TEXTS):
            part = read[start : start + TEXTS]
            await cache.store(
                {
                    content_key(digest, "text", text.encode()): Entry(
                        draw.normal(size=width).astype(np.float16), packed.pack(reading)
                    )
                    for text, reading in zip(part, moderator.read_texts(part), strict=True)
                }
            )


def processor_seconds(process: psutil.Process) -> float:
    """Return what a process has used so far."""
    times = process.cpu_times()
    return times.user + times.system


async def stream_turn(
    servers: Servers, process: psutil.Process, posts: list[bytes], partitions: int
) -> tuple[float, float]:
    """Return posts a second and processor seconds a post of the worker, over posts that are written now."""
    used = processor_seconds(process)
    seconds = await servers.seconds_to_commit(posts, partitions)
    return len(posts) / seconds, (processor_seconds(process) - used) / len(posts)


async def pass_through_turn(kafka: KafkaSettings, count: int, partitions: int, run: int) -> tuple[float, float]:
    """Return the same of a pass-through in a process of its own, over the first posts of the topic."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.cached", "--pass-through", kafka.bootstrap_servers or ""),
        *("--posts", str(count), "--partitions", str(partitions), "--run", str(run)),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate()
    rate, seconds = said.split()
    return float(rate), float(seconds)


async def pass_through(bootstrap: str, count: int, partitions: int, run: int) -> None:
    """Read so many posts and write three records for each; print posts a second and processor seconds a post."""
    kafka = KafkaSettings(bootstrap_servers=bootstrap)
    sources = [TopicPartition(kafka.posts_topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, isolation_level="read_committed")
    await consumer.start()
    consumer.assign(sources)
    await consumer.seek_to_beginning(*sources)
    producers = {
        source: AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            transactional_id=f"bare-{run}-{source.partition}",
            compression_type=kafka.compression,
        )
        for source in sources
    }
    for producer in producers.values():
        await producer.start()
    value = os.urandom(_LABEL_BYTES // 4).hex().encode() + b"0" * (_LABEL_BYTES // 2)
    headers = [(f"ce_header_{n}", b"0123456789abcdef") for n in range(6)]
    done = 0
    own = psutil.Process()
    used, started = processor_seconds(own), time.perf_counter()

    async def settle(source: TopicPartition, records: list[OutgoingRecord], offset: int) -> None:
        await commit(
            producers[source],
            {source.partition: records},
            offset=GroupOffset(f"bare-{run}", source, offset, "{}"),
            timeout_seconds=30,
        )

    running: dict[TopicPartition, asyncio.Task[None]] = {}
    while done < count:
        fetched = await consumer.getmany(timeout_ms=200, max_records=_POSTS_A_TRANSACTION)
        for source, records in fetched.items():
            if source in running:
                await running[source]
            outgoing = [OutgoingRecord(topic, record.key, value, headers) for record in records for topic in _BARE]
            running[source] = asyncio.create_task(settle(source, outgoing, records[-1].offset + 1))
            done += len(records)
    await asyncio.gather(*running.values())
    seconds = time.perf_counter() - started
    print(done / seconds, (processor_seconds(own) - used) / done)
    await consumer.stop()
    for producer in producers.values():
        await producer.stop()


async def _flame(pid: int, file: str) -> asyncio.subprocess.Process:
    """Start py-spy, which draws where the worker's time goes into an SVG."""
    command = (
        *("py-spy", "record", "--pid", str(pid), "--output", file, "--rate", "100", "--duration", "3600"),
        # It would hold the worker for each look, which on a busy machine is most of the time.
        "--nonblocking",
    )
    return await asyncio.create_subprocess_exec(*command)


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run both by turns and print the table."""
    for topic in (servers.kafka.posts_topic, *_BARE):
        await servers.named(posts_topic=topic).create_topics(args.partitions)
    texts = make_texts((args.repeat + 1) * args.posts if args.distinct else TEXTS)
    await fill_cache(servers.redis, texts)
    async with servers.worker() as worker:
        process = psutil.Process(worker.process.pid)
        await stream_turn(servers, process, make_posts(TEXTS, texts), args.partitions)
        turns = []
        flame = await _flame(process.pid, args.flame) if args.flame else None
        for run in range(args.repeat):
            posts = make_posts(args.posts, texts, first=(run + 1) * args.posts)
            before = (await worker.metrics()).get("moderate_commit_seconds_count", 0.0)
            stream = await stream_turn(servers, process, posts, args.partitions)
            commits = (await worker.metrics()).get("moderate_commit_seconds_count", 0.0) - before
            bare = await pass_through_turn(servers.kafka, args.posts, args.partitions, run)
            turns.append((*stream, *bare, len(posts) / max(1, commits)))
            print(_row("stream", *stream), _row("pass-through", *bare), flush=True)
        if flame is not None:
            flame.send_signal(signal.SIGINT)
            await flame.wait()
    rate, used, bare_rate, bare_used, together = (statistics.median(column) for column in zip(*turns, strict=True))
    kind = "distinct cached posts" if args.distinct else "cached posts"
    print(f"{args.posts} {kind}, {args.partitions} partitions, {os.cpu_count()} cores, medians of {args.repeat}")
    print(_row("stream", rate, used), f"{together:.0f} posts a transaction")
    print(_row("pass-through", bare_rate, bare_used))
    print(f"ratio {with_each([turn[0] / turn[2] for turn in turns])}")


def _row(name: str, rate: float, seconds: float) -> str:
    return f"{name:<14}{rate:8.0f} posts/s  {1e6 * seconds:6.0f} µs of processor a post"


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--distinct", action="store_true", help="no text comes twice")
    parser.add_argument("--flame", help="SVG of where the worker's time goes; py-spy must be on the PATH")
    parser.add_argument("--run", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--pass-through", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pass_through:
        asyncio.run(pass_through(args.pass_through, args.posts, args.partitions, args.run))
    else:
        run_on_own_stack(measure, args)


if __name__ == "__main__":
    main()
