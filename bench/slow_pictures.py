"""The stream beside a slow picture host: `python -m bench.slow_pictures`.

Each partition has posts whose picture takes seconds to come. The same posts go through with a host that answers at
once and with the slow one, by turns in one run; the figure is the ratio of the posts a second between the first and
the last tenth, in which nothing starts or ends. Texts and pictures are new to the cache.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from bench.back_pressure import late_server
from bench.on_stack import committed, run_on_own_stack, write
from bench.stream import make_posts
from worker.broker.clients import KafkaLinks
from worker.broker.topics import create_topics
from worker.commands.demo.worker_process import start_worker
from worker.commands.stack.ports import free_ports
from worker.settings import KafkaSettings

PARTITIONS = 8
_EDGE = 0.1


def with_pictures(posts: list[bytes], share: float, port: int) -> list[bytes]:
    """Return posts of which some have a picture by address, spread over all partitions."""
    changed = []
    for number, value in enumerate(posts):
        if (number * 7919) % 1000 < share * 1000:
            entry = json.loads(value)
            entry["media"] = [{"url": f"http://127.0.0.1:{port}/{entry['id']}.png"}]
            value = json.dumps(entry).encode()  # noqa: PLW2901
        changed.append(value)
    return changed


async def rate(kafka: KafkaSettings, admin: AIOKafkaAdminClient, posts: list[bytes]) -> float:
    """Return posts a second between the first and the last tenth of them."""
    before = await committed(admin, kafka.group_id, kafka.posts_topic)
    await write(kafka, posts, PARTITIONS)
    moments: list[tuple[float, int]] = []
    done = 0
    while done < (1 - _EDGE) * len(posts):
        await asyncio.sleep(0.05)
        done = await committed(admin, kafka.group_id, kafka.posts_topic) - before
        if done >= _EDGE * len(posts):
            moments.append((time.perf_counter(), done))
    while await committed(admin, kafka.group_id, kafka.posts_topic) - before < len(posts):
        await asyncio.sleep(0.05)
    (began, first), (ended, last) = moments[0], moments[-1]
    return (last - first) / (ended - began)


async def measure(args: argparse.Namespace, kafka: KafkaSettings, redis: str, folder: Path) -> None:
    """Run both by turns and print the ratio."""
    async with KafkaLinks(kafka.bootstrap_servers or "", kafka).connected_admin() as admin:
        await create_topics(admin, kafka, partitions=PARTITIONS, replication_factor=1)
    environment = {
        "MODERATE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers or "",
        "MODERATE_REDIS__URL": redis,
        "MODERATE_MEDIA__ALLOWED_PRIVATE_HOSTS": '["127.0.0.1"]',
    }
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    async with (
        late_server(0.0) as quick,
        late_server(args.late_seconds) as slow,
        start_worker(environment, port=free_ports(1)[0], log_path=folder / "worker.log") as worker,
    ):
        await worker.wait_until_ready(180)
        await rate(kafka, admin, make_posts(200, 0.0, run=0))
        pairs = []
        for run in range(args.repeat):
            rates = []
            for number, port in enumerate((quick, slow)):
                posts = make_posts(args.posts, 0.0, run=1 + 2 * run + number)
                rates.append(await rate(kafka, admin, with_pictures(posts, args.share, port)))
            pairs.append(rates)
            print(
                f"at once {rates[0]:7.1f} posts/s   {args.late_seconds:.1f} s late {rates[1]:7.1f} posts/s", flush=True
            )
    await admin.close()
    ratios = [late / at_once for at_once, late in pairs]
    each = " ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"{args.posts} posts, {args.share:.0%} with a picture, {PARTITIONS} partitions, {os.cpu_count()} cores")
    print(f"ratio {statistics.median(ratios):.2f}  ({each})")


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=4000)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--late-seconds", type=float, default=4.5)
    parser.add_argument("--repeat", type=int, default=3)
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
