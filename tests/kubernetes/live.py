"""Real workers behind a real KEDA: a load is written, KEDA and the autoscaler scale, and all is looked at."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.simulation.hpa import Rules
from deploy.simulation.load import Array
from tests.deploy.manifests import Document, of_kind, overlay
from tests.kubernetes.cluster import MARK, Cluster
from tests.kubernetes.keda import answers
from tests.kubernetes.plane import Plane
from tests.kubernetes.processes import Kubelet
from tests.worker.system import Position, Servers, Stream, administrator

MIN = 2
_LOOK_SECONDS = 1.0
# A dead broker takes none of the posts that wait for it.
_WRITE_MILLISECONDS = 300_000
_TRIAL_POSTS = 120


@dataclass
class Live:
    """One namespace's workers, their topics, and what was seen of them.

    Args:
        cluster: with KEDA, or what stands for both.
        stream: topics of the namespace's name.
        kubelet: of the namespace.
        partitions: of the topics, and the most workers.
        threshold: `lagThreshold`.
        down: the way down, in the place of the ten minutes that are shipped.
    """

    cluster: Plane
    stream: Stream
    kubelet: Kubelet
    partitions: int
    threshold: int
    down: Rules
    began: float = 0.0
    fed: list[Position] = field(default_factory=list)
    # Second and partition of each post, as the broker took it.
    written: list[tuple[float, int]] = field(default_factory=list)
    # Second, committed offset of each partition, workers that are asked for, pods that there are.
    seen: list[tuple[float, list[int], int, int]] = field(default_factory=list)
    _number: int = 0

    @property
    def namespace(self) -> str:
        """Name of namespace, group and topics."""
        return self.stream.name

    def documents(self, **settings: str) -> list[Document]:
        """Return the keda overlay for these topics; keyword names are written `BATCH__MAX_POSTS`.

        Without its second trigger, as for workers with GPUs: nobody measures the processors of these pods.
        """
        documents = overlay("keda")
        (configured,) = of_kind(documents, "ConfigMap")
        names = self.stream.environment()
        own = ("KAFKA__BOOTSTRAP_SERVERS", "KAFKA__GROUP_ID", "KAFKA__POSTS_TOPIC", "KAFKA__DEAD_LETTER_TOPIC",
               "KAFKA__ROUTES", "REDIS__URL")  # fmt: skip
        configured["data"] |= {f"MODERATE_{name}": names[f"MODERATE_{name}"] for name in own}
        configured["data"] |= {f"MODERATE_{name}": value for name, value in settings.items()}
        (stateful_set,) = of_kind(documents, "StatefulSet")
        stateful_set["spec"]["template"]["metadata"]["annotations"][MARK] = "true"
        (scaled,) = of_kind(documents, "ScaledObject")
        spec = scaled["spec"]
        spec["maxReplicaCount"] = self.partitions
        spec["triggers"] = spec["triggers"][:1]
        spec["triggers"][0]["metadata"] |= {
            "bootstrapServers": self.stream.servers.kafka,
            "consumerGroup": self.stream.name,
            "topic": self.stream.posts,
            "lagThreshold": str(self.threshold),
        }
        spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"] = {
            "stabilizationWindowSeconds": self.down.stabilization_seconds,
            "policies": [
                {"type": each.kind, "value": each.value, "periodSeconds": each.period_seconds}
                for each in self.down.policies
            ],
        }
        return documents

    async def start(self, **settings: str) -> float:
        """Apply all, first without KEDA, and return how many posts a second one worker labels.

        Args:
            settings: see `documents`.
        """
        await self.stream.create_topics(self.partitions)
        documents = self.documents(**settings)
        rest = [document for document in documents if document["kind"] != "ScaledObject"]
        await asyncio.to_thread(self.cluster.apply, rest, self.namespace)
        await self.until(lambda: self.ready() == 1, 300, "one worker")
        rate = await self._speed()
        scaled = of_kind(documents, "ScaledObject")
        await asyncio.to_thread(self.cluster.apply, scaled, self.namespace)
        if isinstance(self.cluster, Cluster):
            cluster = self.cluster
            await self.until(lambda: answers(cluster, self.namespace), 120, "KEDA answers")
        await self.until(lambda: self.ready() == MIN, 180, "two workers")
        return rate

    async def _speed(self) -> float:
        """Return how many posts a second the only worker labels: the slope of what is done, without its ends."""
        posts = [number % self.partitions for number in range(_TRIAL_POSTS)]
        async with self._producer() as producer:
            await asyncio.gather(*[await self._write(producer, partition) for partition in posts])
        async with administrator(self.stream) as admin:
            seen: list[tuple[float, int]] = []
            while not seen or seen[-1][1] < _TRIAL_POSTS:
                found = await admin.list_consumer_group_offsets(self.namespace)
                seen.append((time.monotonic(), sum(entry.offset for entry in found.values())))
                await asyncio.sleep(0.1)
        inner = [(at, done) for at, done in seen if 0.1 * _TRIAL_POSTS <= done <= 0.9 * _TRIAL_POSTS]
        return float(np.polyfit(*np.array(inner).T, 1)[0])

    async def roll(self) -> None:
        """Change what the pods are made of, and wait until all workers are new ones."""
        await asyncio.to_thread(self.cluster.roll, self.namespace)

    def ready(self) -> int:
        """Return how many workers are ready."""
        last = {name: what for _, name, what in self.kubelet.events}
        return sum(what == "ready" for what in last.values())

    def lags(self) -> list[int]:
        """Return how far each partition was behind when it was last looked at."""
        if not self.seen:
            return [0] * self.partitions
        came = Counter(partition for partition, _ in self.fed)
        return [max(0, came[partition] - offset) for partition, offset in enumerate(self.seen[-1][1])]

    async def until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something is true, which is asked in a thread of its own."""
        await asyncio.to_thread(self.cluster.wait_for, true, seconds, what)

    async def write(self, arrivals: Array) -> None:
        """Write so many posts in each second to each partition, [t, p], each second's evenly over it."""
        generator, began = np.random.default_rng(1), time.monotonic()
        async with self._producer() as producer:
            sent: list[asyncio.Task[Any]] = []
            for second, row in enumerate(arrivals.astype(int)):
                partitions = generator.permutation(np.repeat(np.arange(len(row)), row))
                for number, partition in enumerate(partitions.tolist()):
                    at = began + second + (number + 0.5) / len(partitions)
                    await asyncio.sleep(max(0.0, at - time.monotonic()))
                    sent.append(await self._write(producer, partition))
            await asyncio.sleep(max(0.0, began + len(arrivals) - time.monotonic()))
            await asyncio.gather(*sent)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look at all of it within the block, whose begin is second 0."""
        self.began = time.monotonic()
        self.written.clear()
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Look every second at offsets, workers that are wanted, and pods, until cancelled."""
        offsets = [0] * self.partitions
        path = f"/apis/apps/v1/namespaces/{self.namespace}/statefulsets/moderation-worker"
        async with administrator(self.stream) as admin:
            while True:
                try:
                    found = await admin.list_consumer_group_offsets(self.namespace)
                    for source, entry in found.items():
                        if source.topic == self.stream.posts:
                            offsets[source.partition] = max(offsets[source.partition], entry.offset)
                except KafkaError:
                    # A dead broker commits nothing either.
                    pass
                wanted = (await asyncio.to_thread(self.cluster.read, path))["spec"]["replicas"]
                pods = sum(not container.gone for container in self.kubelet.containers.values())
                self.seen.append((time.monotonic() - self.began, list(offsets), wanted, pods))
                await asyncio.sleep(_LOOK_SECONDS)

    async def lost_and_doubled(self, seconds: float) -> dict[str, int]:
        """Return what became of the posts once all offsets are committed, counted in the label topics.

        Raises:
            TimeoutError: they are not committed within `seconds`.
        """
        await self.stream.settled(self.fed, seconds)
        labels, wanted = await self.stream.labels(), set(self.fed)
        counts = [
            {position: len(each) for position, each in labels.by_topic.get(topic, {}).items()}
            for topic in (self.stream.label_topic(task) for task in ("sentiment", "sarcasm", "offensiveness"))
        ]
        return {
            "posts": len(self.fed),
            "labels": sum(sum(each.values()) for each in counts),
            "lost": sum(len(wanted - each.keys()) for each in counts),
            "doubled": sum(sum(number - 1 for number in each.values()) for each in counts),
            "dead_letters": len(await self.stream.dead_letters()),
        }

    def took(self, before: str, after: str) -> list[float]:
        """Return the seconds between two events of each pod, in the order of the first."""
        since: dict[str, int] = {}
        found: dict[int, float] = {}
        for number, (at, name, what) in enumerate(self.kubelet.events):
            if what == before:
                since[name] = number
            elif what.startswith(after) and name in since:
                begun = since.pop(name)
                found[begun] = round(at - self.kubelet.events[begun][0], 1)
        return [found[begun] for begun in sorted(found)]

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.stream.servers.kafka,
            enable_idempotence=True,
            request_timeout_ms=_WRITE_MILLISECONDS,
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def _write(self, producer: AIOKafkaProducer, partition: int) -> asyncio.Task[None]:
        self._number += 1
        # None is like another, or a worker would know its labels.
        post = {"id": f"p-{self._number}", "text": f"this is what somebody wrote as number {self._number}"}
        sent = await producer.send(self.stream.posts, json.dumps(post).encode(), partition=partition)

        async def note() -> None:
            position = await sent
            self.fed.append((partition, position.offset))
            self.written.append((time.monotonic() - self.began, partition))

        return asyncio.create_task(note())


@asynccontextmanager
async def live(
    cluster: Plane,
    servers: Servers,
    namespace: str,
    folder: Path,
    *,
    module: str,
    changed: dict[str, str],
    start_seconds: float,
    **how: Any,
) -> AsyncIterator[Live]:
    """Give a namespace's workers within the block; they end with it.

    Args:
        cluster: with KEDA and the namespace, or what stands for them.
        servers: where topics and cache are.
        namespace: of the workers.
        folder: for logs.
        module, changed, start_seconds: see `Kubelet`.
        how: other arguments of `Live`.

    Raises:
        RuntimeError: a worker ended although its pod was to stay.
    """
    kubelet = Kubelet(cluster, namespace, folder, module, changed, start_seconds)
    async with AsyncExitStack() as stack:
        one = Live(cluster, Stream(servers, namespace, folder, stack), kubelet, **how)
        running = asyncio.create_task(kubelet.run())
        try:
            yield one
            if running.done():
                running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
