"""How busy a worker's processors are, idle, at a steady rate and flat out: `python -m deploy.simulation.measure_cpu`.

Processor seconds, not shares of the machine, so that others on it disturb little: use while flat out is the seconds
that a post takes times the speed on a quiet machine.
"""

import argparse
import asyncio
import os
import time

import psutil

from bench.on_stack import Servers, run_on_own_stack
from bench.stream import make_posts

PARTITIONS = 12


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run the three parts and print a line each."""
    await servers.create_topics(PARTITIONS)
    async with servers.producer() as producer, servers.counting() as done, servers.worker("cpu") as worker:
        process = psutil.Process(worker.process.pid)
        written = 0

        async def spend(name: str, posts: int, rate: float, share: float) -> None:
            nonlocal written
            values = make_posts(posts, share, written)
            before, began = sum(process.cpu_times()[:2]), time.monotonic()
            for number, value in enumerate(values):
                if rate:
                    await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                await producer.send(servers.kafka.posts_topic, value, partition=number % PARTITIONS)
            written += posts
            await producer.flush()
            while await done() < written:  # noqa: ASYNC110 - the broker is another process
                await asyncio.sleep(0.1)
            if not posts:
                await asyncio.sleep(10.0)
            seconds = time.monotonic() - began
            used = sum(process.cpu_times()[:2]) - before
            each = f"{1000 * used / posts:.1f} ms of a processor a post" if posts else ""
            print(f"{name:<34}{seconds:7.1f} s {used / seconds:6.2f} processors  {each}", flush=True)

        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}", flush=True)
        await spend("warm-up", 128, 0, 0.3)
        await spend("idle", 0, 0, 0)
        for share in (0.0, 0.3):
            pictures = f"{100 * share:.0f} % with a picture"
            await spend(f"{args.rate:.0f} posts/s, {pictures}", args.posts, args.rate, share)
            await spend(f"flat out, {pictures}", args.posts, 0, share)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--posts", type=int, default=300)
    parser.add_argument("--rate", type=float, default=15.0)
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
