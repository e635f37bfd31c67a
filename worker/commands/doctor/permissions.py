"""What the broker lets this user do, found out without doing it.

Requests that name a producer or a member that cannot exist are refused for want of a permission first, and for what
they name only then: nothing changes, no worker is fenced, and nobody joins the group.
"""

import asyncio
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorForGroupError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest

from worker.broker.range_reader import connected_reader
from worker.broker.topics import output_topics
from worker.commands.doctor.broker import Broker
from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, failure, listed, ok
from worker.commands.doctor.topics import Topics
from worker.settings import KafkaSettings

GROUP, TRANSACTION = 0, 1
_NO_PRODUCER = 2**63 - 1
_NO_MEMBER, _NO_GENERATION = "doctor", -1
_PAUSE_SECONDS = 0.2
_MOST_IDS = 64
_POLL_MILLISECONDS = 200
NOT_YET = (
    CoordinatorLoadInProgressError.errno,
    GroupCoordinatorNotAvailableError.errno,
    NotCoordinatorForGroupError.errno,
)


async def coordinator(client: AIOKafkaClient, kind: int, name: str) -> tuple[int, int]:
    """Return the error code and the node of a group's or a transactional id's coordinator, once there is one."""
    while True:
        answer = await client.send(client.get_random_node(), FindCoordinatorRequest(name, kind))
        if answer.error_code not in NOT_YET:
            return answer.error_code, answer.coordinator_id
        # The first of a fresh broker waits for the internal topic.
        await asyncio.sleep(_PAUSE_SECONDS)


class Permissions:
    """Looks at what this user may do.

    Args:
        broker: asked.
        topics: looked at before.
        settings: name topics and group.
    """

    def __init__(self, broker: Broker, topics: Topics, settings: KafkaSettings) -> None:
        self._broker = broker
        self._topics = topics
        self._settings = settings

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        return [
            Check("permissions.read", self._read, needs=("topics.exist", "topics.leaders")),
            Check("permissions.group", self._group, needs=("broker.nodes",)),
            Check("permissions.transactional_id", self._transactional_id, needs=("topics.exist",)),
            Check("permissions.write", self._write, needs=("permissions.transactional_id",)),
        ]

    async def _read(self) -> Outcome:
        """Fetch at the end of every partition: a permission is asked for, no record comes."""
        topic = self._topics.posts
        sources = [TopicPartition(topic.name, part["partition"]) for part in topic.partitions]
        try:
            async with connected_reader(self._broker.links) as reader:
                ends = await reader.end_offsets(sources)
                reader.assign(sources)
                for source in sources:
                    reader.seek(source, ends[source])
                while not all(reader.highwater(source) is not None for source in sources):
                    await reader.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=1)
        except TopicAuthorizationFailedError:
            return failure(f"this user may not read {topic.name}", f"grant it READ on topic {topic.name}")
        return ok(f"{topic.name} may be read")

    async def _group(self) -> Outcome:
        group = self._settings.group_id
        client = await self._broker.client()
        code, node = await coordinator(client, GROUP, group)
        while not code:
            code = (await client.send(node, HeartbeatRequest(group, _NO_GENERATION, _NO_MEMBER))).error_code
            if code in NOT_YET:
                await asyncio.sleep(_PAUSE_SECONDS)
                code, node = await coordinator(client, GROUP, group)
        if code == GroupAuthorizationFailedError.errno:
            return failure(f"this user may not read as group {group}", f"grant it READ on group {group}")
        return ok(f"group {group} may be joined, and its offsets written")

    async def _transactional_id(self) -> Outcome:
        links = self._broker.links
        partitions = self._topics.posts.partitions[:_MOST_IDS]
        ids = [
            links.transactional_id(TopicPartition(self._settings.posts_topic, part["partition"])) for part in partitions
        ]
        client = await self._broker.client()
        allowed = await asyncio.gather(*(self._may_write(client, name) for name in ids))
        refused = [name for name, may in zip(ids, allowed, strict=True) if not may]
        if refused:
            return failure(
                f"this user may not use transactional id {listed(refused, most=2)}",
                f"grant it WRITE on transactional ids that begin with {self._settings.group_id}:",
            )
        return ok(f"{ids[0]} and the like may be used" if ids else "there is no partition")

    @staticmethod
    async def _may_write(client: AIOKafkaClient, name: str) -> bool:
        code, node = await coordinator(client, TRANSACTION, name)
        if not code:
            code = (await client.send(node, EndTxnRequest(name, _NO_PRODUCER, 0, False))).error_code  # noqa: FBT003
        return bool(code != TransactionalIdAuthorizationFailed.errno)

    async def _write(self) -> Sequence[Outcome]:
        client = await self._broker.client()
        # Any of ours will do: the id was asked for before.
        name = self._broker.links.transactional_id(TopicPartition(self._settings.posts_topic, 0))
        code, node = await coordinator(client, TRANSACTION, name)
        if code:
            raise KafkaError(f"no transaction coordinator: error {code}")
        topics = [(topic, [0]) for topic in output_topics(self._settings)]
        answer = await client.send(node, AddPartitionsToTxnRequest(name, _NO_PRODUCER, 0, topics))
        refused = [
            topic
            for topic, partitions in answer.errors
            if any(code == TopicAuthorizationFailedError.errno for _, code in partitions)
        ]
        if refused:
            return [failure(f"this user may not write to {listed(refused)}", f"grant it WRITE on {listed(refused)}")]
        return [ok(f"{listed([topic for topic, _ in topics], most=8)} may be written to")]
