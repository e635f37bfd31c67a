"""The stream beside a slow picture host: `python -m bench.slow_pictures`.

Each partition has posts whose picture takes seconds to come. The same posts go through with a host that answers at
once and with the slow one, by turns in one run; the figure is the ratio of the posts a second between the first and
the last tenth, in which nothing starts or ends. Texts and pictures are new to the cache.
"""

import argparse
import asyncio
import json
import os
import time

from bench.back_pressure import late_server
from bench.on_stack import Servers, run_on_own_stack, with_each
from bench.stream import make_posts

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


async def rate(servers: Servers, posts: list[bytes]) -> float:
    """Return posts a second between the first and the last tenth of them."""
    moments: list[tuple[float, int]] = []
    async with servers.counting() as done_in_all:
        before, done = await done_in_all(), 0
        await servers.write(posts, PARTITIONS)
        while done < (1 - _EDGE) * len(posts):
            await asyncio.sleep(0.05)
            done = await done_in_all() - before
            if done >= _EDGE * len(posts):
                moments.append((time.perf_counter(), done))
        while await done_in_all() - before < len(posts):
            await asyncio.sleep(0.05)
    (began, first), (ended, last) = moments[0], moments[-1]
    return (last - first) / (ended - began)


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run both by turns and print the ratio."""
    await servers.create_topics(PARTITIONS)
    async with (
        late_server(0.0) as quick,
        late_server(args.late_seconds) as slow,
        servers.worker(MODERATE_MEDIA__ALLOWED_PRIVATE_HOSTS='["127.0.0.1"]'),
    ):
        await rate(servers, make_posts(200, 0.0, run=0))
        pairs = []
        for run in range(args.repeat):
            rates = []
            for number, port in enumerate((quick, slow)):
                posts = make_posts(args.posts, 0.0, run=1 + 2 * run + number)
                rates.append(await rate(servers, with_pictures(posts, args.share, port)))
            pairs.append(rates)
            print(
                f"at once {rates[0]:7.1f} posts/s   {args.late_seconds:.1f} s late {rates[1]:7.1f} posts/s", flush=True
            )
    print(f"{args.posts} posts, {args.share:.0%} with a picture, {PARTITIONS} partitions, {os.cpu_count()} cores")
    print(f"ratio {with_each([late / at_once for at_once, late in pairs])}")


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
