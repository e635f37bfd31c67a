"""What the simulation takes from a real stack: `nice -n 5 python -m deploy.simulation.measure RECORD.json`.

One Kafka, one Redis and up to two workers of one thread each on this machine: how long a worker takes to start and to
stop, how fast it labels, and the lag, partition by partition, through a burst in which a second one joins and leaves.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from bench.on_stack import Servers, committed_offsets, run_on_own_stack
from bench.stream import make_posts
from worker.commands.demo.worker_process import WorkerProcess
from worker.settings import KafkaSettings

PARTITIONS = 6
# Keys are skewed, so partitions are.
SHARES = (0.30, 0.20, 0.15, 0.15, 0.10, 0.10)
SESSION_SECONDS = 10.0
SAMPLE_SECONDS = 0.5


class Lab:
    """A stack, workers by name, and a clock that starts with the measurement.

    Args:
        servers: of the stack.
        stack: ends what still runs.
    """

    def __init__(self, servers: Servers, stack: AsyncExitStack) -> None:
        self.kafka = servers.kafka
        self._servers = servers
        self._stack = stack
        self._runs = 0
        self.written = [0] * PARTITIONS
        self.wrote: list[tuple[float, int]] = []

    async def start(self, name: str) -> tuple[WorkerProcess, float]:
        """Start a worker and wait until it is ready; return it and the seconds that this took."""
        self._runs += 1
        started = time.monotonic()
        worker = await self._stack.enter_async_context(
            self._servers.worker(
                f"{name}-{self._runs}",
                MODERATE_KAFKA__GROUP_INSTANCE_ID=name,
                MODERATE_KAFKA__SESSION_TIMEOUT_SECONDS=str(SESSION_SECONDS),
                OMP_NUM_THREADS="1",
            )
        )
        return worker, time.monotonic() - started

    async def write(self, producer: AIOKafkaProducer, values: list[bytes], began: float) -> None:
        """Write posts over the partitions by their shares, and note when."""
        sent = []
        for value in values:
            # The partition that is furthest behind its share.
            total = sum(self.written) + 1
            partition = max(range(PARTITIONS), key=lambda p: SHARES[p] * total - self.written[p])
            self.written[partition] += 1
            sent.append(await producer.send(self.kafka.posts_topic, value, partition=partition))
            self.wrote.append((time.monotonic() - began, partition))
        await asyncio.gather(*sent)


async def offsets_of(admin: AIOKafkaAdminClient, kafka: KafkaSettings) -> list[int]:
    """Return the group's committed offset of each partition."""
    found = await committed_offsets(admin, kafka)
    return [found.get(partition, 0) for partition in range(PARTITIONS)]


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run all parts and write the record."""
    record: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average_before": round(os.getloadavg()[0], 1),
        "session_timeout_seconds": SESSION_SECONDS,
    }
    async with AsyncExitStack() as stack:
        await servers.create_topics(PARTITIONS)
        admin = await stack.enter_async_context(servers.links.connected_admin())
        producer = await stack.enter_async_context(servers.producer())
        lab = Lab(servers, stack)
        record["start_seconds"], record["stop_seconds"] = await starts_and_stops(lab, args.repeat)
        record["burst"] = await burst(lab, admin, producer, args)
    record["load_average_after"] = round(os.getloadavg()[0], 1)
    record["start_seconds_median"] = statistics.median(record["start_seconds"])
    record["stop_seconds_median"] = statistics.median(record["stop_seconds"])
    args.record.write_text(json.dumps(record) + "\n", encoding="utf-8")


async def starts_and_stops(lab: Lab, repeat: int) -> tuple[list[float], list[float]]:
    """Return the seconds from a process's start to /readyz, and from SIGTERM to its end, each several times."""
    starts, stops = [], []
    for _ in range(repeat):
        worker, seconds = await lab.start("w-0")
        starts.append(round(seconds, 2))
        began = time.monotonic()
        await worker.stop()
        stops.append(round(time.monotonic() - began, 2))
    return starts, stops


async def burst(
    lab: Lab, admin: AIOKafkaAdminClient, producer: AIOKafkaProducer, args: argparse.Namespace
) -> dict[str, Any]:
    """Run one worker alone for its rate, then a burst in which a second one joins and leaves; return the curves."""
    first, _ = await lab.start("w-0")
    await lab.write(producer, make_posts(200, 0.0, 1), time.monotonic())
    await until_done(lab, admin)
    began = time.monotonic()
    await lab.write(producer, make_posts(600, 0.0, 2), began)
    await until_done(lab, admin)
    rate = 600 / (time.monotonic() - began)

    start_offsets = list(lab.written)
    lab.wrote.clear()
    events: list[tuple[float, str]] = []
    samples: list[tuple[float, list[int]]] = []
    began = time.monotonic()

    async def sample() -> None:
        while True:
            offsets = await offsets_of(admin, lab.kafka)
            now = time.monotonic() - began
            samples.append(
                (round(now, 2), [offset - start for offset, start in zip(offsets, start_offsets, strict=True)])
            )
            await asyncio.sleep(SAMPLE_SECONDS)

    async def trickle() -> None:
        posts = make_posts(round(args.seconds * args.trickle), 0.0, 4)
        for number, post in enumerate(posts):
            await asyncio.sleep(max(0.0, began + number / args.trickle - time.monotonic()))
            await lab.write(producer, [post], began)

    watching = asyncio.create_task(sample())
    await lab.write(producer, make_posts(args.posts, 0.0, 3), began)
    trickling = asyncio.create_task(trickle())
    await asyncio.sleep(3.0)
    events.append((time.monotonic() - began, "second process started"))
    second, _ = await lab.start("w-1")
    events.append((time.monotonic() - began, "second ready"))
    await asyncio.sleep(args.stay)
    events.append((time.monotonic() - began, "second told to stop"))
    await second.stop()
    events.append((time.monotonic() - began, "second ended"))
    await trickling
    await until_done(lab, admin)
    events.append((time.monotonic() - began, "all labelled"))
    watching.cancel()
    await first.stop()
    return {
        "posts_per_second_one_worker": round(rate, 1),
        "posts": args.posts,
        "events": [(round(at, 2), what) for at, what in events],
        "written": [(round(at, 1), partition) for at, partition in lab.wrote],
        "committed": samples,
    }


async def until_done(lab: Lab, admin: AIOKafkaAdminClient) -> None:
    """Return when all that was written is committed."""
    while await offsets_of(admin, lab.kafka) != lab.written:  # noqa: ASYNC110 - the broker is another process
        await asyncio.sleep(0.1)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("record", type=Path, help="JSON file to write")
    parser.add_argument("--repeat", type=int, default=5, help="starts and stops")
    parser.add_argument("--posts", type=int, default=1500, help="posts of the burst")
    parser.add_argument("--trickle", type=float, default=8.0, help="posts a second after it")
    parser.add_argument("--stay", type=float, default=15.0, help="seconds that the second worker labels")
    parser.add_argument("--seconds", type=float, default=75.0, help="length of the trickle")
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
