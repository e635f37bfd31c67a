"""How busy a worker's processors are, idle, at a steady rate and flat out: `python -m deploy.simulation.measure_cpu`.

Processor seconds, not shares of the machine, so that others on it disturb little: use while flat out is the seconds
that a post takes times the speed on a quiet machine.
"""

import argparse
import asyncio
import os
import time
from pathlib import Path

import psutil
from aiokafka import AIOKafkaProducer

from bench.on_stack import committed, run_on_own_stack
from bench.stream import make_posts
from worker.broker.clients import KafkaLinks
from worker.broker.topics import create_topics
from worker.commands.demo.worker_process import start_worker
from worker.commands.stack.ports import free_ports
from worker.settings import KafkaSettings

PARTITIONS = 12


async def measure(args: argparse.Namespace, kafka: KafkaSettings, redis: str, folder: Path) -> None:
    """Run the three parts and print a line each."""
    links = KafkaLinks(kafka.bootstrap_servers or "", kafka)
    environment = {"MODERATE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers or "", "MODERATE_REDIS__URL": redis}
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, max_request_size=kafka.max_request_bytes)
    async with links.connected_admin() as admin:
        await create_topics(admin, kafka, partitions=PARTITIONS, replication_factor=1)
        await producer.start()
        async with start_worker(environment, port=free_ports(1)[0], log_path=folder / "cpu.log") as worker:
            await worker.wait_until_ready(180)
            process = psutil.Process(worker.process.pid)
            written = 0

            async def spend(name: str, posts: int, rate: float, share: float) -> None:
                nonlocal written
                values = make_posts(posts, share, written)
                before, began = sum(process.cpu_times()[:2]), time.monotonic()
                for number, value in enumerate(values):
                    if rate:
                        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                    await producer.send(kafka.posts_topic, value, partition=number % PARTITIONS)
                written += posts
                await producer.flush()
                while (  # noqa: ASYNC110 - the broker is another process
                    await committed(admin, kafka.group_id, kafka.posts_topic) < written
                ):
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
        await producer.stop()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--posts", type=int, default=300)
    parser.add_argument("--rate", type=float, default=15.0)
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
