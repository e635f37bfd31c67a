"""The outside of the system, for tests that drive it as its users do. Imports nothing of the project."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from tests.worker.forked import FORKS, Forked, fork
from tests.worker.patience import SLACK, within
from worker.commands.stack.ports import free_ports
from worker.settings import KafkaSettings

TASKS = ("sentiment", "sarcasm", "offensiveness")
Position = tuple[int, int]


def http_client() -> httpx.AsyncClient:
    """Return a client of servers on this machine; one that could check certificates takes 50 ms to make."""
    return httpx.AsyncClient(trust_env=False, verify=False)  # noqa: S501


@dataclass(frozen=True)
class Servers:
    """Where the servers are."""

    kafka: str
    redis: str


@dataclass
class Worker:
    """A running `moderate run`."""

    process: asyncio.subprocess.Process | Forked
    address: str
    log_path: Path

    async def ready(self, seconds: float = 120.0) -> Self:
        """Wait for /readyz."""
        deadline = time.monotonic() + SLACK * seconds
        async with http_client() as client:
            while time.monotonic() < deadline:
                assert self.process.returncode is None, self.log()
                try:
                    if (await client.get(f"{self.address}/readyz", timeout=2)).status_code == 200:
                        return self
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)
        raise AssertionError(f"not ready after {seconds} s:\n{self.log()}")

    async def get(self, path: str) -> httpx.Response:
        """Ask for a page."""
        async with http_client() as client:
            return await client.get(f"{self.address}{path}", timeout=5)

    async def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10.0 * SLACK) -> int:
        """Send a signal and return the exit code; fail where it takes longer than `seconds`."""
        self.process.send_signal(number)
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    def log(self) -> str:
        """Return the log's end."""
        return self.log_path.read_text(errors="replace")[-6000:]


@dataclass
class Labels:
    """What stands on the output topics."""

    by_topic: dict[str, dict[Position, list[bytes]]] = field(default_factory=dict)
    partitions_differ: int = 0

    def counts(self, topic: str) -> Counter[int]:
        """Return how many posts have how many records on a topic."""
        return Counter(len(values) for values in self.by_topic.get(topic, {}).values())


@dataclass
class Stream:
    """Topics of one test."""

    servers: Servers
    name: str
    folder: Path
    stack: AsyncExitStack
    replicas: int = field(default=1, kw_only=True)

    @property
    def posts(self) -> str:
        """The posts topic."""
        return f"{self.name}.posts"

    @property
    def dead(self) -> str:
        """The dead-letter topic."""
        return f"{self.name}.dead"

    def label_topic(self, task: str) -> str:
        """The topic of a task."""
        return f"{self.name}.labels.{task}"

    @property
    def kafka_settings(self) -> KafkaSettings:
        """What its workers and commands are told of Kafka."""
        return KafkaSettings(
            bootstrap_servers=self.servers.kafka,
            group_id=self.name,
            posts_topic=self.posts,
            dead_letter_topic=self.dead,
            routes={task: self.label_topic(task) for task in TASKS},
        )

    def environment(self, **settings: str | None) -> dict[str, str]:
        """Return a worker's settings; keyword names are written `KAFKA__GROUP_ID`, and None leaves one out."""
        given = {
            "MODERATE_KAFKA__BOOTSTRAP_SERVERS": self.servers.kafka,
            "MODERATE_REDIS__URL": self.servers.redis,
            "MODERATE_KAFKA__GROUP_ID": self.name,
            "MODERATE_KAFKA__POSTS_TOPIC": self.posts,
            "MODERATE_KAFKA__DEAD_LETTER_TOPIC": self.dead,
            "MODERATE_KAFKA__ROUTES": json.dumps({task: self.label_topic(task) for task in TASKS}),
            "MODERATE_KAFKA__SESSION_TIMEOUT_SECONDS": "3",
            "MODERATE_KAFKA__HEARTBEAT_INTERVAL_SECONDS": "0.5",
            # What two cores are measured to do: each start would take a second of the processor to find that out.
            "MODERATE_BATCH__MAX_CALL_TOKENS": "2048",
            "MODERATE_BATCH__MAX_CALL_PICTURES": "16",
        } | {f"MODERATE_{name}": value for name, value in settings.items()}
        return {name: value for name, value in given.items() if value is not None}

    async def command(self, *arguments: str, **settings: str) -> tuple[int, str, str]:
        """Run `moderate` and return its exit code, output and errors."""
        with TemporaryFile() as output, TemporaryFile() as errors:
            process = await self.spawn(*arguments, output=output, errors=errors, **settings)
            code = await process.wait()
            for file in (output, errors):
                file.seek(0)
            return code, output.read().decode(), errors.read().decode()

    async def create_topics(self, partitions: int, **settings: str) -> None:
        """Create the topics as `moderate topics create` does; a process for it would take a second each time."""
        if not settings.keys() <= {"KAFKA__ROUTES", "KAFKA__GROUP_ID"}:
            code, _, errors = await self.command("topics", "create", "--partitions", str(partitions), **settings)
            assert code == 0, errors
            return
        routes = json.loads(self.environment(**settings)["MODERATE_KAFKA__ROUTES"])
        large = {"max.message.bytes": str(2**24 + 2**16)}
        topics = [
            NewTopic(name, partitions, self.replicas, topic_configs=large if name == self.dead else {})
            for name in {self.posts, self.dead, *routes.values()}
        ]
        async with administrator(self) as admin:
            answer = await admin.create_topics(topics)
            assert {code for _, code, *_ in answer.topic_errors} <= {0, TopicAlreadyExistsError.errno}
            async with within(30):
                while not await self.have_leaders(admin, [topic.name for topic in topics], partitions):
                    await asyncio.sleep(0.02)

    async def have_leaders(self, admin: AIOKafkaAdminClient, topics: list[str], partitions: int) -> bool:
        """Return whether topics have so many partitions, all with a leader."""
        described = await admin.describe_topics(topics)
        return all(
            len(topic["partitions"]) == partitions and all(part["leader"] >= 0 for part in topic["partitions"])
            for topic in described
        )

    async def spawn(
        self,
        *arguments: str,
        output: IO[bytes] | int = asyncio.subprocess.PIPE,
        errors: IO[bytes] | int | None = None,
        variables: Mapping[str, str] | None = None,
        anew: bool = False,
        **settings: str | None,
    ) -> asyncio.subprocess.Process | Forked:
        """Start `moderate`; the test's end kills it.

        Args:
            arguments: of the command.
            output: an open file, or a pipe.
            errors: the same for its errors; where `output` goes unless it is given.
            variables: environment variables besides its settings.
            anew: in an interpreter of its own, as it is where there are new variables or pipes.
            settings: as for `environment`.
        """
        environment = {**os.environ, **self.environment(**settings), **(variables or {})}
        errors = output if errors is None else errors
        # What an interpreter or a library reads when it starts must be there before.
        anew = anew or any(os.environ.get(name) != value for name, value in (variables or {}).items())
        process: asyncio.subprocess.Process | Forked
        if FORKS and not (anew or isinstance(output, int) or isinstance(errors, int)):
            process = await fork(arguments, environment, output, errors)
        else:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker", *arguments, env=environment, stdout=output, stderr=errors
            )

        async def kill() -> None:
            if process.returncode is None:
                process.kill()
                await process.wait()

        self.stack.push_async_callback(kill)
        return process

    async def start(
        self,
        name: str = "worker",
        variables: Mapping[str, str] | None = None,
        *,
        anew: bool = False,
        **settings: str | None,
    ) -> Worker:
        """Start a worker as `spawn` does, with its log in a file; the test's end kills it."""
        (port,) = free_ports(1)
        log_path = self.folder / f"{name}.log"
        with log_path.open("ab") as log:
            process = await self.spawn(
                "run", output=log, variables=variables, anew=anew, HTTP__PORT=str(port), **settings
            )
        return Worker(process, f"http://127.0.0.1:{port}", log_path)

    async def feed(self, values: Sequence[bytes | None], partitions: int) -> list[Position]:
        """Write records round robin and return their positions."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.servers.kafka, enable_idempotence=True, max_request_size=2**24
        )
        await producer.start()
        try:
            positions: list[Position] = []
            for partition in range(partitions):
                share = list(range(partition, len(values), partitions))
                while share:
                    batch = producer.create_batch()
                    taken = 0
                    for number in share:
                        key = f"key-{number}".encode()
                        headers = [("traceparent", f"00-{number:032x}-0000000000000001-01".encode())]
                        if batch.append(key=key, value=values[number], timestamp=None, headers=headers) is None:
                            break
                        taken += 1
                    sent = await (await producer.send_batch(batch, self.posts, partition=partition))
                    positions += [(partition, sent.offset + n) for n in range(taken)]
                    share = share[taken:]
            return positions
        finally:
            await producer.stop()

    async def read(self, *topics: str) -> dict[str, list[Any]]:
        """Return all committed records of topics."""
        records: dict[str, list[Any]] = {topic: [] for topic in topics}
        async with self._reader("read_committed", topics) as (consumer, ends):
            while any([await consumer.position(source) < end for source, end in ends.items()]):
                for source, fetched in (await consumer.getmany(timeout_ms=200)).items():
                    records[source.topic] += fetched
        return records

    @asynccontextmanager
    async def _reader(
        self, isolation_level: str, topics: Sequence[str]
    ) -> AsyncIterator[tuple[AIOKafkaConsumer, dict[TopicPartition, int]]]:
        """Give a consumer of all partitions of topics, and their ends."""
        async with administrator(self) as admin:
            described = await admin.describe_topics(list(topics))
        sources = [
            TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]
        ]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.servers.kafka,
            isolation_level=isolation_level,
            enable_auto_commit=False,
            # Not seek_to_beginning: a reset to the end that is under way may still overrule it.
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            consumer.assign(sources)
            yield consumer, await consumer.end_offsets(sources)
        finally:
            await consumer.stop()

    async def labels(self, topics: Sequence[str] = ()) -> Labels:
        """Return the committed labels by topic and position of their post."""
        labels = Labels()
        for topic, records in (await self.read(*(topics or map(self.label_topic, TASKS)))).items():
            for record in records:
                source = json.loads(record.value)["source"]
                labels.by_topic.setdefault(topic, {}).setdefault((source["partition"], source["offset"]), []).append(
                    record.value
                )
                labels.partitions_differ += record.partition != source["partition"]
        return labels

    async def dead_letters(self) -> dict[Position, list[Any]]:
        """Return the committed dead letters by position of their post."""
        found: dict[Position, list[Any]] = {}
        for record in (await self.read(self.dead))[self.dead]:
            headers = dict(record.headers)
            position = (int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"]))
            found.setdefault(position, []).append(record)
        return found

    async def passed(self, positions: Sequence[Position], seconds: float) -> None:
        """Wait until the group's committed offsets have passed all positions."""
        wanted = {partition: max(o for p, o in positions if p == partition) for partition, _ in positions}
        async with administrator(self) as admin, within(seconds):
            while True:
                try:
                    offsets = await admin.list_consumer_group_offsets(self.name)
                except KafkaError:
                    # The first group of a fresh broker waits for the offsets topic.
                    offsets = {}
                done = {
                    source.partition: entry.offset for source, entry in offsets.items() if source.topic == self.posts
                }
                if all(done.get(partition, 0) > end for partition, end in wanted.items()):
                    return
                await asyncio.sleep(0.2)

    async def settled(self, positions: Sequence[Position], seconds: float) -> None:
        """Wait until the group's committed offsets have passed all positions and no transaction is open any more."""
        async with within(seconds):
            await self.passed(positions, seconds)
            async with administrator(self) as admin:
                # The marker on the offsets may be written before those on the labels.
                topics = [topic for topic in await admin.list_topics() if topic.startswith(f"{self.name}.")]
            while True:
                async with self._reader("read_committed", topics) as (_, stable):
                    pass
                async with self._reader("read_uncommitted", topics) as (_, ends):
                    pass
                if stable == ends:
                    return


@asynccontextmanager
async def administrator(stream: Stream) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give an administrator."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stream.servers.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def stand_at(stream: Stream, offset: int, group: str | None = None) -> None:
    """Let a group without members, the stream's unless another is named, stand at an offset of partition 0."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stream.servers.kafka, group_id=group or stream.name, enable_auto_commit=False
    )
    await consumer.start()
    try:
        source = TopicPartition(stream.posts, 0)
        consumer.assign([source])
        await consumer.commit({source: offset})
    finally:
        await consumer.stop()


def post(identifier: str, **fields: Any) -> bytes:
    """Return a Post's bytes."""
    return json.dumps({"id": identifier, **fields}, ensure_ascii=False).encode()


def sample_posts(folder: Path, count: int | None = None) -> list[bytes]:
    """Return the project's sample posts, pictures by path inlined and those by address left out."""
    import base64

    values: list[bytes] = []
    for line in (folder / "posts.jsonl").read_text(encoding="utf-8").splitlines()[:count]:
        entry: dict[str, Any] = json.loads(line)
        for medium in entry.get("media") or []:
            if "path" in medium:
                medium["data"] = base64.b64encode((folder / medium.pop("path")).read_bytes()).decode()
        entry["media"] = [medium for medium in entry.get("media") or [] if "url" not in medium]
        if entry["media"] or (entry.get("text") or "").strip():
            values.append(json.dumps(entry, ensure_ascii=False).encode())
    return values


def headers_of(record: Any) -> Mapping[str, bytes]:
    """Return a record's headers by name."""
    return dict(record.headers)
