"""Peak memory under back-pressure against what the settings allow: `python -m bench.back_pressure`.

One worker, twelve partitions. Four loads, each written as fast as the broker takes it, far ahead of the model:
short texts; short texts with one partition whose pictures come from a server that answers late; posts of 8 MB; and a
hostile mix: all of these, with pictures whose server never stops sending and small ones that are large once decoded.

The last column is what is held above rest, in what the settings allow above it. Processes that decode pictures count.
"""

import argparse
import asyncio
import base64
import json
import os
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from io import BytesIO

import psutil
from PIL import Image

from bench.on_stack import Servers, run_on_own_stack
from worker.commands.demo.worker_process import WorkerProcess
from worker.settings import Settings

PARTITIONS = 12
MEGABYTE = 1024 * 1024
# A record's JSON, its base64 text within the post, its bytes, and a copy on the way from one to the other.
COPIES_OF_A_RECORD = 4
_HELD = "MEDIA__MAX_HELD_BYTES"
# So that they are full.
_FEW_BYTES = {_HELD: str(64 * MEGABYTE), "MEDIA__TIMEOUT_SECONDS": "3"}


def allowed_bytes(settings: Settings, *, resting: int, largest_record: int, largest_picture: int, fetches: bool) -> int:
    """Return what the settings allow a worker and its decoding processes to take.

    Args:
        settings: of the worker.
        resting: resident bytes once it is ready.
        fetches: whether pictures come by address.
        largest_record: bytes of the largest post.
        largest_picture: bytes of the pixels of the largest picture.
    """
    batch, kafka = settings.batch, settings.kafka
    fetched = PARTITIONS * max(kafka.max_fetch_bytes, largest_record)
    # Twice: what is fetched, and the response that it was cut out of.
    in_flight = max(batch.max_in_flight_bytes, largest_record)
    decoding = settings.media.decode_threads * 2 * largest_picture
    # A picture's bytes are gathered, and copied once when they are whole.
    pictures = 2 * settings.media.max_held_bytes if fetches else 0
    return resting + 2 * fetched + COPIES_OF_A_RECORD * in_flight + decoding + pictures


def texts(count: int) -> Iterator[tuple[int, bytes]]:
    """Yield short posts by partition."""
    for number in range(count):
        yield number % PARTITIONS, json.dumps({"id": f"t-{number}", "text": f"a short text, number {number}"}).encode()


def with_a_slow_partition(count: int, port: int) -> Iterator[tuple[int, bytes]]:
    """Yield short posts; those of partition 0 have a picture that comes late."""
    for partition, value in texts(count):
        if partition == 0:
            entry = json.loads(value)
            entry["media"] = [{"url": f"http://127.0.0.1:{port}/{entry['id']}.png"}]
            value = json.dumps(entry).encode()  # noqa: PLW2901
        yield partition, value


def large(count: int, megabytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield posts of some megabytes, each with a picture of noise that no cache has seen."""
    side = int((megabytes * MEGABYTE * 3 / 4 / 3) ** 0.5)
    buffer = BytesIO()
    noise = random.Random(0).randbytes(side * side * 3)  # noqa: S311
    Image.frombytes("RGB", (side, side), noise).save(buffer, "PNG", compress_level=0)
    for number in range(count):
        # Bytes behind the end of a PNG change its content key and nothing else.
        content = buffer.getvalue() + f"{number}".encode()
        media = [{"data": base64.b64encode(content).decode()}]
        yield number % PARTITIONS, json.dumps({"id": f"l-{number}", "text": "large", "media": media}).encode()


def hostile(count: int, late_port: int, endless_port: int) -> Iterator[tuple[int, bytes]]:
    """Yield posts of every kind that takes memory, in all partitions."""
    bomb = BytesIO()
    Image.new("L", (7000, 7000)).save(bomb, "PNG")
    heavy = large(count, 8)
    for number in range(count):
        entry = {"id": f"h-{number}", "text": f"a short text, number {number}"}
        urls = [
            f"http://127.0.0.1:{port}/{number}-{each}.png" for each in range(4) for port in (late_port, endless_port)
        ]
        media = [
            [{"url": url} for url in urls],
            [{"data": base64.b64encode(bomb.getvalue() + f"{number}".encode()).decode()}],
            [],
        ][number % 4 % 3]
        value = next(heavy)[1] if number % 8 == 3 else json.dumps({**entry, "media": media}).encode()
        yield number % PARTITIONS, value


@asynccontextmanager
async def endless_server() -> AsyncIterator[int]:
    """Give the port of a server that never stops sending, and does not say how much it will be."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
            while True:
                writer.write(bytes(64 * 1024))
                await writer.drain()
                # As fast as the time-out lets a picture of 8 MB come.
                await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def late_server(seconds: float) -> AsyncIterator[int]:
    """Give the port of a server that answers every request late, with a picture."""
    buffer = BytesIO()
    Image.new("RGB", (64, 64), (10, 120, 200)).save(buffer, "PNG")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(seconds)
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(buffer.getvalue()))
        writer.write(buffer.getvalue())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Peak:
    """The largest resident size of a process with its children, without what they share with it."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.bytes = 0

    def now(self) -> int:
        """Return the resident bytes."""
        own = int(self._process.memory_info().rss)
        with suppress(psutil.Error):
            for child in self._process.children(recursive=True):
                with suppress(psutil.Error):
                    taken = child.memory_info()
                    own += int(taken.rss - taken.shared)
        return own

    async def watch(self) -> None:
        """Sample for ever."""
        while True:
            self.bytes = max(self.bytes, self.now())
            await asyncio.sleep(0.05)


async def feed(servers: Servers, posts: Iterator[tuple[int, bytes]]) -> tuple[int, int, float]:
    """Write posts as fast as the broker takes them; return their count, the largest, and posts a second."""
    count, largest, loop = 0, 0, asyncio.get_running_loop()
    waiting: list[asyncio.Future[object]] = []
    async with servers.producer() as producer:
        started = loop.time()
        for partition, value in posts:
            waiting.append(await producer.send(servers.kafka.posts_topic, value, partition=partition))
            count, largest = count + 1, max(largest, len(value))
            if len(waiting) >= (16 if len(value) > MEGABYTE else 1000):
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
        return count, largest, count / (loop.time() - started)


async def labelled(worker: WorkerProcess) -> float:
    """Return the posts that a worker has labelled."""
    return (await worker.metrics())["moderate_posts_labelled_total"]


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run the loads one after the other and print the table."""
    await servers.create_topics(PARTITIONS)
    print(f"{PARTITIONS} partitions, {os.cpu_count()} cores; megabytes")
    head = f"{'load':<24}{'posts':>7}{'written/s':>11}{'labelled/s':>12}{'ready':>8}{'peak':>8}{'allowed':>9}"
    print(f"{head}{'held':>7}")
    async with late_server(args.late_seconds) as port, endless_server() as endless:
        loads: Sequence[tuple[str, Iterator[tuple[int, bytes]], int, Mapping[str, str]]] = (
            ("short texts", texts(args.posts), 0, {}),
            ("one slow partition", with_a_slow_partition(args.posts // 2, port), 64 * 64 * 3, _FEW_BYTES),
            ("posts of 8 MB", large(args.large, 8), 8 * MEGABYTE, {}),
            ("hostile mix", hostile(args.hostile, port, endless), 7000 * 7000 * 4, _FEW_BYTES),
        )
        for name, posts, picture, more in loads:
            if args.only and name != args.only:
                continue
            environment = {f"MODERATE_{key}": value for key, value in more.items()}
            environment["MODERATE_MEDIA__ALLOWED_PRIVATE_HOSTS"] = '["127.0.0.1"]'
            async with servers.worker(name.replace(" ", "-"), **environment) as worker:
                peak = Peak(worker.process.pid)
                resting = peak.now()
                watching = asyncio.create_task(peak.watch())
                started = asyncio.get_running_loop().time()
                count, largest, rate = await feed(servers, posts)
                while await labelled(worker) < count:
                    await asyncio.sleep(0.2)
                speed = count / (asyncio.get_running_loop().time() - started)
                watching.cancel()
            settings = Settings(media={"max_held_bytes": int(more.get(_HELD, Settings().media.max_held_bytes))})
            allowed = allowed_bytes(
                settings, resting=resting, largest_record=largest, largest_picture=picture, fetches=bool(more)
            )
            held = (peak.bytes - resting) / (allowed - resting)
            figures = "".join(f"{value / MEGABYTE:>{width}.0f}" for value, width in ((resting, 8), (peak.bytes, 8)))
            print(
                f"{name:<24}{count:>7}{rate:>11.0f}{speed:>12.1f}{figures}{allowed / MEGABYTE:>9.0f}{held:>7.2f}",
                flush=True,
            )


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=6000)
    parser.add_argument("--large", type=int, default=72)
    parser.add_argument("--hostile", type=int, default=240)
    parser.add_argument("--only", help="one of the loads")
    parser.add_argument("--late-seconds", type=float, default=2.0)
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
