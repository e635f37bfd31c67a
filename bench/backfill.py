"""A backfill against the live stream: `python -m bench.backfill`.

Speed: worker and backfill read the same posts by turns, each from the topic's beginning with a group of its own,
without a cache; then a backfill with another head reads them eight times over and finds every embedding in the cache.
The figure is posts a second between a tenth and nine tenths of the way: starting and ending count for nothing.

Yielding: posts come at half of the worker's speed, by turns alone and with a backfill that runs flat out beside it on
the same cores; the figure is the 99th percentile of the time from a post's writing to the reading of its labels.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from bench.on_stack import Servers, run_on_own_stack
from bench.stream import make_posts
from tests.worker.checkpoints import recalibrated

PARTITIONS = 4
_LOOK_SECONDS = 0.05
_REPEATS = 8
OLD, SEEN = "old-posts", "seen-posts"


class Bench:
    """What is done on the servers.

    Args:
        servers: whose folder takes the logs.
    """

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.kafka = servers.kafka
        self._runs = 0

    def next_group(self) -> str:
        """Return a group that nobody had before."""
        self._runs += 1
        return f"bench-{self._runs}"

    async def done(self, group: str, topic: str) -> int:
        """Return how many posts of a topic a group has done."""
        async with self.servers.named(group_id=group, posts_topic=topic).counting() as done:
            return await done()

    async def speed(self, group: str, topic: str, posts: int) -> float:
        """Return a group's offsets a second between a tenth and nine tenths of the posts."""
        begun: tuple[float, int] | None = None
        async with self.servers.named(group_id=group, posts_topic=topic).counting() as count:
            while True:
                done = await count()
                now = time.perf_counter()
                if begun is None and done >= posts // 10:
                    begun = now, done
                if begun is not None and done >= posts * 9 // 10:
                    return (done - begun[1]) / (now - begun[0])
                await asyncio.sleep(_LOOK_SECONDS)

    async def live_speed(self, posts: int) -> float:
        """Return the speed of a worker that starts at the topic's beginning."""
        group = self.next_group()
        async with self.servers.worker(group, MODERATE_KAFKA__GROUP_ID=group, MODERATE_REDIS__URL=""):
            return await self.speed(group, self.kafka.posts_topic, posts)

    async def backfill_speed(self, posts: int, *, topic: str | None = None, checkpoint: Path | None = None) -> float:
        """Return the speed of a backfill of a whole topic; one that is named is read with the cache."""
        group = self.next_group()
        more = {"MODERATE_CHECKPOINT": str(checkpoint)} if checkpoint else {}
        more |= {"MODERATE_KAFKA__POSTS_TOPIC": topic} if topic else {}
        async with self.backfill(group, cached=topic is not None, **more) as process:
            speed = await self.speed(group, topic or self.kafka.posts_topic, posts)
            await process.wait()
            return speed

    @asynccontextmanager
    async def backfill(self, group: str, *, cached: bool, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a backfill within the block."""
        uncached = {} if cached else {"MODERATE_REDIS__URL": ""}
        with (self.servers.folder / f"{group}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "worker", "backfill", "--group-id", group, "--output", f"{group}.{{task}}"),
                env={**os.environ, **self.servers.environment(**uncached, **more)},
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def latencies(self, rate: float, seconds: float, group: str) -> list[float]:
        """Return the seconds from writing to labels of posts that come by chance at `rate` a second."""
        consumer = AIOKafkaConsumer(
            self.kafka.routes["sarcasm"],
            bootstrap_servers=self.kafka.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="latest",
        )
        await consumer.start()
        await consumer.seek_to_end()
        sent: dict[str, float] = {}
        feeding = asyncio.create_task(self._feed(rate, seconds, group, sent))
        found: dict[str, float] = {}
        while not feeding.done() or len(found) < len(sent):
            for records in (await consumer.getmany(timeout_ms=20)).values():
                now = time.perf_counter()
                for record in records:
                    found.setdefault(json.loads(record.value)["post_id"], now)
        await feeding
        await consumer.stop()
        return sorted(found[name] - at for name, at in sent.items())

    async def _feed(self, rate: float, seconds: float, group: str, sent: dict[str, float]) -> None:
        dice = random.Random(1)  # noqa: S311 - arrivals by chance
        values = iter(make_posts(round(rate * seconds * 2), 0.0, run=self._runs))
        async with self.servers.producer() as producer:
            due, end = time.perf_counter(), time.perf_counter() + seconds
            while due < end:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                entry = json.loads(next(values))
                name = f"{group}-{entry['id']}"
                sent[name] = time.perf_counter()
                value = json.dumps({**entry, "id": name}).encode()
                await producer.send(self.kafka.posts_topic, value, partition=len(sent) % PARTITIONS)
                due += dice.expovariate(rate)


async def speeds(bench: Bench, args: argparse.Namespace) -> float:
    """Measure and print the speeds; return the live one."""
    posts = make_posts(args.posts, 0.0, run=1)
    await bench.servers.write(posts, PARTITIONS)
    await bench.servers.named(posts_topic=SEEN).write(posts * _REPEATS, PARTITIONS)
    # The cache is filled on the way.
    await bench.backfill_speed(args.posts * _REPEATS, topic=SEEN)
    head = recalibrated(bench.servers.folder / "another-head")
    rows = [
        (
            await bench.live_speed(args.posts),
            await bench.backfill_speed(args.posts),
            await bench.backfill_speed(args.posts * _REPEATS, topic=SEEN, checkpoint=head),
        )
        for _ in range(args.repeat)
    ]
    print(f"{args.posts} posts, text only, {os.cpu_count()} cores, medians of {args.repeat}")
    print(f"{'':<36}{'posts/s':>9}{'ratio to live':>15}  (each run)")
    names = ("live worker", "backfill", "backfill, new head, cached posts")
    for name, column in zip(names, range(3), strict=True):
        ratios = [row[column] / row[0] for row in rows]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        speed = statistics.median(row[column] for row in rows)
        print(f"{name:<36}{speed:>9.1f}{statistics.median(ratios):>15.2f}  ({each})", flush=True)
    return statistics.median(row[0] for row in rows)


async def yielding(bench: Bench, args: argparse.Namespace, live_speed: float) -> None:
    """Measure and print the live stream's latency alone and beside a backfill, which is stopped and let go by turns."""
    rate = live_speed / 2
    live, old = bench.next_group(), bench.next_group()
    settings = {"MODERATE_KAFKA__GROUP_ID": live, "MODERATE_KAFKA__START_AT": "latest", "MODERATE_REDIS__URL": ""}
    # It is stopped for longer than a session lasts by default.
    patient = {"MODERATE_KAFKA__SESSION_TIMEOUT_SECONDS": "60", "MODERATE_KAFKA__POSTS_TOPIC": OLD}
    turns: dict[str, list[list[float]]] = {"alone": [], "beside a backfill": []}
    async with (
        bench.servers.worker("live", **settings),
        bench.backfill(old, cached=False, **patient) as process,
    ):
        await bench.latencies(rate, 5, live)
        while not await bench.done(old, OLD):
            await asyncio.sleep(_LOOK_SECONDS)
        before = await bench.done(old, OLD)
        for _ in range(args.turns):
            process.send_signal(signal.SIGSTOP)
            turns["alone"].append(await bench.latencies(rate, args.seconds, bench.next_group()))
            process.send_signal(signal.SIGCONT)
            turns["beside a backfill"].append(await bench.latencies(rate, args.seconds, bench.next_group()))
        backfilled = (await bench.done(old, OLD) - before) / args.turns / args.seconds
    print(
        f"latency at {rate:.0f} posts a second, half of the speed; seconds; {args.turns} turns of {args.seconds:.0f} s"
    )
    print(f"{'':<24}{'p50':>7}{'p99':>7}  (p99 of each turn)")
    p99 = {}
    for name, measured in turns.items():
        pooled = sorted(one for turn in measured for one in turn)
        p99[name] = _percentile(pooled, 0.99)
        each = " ".join(f"{_percentile(turn, 0.99):.2f}" for turn in measured)
        print(f"{name:<24}{_percentile(pooled, 0.5):>7.3f}{p99[name]:>7.3f}  ({each})")
    print(f"p99 beside a backfill is {p99['beside a backfill'] / p99['alone']:.2f} times that alone;", end=" ")
    print(f"the backfill did {backfilled:.1f} posts a second meanwhile")


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run everything on a fresh stack."""
    # The stack's folder outlives it: a checkpoint of an earlier run would be in the way.
    with tempfile.TemporaryDirectory(dir=servers.folder) as own:
        bench = Bench(replace(servers, folder=Path(own)))
        for topic in (bench.kafka.posts_topic, OLD, SEEN):
            await servers.named(posts_topic=topic).create_topics(PARTITIONS)
        live = args.rate * 2 if args.rate else await speeds(bench, args)
        if args.turns:
            old = make_posts(round(args.turns * args.seconds * 100), 0.0, run=2)
            await servers.named(posts_topic=OLD).write(old, PARTITIONS)
            await yielding(bench, args, live)


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1500)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10, help="of one turn of the latency")
    parser.add_argument("--rate", type=float, help="posts a second of the latency; leaves the speeds out")
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
