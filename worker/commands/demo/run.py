"""The demo from start to end: stack, topics, worker, feed, table, count, summary."""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from schemas import DeadLetter
from worker.broker.clients import KafkaLinks
from worker.broker.topics import create_topics, output_topics
from worker.commands.demo.audit import Audit, Outcome, Position, read_back
from worker.commands.demo.page import show_page
from worker.commands.demo.pictures import serve_pictures
from worker.commands.demo.samples import FOLDER, Sample, read_samples
from worker.commands.demo.view import Row, print_dead_letter, print_header, print_row
from worker.commands.demo.worker_process import start_worker
from worker.commands.stack.ports import free_ports
from worker.settings import KafkaSettings, MediaSettings

_PARTITIONS = 4
_READY_SECONDS = 180.0
_PATIENCE_SECONDS = 60.0
_SLOWLY = 4.0  # posts a second, where people look


@dataclass
class Demo:
    """One run.

    Args:
        console: where people read.
        kafka: settings with the broker's address and the demo's topics and group.
        redis_url: the cache.
        folder: for the worker's log.
        posts_per_second: how fast samples are fed.
        page: whether the stream is then shown on the page until somebody interrupts.
    """

    console: Console
    kafka: KafkaSettings
    redis_url: str
    folder: Path
    posts_per_second: float
    page: bool = False
    rows: dict[Position, Row] = field(default_factory=dict)
    deletions: int = 0
    sent_ms: dict[Position, int] = field(default_factory=dict)
    latencies_seconds: list[float] = field(default_factory=list)

    async def run(self) -> Outcome:
        """Run the demo and return the count."""
        links = KafkaLinks(self.kafka.bootstrap_servers or "", self.kafka)
        async with links.connected_admin() as admin:
            await create_topics(admin, self.kafka, partitions=_PARTITIONS, replication_factor=1)
        audit = Audit(list(self.kafka.routes.values()), self.kafka.dead_letter_topic)
        async with serve_pictures(FOLDER / "pictures") as pictures:
            samples = read_samples(pictures)
            (port,), environment = free_ports(1), self._environment(pictures)
            async with start_worker(environment, port=port, log_path=self.folder / "worker.log") as worker:
                with self._progress() as progress:
                    self.console.print("starting the worker, which loads its model …")
                    waiting = progress.add_task("the worker loads its model", total=None)
                    await worker.wait_until_ready(_READY_SECONDS)
                    progress.remove_task(waiting)
                    started = time.monotonic()
                    await self._stream(samples, audit, progress)
                    seconds = time.monotonic() - started
                fed = len(self.rows)
                if self.page:
                    await show_page(self.console, environment, self.folder, partial(self._feed, samples, _SLOWLY))
                    await self._until_settled(links, audit)
                metrics = await worker.metrics()
                exit_code = await worker.stop()
        counted = Audit(audit.label_topics, audit.dead_letter_topic)
        await read_back(links, counted)
        outcome = counted.count(list(self.rows))
        self._summary(outcome, metrics, fed / seconds, exit_code)
        return outcome

    async def _until_settled(self, links: KafkaLinks, audit: Audit) -> None:
        """Wait until every post that was fed has come out."""
        ends_at = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < ends_at:
            found = Audit(audit.label_topics, audit.dead_letter_topic)
            await read_back(links, found)
            if all(found.is_settled(position) for position in self.rows):
                return
            await asyncio.sleep(1)

    def _environment(self, pictures: str) -> dict[str, str]:
        return {
            "MODERATE_KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers or "",
            "MODERATE_KAFKA__GROUP_ID": self.kafka.group_id,
            "MODERATE_KAFKA__POSTS_TOPIC": self.kafka.posts_topic,
            "MODERATE_KAFKA__DEAD_LETTER_TOPIC": self.kafka.dead_letter_topic,
            "MODERATE_KAFKA__ROUTES": json.dumps(self.kafka.routes),
            "MODERATE_REDIS__URL": self.redis_url,
            "MODERATE_MEDIA__ALLOWED_PRIVATE_HOSTS": json.dumps([pictures.removeprefix("http://").rstrip("/")]),
        }

    @contextmanager
    def _progress(self) -> Iterator[Progress]:
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        if not self.console.is_terminal:
            yield progress
            return
        with progress:
            yield progress

    async def _stream(self, samples: Sequence[Sample], audit: Audit, progress: Progress) -> None:
        """Feed the samples and show what comes back, until every sample is settled or nothing comes any more."""
        print_header(self.console)
        task = progress.add_task("posts labelled", total=len(samples))
        consumer = AIOKafkaConsumer(
            *output_topics(self.kafka),
            bootstrap_servers=self.kafka.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        feeding = asyncio.create_task(self._feed(samples, self.posts_per_second))
        try:
            heard_at = time.monotonic()
            while not (feeding.done() and all(audit.is_settled(position) for position in self.rows)):
                if feeding.done():
                    feeding.result()
                fetched = await consumer.getmany(timeout_ms=100)
                for records in fetched.values():
                    for record in records:
                        self._show(record, audit)
                heard_at = time.monotonic() if fetched or not feeding.done() else heard_at
                progress.update(task, completed=sum(audit.is_settled(position) for position in self.rows))
                if time.monotonic() - heard_at > _PATIENCE_SECONDS:
                    self.console.print(f"nothing has come for {_PATIENCE_SECONDS:.0f} s; counting what is there")
                    break
        finally:
            feeding.cancel()
            await consumer.stop()

    def _show(self, record: "ConsumerRecord[bytes, bytes]", audit: Audit) -> None:
        position = audit.add(record)
        row = self.rows.get(position)
        if row is None:
            return
        if record.topic == audit.dead_letter_topic:
            reason = DeadLetter.from_headers(record.headers)
            print_dead_letter(self.console, row.title, reason.stage, reason.exception_message)
        else:
            row.add(record.value or b"")
            if not row.complete:
                return
            print_row(self.console, row)
        self.latencies_seconds.append((record.timestamp - self.sent_ms[position]) / 1000)

    async def _feed(
        self, samples: Sequence[Sample], posts_per_second: float, ended: asyncio.Event | None = None
    ) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap_servers,
            enable_idempotence=True,
            max_request_size=self.kafka.max_request_bytes,
        )
        await producer.start()
        try:
            started = time.monotonic()
            for number, sample in enumerate(samples):
                await asyncio.sleep(max(0.0, started + number / posts_per_second - time.monotonic()))
                if ended is not None and ended.is_set():
                    break
                batch = producer.create_batch()
                batch.append(key=sample.key, value=sample.value, timestamp=None)
                # A record may have neither key nor value, which only whole batches can carry.
                partition = number % _PARTITIONS
                sent = await (await producer.send_batch(batch, self.kafka.posts_topic, partition=partition))
                if sample.value is None:
                    # The deletion of a post: the worker passes it over, and nothing comes out.
                    self.deletions += 1
                    continue
                position = (partition, sent.offset)
                self.rows[position] = Row(sample.title, sample.pictures)
                self.sent_ms[position] = sent.timestamp if sent.timestamp > 0 else round(time.time() * 1000)
        finally:
            await producer.stop()

    def _summary(self, outcome: Outcome, metrics: Mapping[str, float], rate: float, exit_code: int) -> None:
        hits, misses = (_look_ups(metrics, result) for result in ("hit", "miss"))
        ordered = sorted(self.latencies_seconds) or [0.0]
        show = self.console.print
        show()
        show(f"posts in          {len(self.rows)}, and {self.deletions} deletion, passed over")
        show(f"labelled          {outcome.labelled}")
        show(f"dead-lettered     {outcome.dead_lettered}")
        show(f"cache hits        {hits:.0f} of {hits + misses:.0f} look-ups")
        show(f"posts a second    {rate:.1f} (fed at {self.posts_per_second:g})")
        show(f"latency           p50 {statistics.median(ordered):.3f} s, p99 {_percentile(ordered, 0.99):.3f} s")
        if waited := sum(row.waited_for_a_picture for row in self.rows.values()):
            posts = "1 post" if waited == 1 else f"{waited} posts"
            seconds = MediaSettings().timeout_seconds
            show(f"                  {posts} waited {seconds:g} s for a picture that cannot be had")
        show(f"worker            stopped with exit code {exit_code}; its log: {self.folder / 'worker.log'}")


def _look_ups(metrics: Mapping[str, float], result: str) -> float:
    name = "moderate_cache_lookups_total{"
    return sum(value for key, value in metrics.items() if key.startswith(name) and f'result="{result}"' in key)


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
