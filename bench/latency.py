"""How long a post takes at half of full load: `python -m bench.latency`.

First the stream's full speed on texts that no cache has seen; then new ones are written evenly at half of that, and the
time from a post's writing to its label's arrival at a `read_committed` consumer is taken. The goal is three times what
one full call of the model takes and what all lanes' transactions take at their share of a core.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.on_stack import Servers, run_on_own_stack, with_each
from bench.stream import bare_rate, make_posts, stream_rate
from mmorient import Moderator
from worker.settings import KafkaSettings, Settings

PARTITIONS = 4
_TRANSACTION_SECONDS, _SHARE = 0.001, 0.15


async def arrivals(kafka: KafkaSettings, count: int, started: asyncio.Event) -> dict[tuple[int, int], float]:
    """Return when the labels of so many posts came, by the partition and offset of the label."""
    topic = kafka.routes["sarcasm"]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, isolation_level="read_committed", fetch_max_wait_ms=5
    )
    await consumer.start()
    sources = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(sources)
    await consumer.seek_to_end(*sources)
    for source in sources:
        await consumer.position(source)
    started.set()
    came: dict[tuple[int, int], float] = {}
    while len(came) < count:
        for source, records in (await consumer.getmany(timeout_ms=1000)).items():
            now = time.time()
            for record in records:
                came[source.partition, record.offset] = now
    await consumer.stop()
    return came


async def write_evenly(servers: Servers, posts: Sequence[bytes], rate: float) -> dict[int, list[float]]:
    """Write posts at an even rate; return when each of a partition was written, in order."""
    written: dict[int, list[float]] = {number: [] for number in range(PARTITIONS)}
    async with servers.producer() as producer:
        began = time.perf_counter()
        sent = []
        for number, value in enumerate(posts):
            if (wait := began + number / rate - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            partition = number % PARTITIONS
            written[partition].append(time.time())
            sent.append(await producer.send(servers.kafka.posts_topic, value, partition=partition))
        await asyncio.gather(*sent)
    return written


def latencies(written: dict[int, list[float]], came: dict[tuple[int, int], float]) -> list[float]:
    """Return the seconds of each post: labels of a partition stand in its posts' order."""
    found = []
    for partition, moments in written.items():
        offsets = sorted(offset for place, offset in came if place == partition)
        found += [came[partition, offset] - moment for offset, moment in zip(offsets, moments, strict=True)]
    return sorted(found)


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Measure full speed, then latency at half of it, by turns."""
    await servers.create_topics(PARTITIONS)
    batch = Settings().batch.max_posts
    moderator = Moderator.from_checkpoint()
    bare = await asyncio.to_thread(bare_rate, moderator, make_posts(4 * batch, 0.0, run=999), batch)
    goal = 3 * (batch / bare + PARTITIONS * _TRANSACTION_SECONDS / _SHARE)
    ratios = []
    async with servers.worker():
        for run in range(args.repeat):
            full = await stream_rate(servers, make_posts(args.posts, 0.0, run=2 * run))
            posts = make_posts(args.posts, 0.0, run=2 * run + 1)
            reading = asyncio.Event()
            coming = asyncio.create_task(arrivals(servers.kafka, len(posts), reading))
            await reading.wait()
            found = latencies(await write_evenly(servers, posts, full / 2), await coming)
            p99 = found[int(0.99 * len(found))]
            ratios.append(p99 / goal)
            print(
                f"full {full:6.1f} posts/s; at half of it p50 {statistics.median(found):.3f} s, p99 {p99:.3f} s",
                flush=True,
            )
    print(f"{args.posts} texts, {PARTITIONS} partitions, {os.cpu_count()} cores; a full call {batch / bare:.2f} s")
    print(f"p99, in thrice a full call and all lanes' transactions: {with_each(ratios)}")


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1500)
    parser.add_argument("--repeat", type=int, default=3)
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
