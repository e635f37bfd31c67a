"""One program under one load: how fast, how late, at what cost of processor and memory."""

import asyncio
import math
import os
import random
import signal
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

_START_SECONDS, _STOP_SECONDS, _LABEL_SECONDS = 240.0, 20.0, 180.0
_SAMPLE_SECONDS = 0.25
# The first time it compiles, connects and grows what it grows; after two, all of a thousand texts in turns were seen.
_WARM_POSTS, _WARM_ROUNDS = 600, 3

Post = tuple[bytes, bytes]
"""Key and value."""


@dataclass(frozen=True)
class Program:
    """A program under test.

    Args:
        name: of its row.
        command: how it is started.
        environment: its variables.
        joined: what its log says once it has partitions.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    joined: bytes


@dataclass(frozen=True)
class Figures:
    """What a turn gave.

    Args:
        posts_a_second: from a backlog, until the last label is written.
        p50_seconds, p99_seconds: from a post's writing to its label before a reader of committed records, at half load.
        processor_us: of the program, for each post of the backlog.
        memory_mb: the most that it held.
        repeats: labels too many, with no fault at all.
    """

    posts_a_second: float
    p50_seconds: float
    p99_seconds: float
    processor_us: float
    memory_mb: float
    repeats: int

    def to_data(self) -> dict[str, float]:
        """Return it as JSON has it."""
        return asdict(self)


class Reader:
    """Notes when the label of each post came, by key.

    Args:
        kafka: addresses.
        topic: labels of one task.
        partitions: of the topic.
        committed: whether only what is committed counts.
    """

    def __init__(self, kafka: str, topic: str, partitions: int, *, committed: bool) -> None:
        self.came: dict[bytes, float] = {}
        self.repeats = 0
        self._sources = [TopicPartition(topic, number) for number in range(partitions)]
        self._kafka = kafka
        self._level = "read_committed" if committed else "read_uncommitted"

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["Reader"]:
        """Read while the block runs."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka,
            isolation_level=self._level,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        consumer.assign(self._sources)
        task = asyncio.create_task(self._read(consumer))
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                now = time.monotonic()
                for record in records:
                    self.repeats += record.key in self.came
                    self.came.setdefault(record.key, now)

    async def all_of(self, posts: Sequence[Post], alive: Callable[[], bool]) -> float:
        """Wait for the labels of posts; return when the last one came, in monotonic seconds.

        Raises:
            RuntimeError: they do not come, or the program has ended.
        """
        deadline = time.monotonic() + _LABEL_SECONDS
        while missing := sum(key not in self.came for key, _ in posts):
            if not alive() or time.monotonic() > deadline:
                raise RuntimeError(f"{missing} of {len(posts)} labels did not come")
            await asyncio.sleep(0.05)
        return max(self.came[key] for key, _ in posts)


@asynccontextmanager
async def running(program: Program, log_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Give the program once it has partitions; end it after the block.

    Raises:
        RuntimeError: it ended before that, or took too long.
    """
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *program.command, env={**os.environ, **program.environment}, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while program.joined not in (said := await asyncio.to_thread(log_path.read_bytes)):
            if process.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{program.name} did not start:\n{said[-2000:].decode(errors='replace')}")
            await asyncio.sleep(0.1)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


@dataclass(frozen=True)
class Course:
    """What all programs are put through.

    Args:
        kafka: addresses.
        posts: topic that is read.
        labels: topic of one task, where the label of each post is looked for.
        partitions: of both.
        make_posts: gives so many that were not given before.
        seconds: about how long the backlog takes, and how long half the load is kept up.
    """

    kafka: str
    posts: str
    labels: str
    partitions: int
    make_posts: Callable[[int], list[Post]]
    seconds: float


async def measure(program: Program, course: Course, log_path: Path) -> Figures:
    """Run a program and return its figures.

    Args:
        program: to be started.
        course: what it is put through.
        log_path: for what it says.

    Raises:
        RuntimeError: it does not start, or does not label all posts.
    """
    producer = AIOKafkaProducer(bootstrap_servers=course.kafka, linger_ms=5)
    await producer.start()
    written = Reader(course.kafka, course.labels, course.partitions, committed=False)
    committed = Reader(course.kafka, course.labels, course.partitions, committed=True)
    try:
        async with running(program, log_path) as process, written.reading(), committed.reading():
            alive = lambda: process.returncode is None  # noqa: E731
            tree = Tree(process.pid)
            watching = asyncio.create_task(tree.watch())
            rough = 0.0
            for _ in range(_WARM_ROUNDS):
                warm = course.make_posts(_WARM_POSTS)
                began = time.monotonic()
                await _write(producer, course, warm)
                rough = len(warm) / (await written.all_of(warm, alive) - began)
            posts = course.make_posts(max(_WARM_POSTS, round(rough * course.seconds)))
            used, began = tree.processor_seconds(), time.monotonic()
            await _write(producer, course, posts)
            rate = len(posts) / (await written.all_of(posts, alive) - began)
            used = tree.processor_seconds() - used
            await committed.all_of(posts, alive)
            even = course.make_posts(max(50, round(rate / 2 * course.seconds)))
            sent = await _write_evenly(producer, course, even, rate / 2)
            await committed.all_of(even, alive)
            watching.cancel()
        waits = sorted(committed.came[key] - at for key, at in sent.items())
        return Figures(
            rate,
            statistics.median(waits),
            waits[math.ceil(0.99 * len(waits)) - 1],
            1e6 * used / len(posts),
            tree.peak_bytes / 2**20,
            committed.repeats,
        )
    finally:
        await producer.stop()


class Tree:
    """A process and its children.

    Args:
        pid: of the process.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self.peak_bytes = 0

    def processor_seconds(self) -> float:
        """Return what they have used so far; a child that has ended counts with its parent."""
        total = 0.0
        for one in self._all():
            with suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system
                if one == self._root:
                    total += times.children_user + times.children_system
        return total

    async def watch(self) -> None:
        """Note the most memory that they held, until cancelled."""
        while True:
            self.peak_bytes = max(self.peak_bytes, self.held_bytes())
            await asyncio.sleep(_SAMPLE_SECONDS)

    def held_bytes(self) -> int:
        """Return the resident memory of all."""
        held = 0
        for one in self._all():
            with suppress(psutil.Error):
                held += one.memory_info().rss
        return held

    def _all(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []


async def _write(producer: AIOKafkaProducer, course: Course, posts: Sequence[Post]) -> None:
    sent = [
        await producer.send(course.posts, value, key=key, partition=number % course.partitions)
        for number, (key, value) in enumerate(posts)
    ]
    await asyncio.gather(*sent)


async def _write_evenly(
    producer: AIOKafkaProducer, course: Course, posts: Sequence[Post], rate: float
) -> dict[bytes, float]:
    """Write at random times of this rate; return when each was written, in monotonic seconds."""
    chance = random.Random(len(posts))  # noqa: S311
    due = time.monotonic()
    moments: dict[bytes, float] = {}
    sent = []
    for number, (key, value) in enumerate(posts):
        due += chance.expovariate(rate)
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        moments[key] = time.monotonic()
        sent.append(await producer.send(course.posts, value, key=key, partition=number % course.partitions))
    await asyncio.gather(*sent)
    return moments
