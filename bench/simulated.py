"""How busy the stream keeps a fast device: `python -m bench.simulated`.

The device is simulated (`bench/simulated_worker.py`): its calls take the time that an H200 would take and no processor.
All else is real: Kafka, Redis, decoding, transactions. Texts are new to every cache, so that each goes through the
encoder, is stored in Redis and is labelled. One process, then two that share the machine.
"""

import argparse
import json
import os
import statistics
from contextlib import AsyncExitStack

import psutil

from bench.cached import processor_seconds
from bench.device_times import H200
from bench.on_stack import Servers, run_on_own_stack
from bench.stream import make_posts
from worker.commands.demo.worker_process import WorkerProcess

PARTITIONS = 16


async def busy_seconds(workers: list[WorkerProcess]) -> float:
    """Return how long their devices have computed."""
    return sum([(await one.metrics())["bench_device_busy_seconds_total"] for one in workers])


async def turn(servers: Servers, workers: list[WorkerProcess], posts: list[bytes]) -> tuple[float, float, float]:
    """Return posts a second, processor seconds a post, and the share of the time in which the device was busy."""
    processes = [psutil.Process(one.process.pid) for one in workers]
    busy, used = await busy_seconds(workers), sum(map(processor_seconds, processes))
    seconds = await servers.seconds_to_commit(posts, PARTITIONS)
    used = sum(map(processor_seconds, processes)) - used
    return len(posts) / seconds, used / len(posts), (await busy_seconds(workers) - busy) / seconds


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run one process, then two, and print the table."""
    await servers.create_topics(PARTITIONS)
    settings = {"MODERATE_BATCH__MAX_POSTS": str(args.batch), "SIMULATED_DEVICE": json.dumps(H200)}
    print(f"{args.posts} new texts, batches of {args.batch}, {PARTITIONS} partitions, {os.cpu_count()} cores")
    print(
        f"a call {H200['call'] * 1e6:.0f} µs, a token {H200['token'] * 1e6:.1f} µs, a post {H200['post'] * 1e6:.1f} µs"
    )
    number = 0
    for count in (1, 2):
        async with AsyncExitStack() as stack:
            workers = [
                await stack.enter_async_context(
                    servers.worker(f"worker-{count}-{each}", module="bench.simulated_worker", **settings)
                )
                for each in range(count)
            ]
            turns = []
            for _ in range(args.repeat + 1):
                number += 1
                turns.append(await turn(servers, workers, make_posts(args.posts, 0.0, run=number)))
            # The first turn meets credits of 64.
            rate, used, busy = (statistics.median(column) for column in zip(*turns[1:], strict=True))
            print(
                f"{count} process{'es' if count > 1 else '  '}{rate:8.0f} posts/s  {1e6 * used:6.0f} µs of processor "
                f"a post  device busy {busy:.0%}",
                flush=True,
            )


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=3)
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
