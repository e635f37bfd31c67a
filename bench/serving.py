"""`moderate serve` against the bare model: `python -m bench.serving`.

Both label the same distinct posts in the same run, by turns: the bare model calls `Moderator.label` on batches of posts
that are parsed already; the server is asked over HTTP on this machine by 1, 16 and 64 clients, each of which sends its
next post when the last is answered. `processor ms a post` is of the bare model and of the server. The clients are a
process of their own, and share the processors with the server. Then ten times as much is asked as the server can do,
for a while, and its memory is watched.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httptools
import psutil

from bench.stream import bare_rate, make_posts
from mmorient import Moderator
from worker.commands.stack.ports import free_ports
from worker.settings import Settings

_CLIENTS = (1, 16, 64)


class _Answer:
    """Reads one answer; httptools calls it."""

    def __init__(self) -> None:
        self.complete = False

    def on_message_complete(self) -> None:
        self.complete = True


async def ask_for_ever(
    port: int, posts: asyncio.Queue[bytes], seen: list[tuple[int, float]], pause: float, ends_at: float
) -> None:
    """Ask for one post after the other over one connection, until there are none.

    Args:
        port: of the server.
        posts: are taken from it.
        seen: is given status and seconds of each.
        pause: after a refusal, in seconds.
        ends_at: by when the last is begun, on the performance counter.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while not posts.empty() and time.perf_counter() < ends_at:
            body = posts.get_nowait()
            started = time.perf_counter()
            writer.write(
                b"POST /v1/label HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )
            answer = _Answer()
            parser = httptools.HttpResponseParser(answer)
            while not answer.complete:
                parser.feed_data(await reader.read(65536))
            seen.append((parser.get_status_code(), time.perf_counter() - started))
            if seen[-1][0] != 200:
                await asyncio.sleep(pause)
    finally:
        writer.close()


async def ask(
    port: int, values: Sequence[bytes], clients: int, pause: float = 0.0, at_most: float = float("inf")
) -> tuple[float, list[float], Counter[int]]:
    """Return seconds in all, those of each answered request in order, and how often each status came."""
    waiting: asyncio.Queue[bytes] = asyncio.Queue()
    for value in values:
        waiting.put_nowait(value)
    seen: list[tuple[int, float]] = []
    started = time.perf_counter()
    await asyncio.gather(*(ask_for_ever(port, waiting, seen, pause, started + at_most) for _ in range(clients)))
    seconds = time.perf_counter() - started
    return seconds, sorted(took for status, took in seen if status == 200), Counter(status for status, _ in seen)


@asynccontextmanager
async def server(folder: Path, **settings: str) -> AsyncIterator[tuple[int, psutil.Process]]:
    """Give the port and the process of a server that is ready."""
    (port,) = free_ports(1)
    environment = {"MODERATE_SERVE__PORT": str(port), "MODERATE_REDIS__URL": "", "MODERATE_LOG__FORMAT": "json"}
    environment |= {f"MODERATE_{name}": value for name, value in settings.items()}
    with (folder / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker", "serve", env={**os.environ, **environment}, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(180):
            while not await _is_ready(port):
                if process.returncode is not None:
                    raise RuntimeError((folder / "serve.log").read_text(encoding="utf-8")[-3000:])
                await asyncio.sleep(0.2)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
    said = await reader.read()
    writer.close()
    return b" 200 " in said.partition(b"\r\n")[0]


async def measure(args: argparse.Namespace, folder: Path) -> None:
    """Run both by turns and print the tables."""
    moderator = Moderator.from_checkpoint(args.checkpoint)
    batch = Settings().batch.max_posts
    numbers = iter(range(10**6))
    async with server(folder) as (port, process):
        await ask(port, make_posts(2 * batch, 0.0, run=next(numbers)), 16)
        await asyncio.to_thread(bare_rate, moderator, make_posts(batch, 0.0, run=next(numbers)), batch)
        load = os.getloadavg()[0]
        print(f"texts, batches of {batch}, {os.cpu_count()} cores, load {load:.1f}, medians of {args.repeat}")
        print("clients  posts  bare posts/s  over HTTP  ratio  p50 ms  p99 ms  processor ms a post  (each ratio)")
        for clients in _CLIENTS:
            posts = args.posts if clients > 1 else args.posts // 4
            pairs, times, costs = [], [], []
            for _ in range(args.repeat):
                values = make_posts(posts, 0.0, run=next(numbers))
                # With one client the bare model labels one post at a time, too.
                spent = time.process_time()
                bare = await asyncio.to_thread(bare_rate, moderator, values, min(batch, clients))
                spent, before = time.process_time() - spent, sum(process.cpu_times()[:2])
                seconds, took, codes = await ask(port, make_posts(posts, 0.0, run=next(numbers)), clients)
                if set(codes) != {200}:
                    raise RuntimeError(f"not all were answered: {codes}")
                costs.append((1000 * spent / posts, 1000 * (sum(process.cpu_times()[:2]) - before) / posts))
                pairs.append((bare, posts / seconds))
                times += took
            times.sort()
            ratios = [over / bare for bare, over in pairs]
            bare, over = (statistics.median(one) for one in zip(*pairs, strict=True))
            p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
            each = " ".join(f"{ratio:.2f}" for ratio in ratios)
            cost = " and ".join(f"{statistics.median(one):.1f}" for one in zip(*costs, strict=True))
            figures = f"{bare:>14.1f}{over:>11.1f}{statistics.median(ratios):>7.2f}{p50:>8.0f}{p99:>8.0f}"
            print(f"{clients:>7}{posts:>7}{figures}{cost:>21}  ({each})", flush=True)
    await overload(args, folder, next(numbers))


async def overload(args: argparse.Namespace, folder: Path, run: int) -> None:
    """Ask ten times as much as can be done, and say what became of it."""
    deadline = 2.0
    async with server(folder, SERVE__DEADLINE_SECONDS=str(deadline)) as (port, process):
        await ask(port, make_posts(200, 0.0, run=run), 16)
        capacity_seconds, _, _ = await ask(port, make_posts(400, 0.0, run=run + 10**6), 64)
        capacity = 400 / capacity_seconds
        # Those whose posts wait, and those who come back a tenth of the deadline after they were refused.
        clients = round(2 * capacity * deadline)
        values = [
            json.dumps({"id": f"o-{n}", "text": f"a remark of its own, number {n} {run}"}).encode()
            for n in range(10**6)
        ]
        sizes = []

        async def look() -> None:
            while True:
                sizes.append(process.memory_info().rss / 1e6)
                await asyncio.sleep(0.5)

        looking = asyncio.create_task(look())
        seconds, took, codes = await ask(port, values, clients, deadline / 10, args.seconds)
        looking.cancel()
        after = sizes[len(sizes) // 5 :]
        print(f"overload by {clients} clients, who come back after {deadline / 10:g} s, for {seconds:.0f} s")
        print(f"can be done    {capacity:.0f} posts/s")
        print(f"asked          {sum(codes.values()) / seconds:.0f} requests/s")
        print(f"answered       {codes[200] / seconds:.0f}/s, p99 {took[int(len(took) * 0.99)]:.2f} s of {deadline:g} s")
        print(f"by status      {', '.join(f'{status}: {count}' for status, count in sorted(codes.items()))}")
        figures = f"{after[0]:.0f} MB after a fifth of it, {max(after):.0f} at most, {after[-1]:.0f} at the end"
        print(f"memory         {figures}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=960)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of overload")
    parser.add_argument("--checkpoint", default=os.environ.get("MODERATE_CHECKPOINT"))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(parser.parse_args(), Path(folder)))


if __name__ == "__main__":
    main()
