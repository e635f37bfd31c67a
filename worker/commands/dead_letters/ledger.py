"""The ledger: a compacted topic beside the dead letters that knows which of them were replayed.

Offsets of a group cannot say that, where only a selection is replayed. A post and its entry are written in one
transaction, so that neither is ever there without the other.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from pydantic import ValidationError

from schemas import Replay, Source
from worker.broker.positions import Position
from worker.broker.range_reader import read_ranges
from worker.broker.ranges import Bound, freeze
from worker.commands.dead_letters.letters import Letter
from worker.errors import FatalError
from worker.items import OutgoingRecord

_USABLE_SECONDS = 20.0


def ledger_topic(dead_letter_topic: str) -> str:
    """Return the name of the ledger."""
    return f"{dead_letter_topic}.replays"


class Ledger:
    """What was replayed of the partitions that were read.

    Args:
        entries: by the dead letter's position.
    """

    def __init__(self, entries: Mapping[Position, Replay]) -> None:
        self._entries = entries

    def entry(self, letter: Letter) -> Replay | None:
        """Return the entry of a letter; None where it was not replayed."""
        found = self._entries.get(letter.position)
        # A dead-letter topic that was made anew has the same offsets again.
        return found if found is not None and found.dead_letter_timestamp == letter.timestamp else None


def entry_of(topic: str, letter: Letter, post: Position, now: datetime) -> OutgoingRecord:
    """Return the record of the ledger `topic` that notes the replay of a letter."""
    at = letter.position
    entry = Replay(
        dead_letter=Source(topic=at.topic, partition=at.partition, offset=at.offset),
        dead_letter_timestamp=letter.timestamp,
        post=Source(topic=post.topic, partition=post.partition, offset=post.offset),
        attempt=(letter.attempts or 0) + 1,
        replayed_at=now,
    )
    return OutgoingRecord(topic, str(at).encode(), entry.model_dump_json().encode(), [])


async def read_ledger(consumer: AIOKafkaConsumer, dead_letter_topic: str, partitions: Sequence[int]) -> Ledger:
    """Read the ledger's partitions to their ends.

    Args:
        consumer: a started one with `read_committed`, of whose assignment this disposes.
        dead_letter_topic: whose replays are asked for.
        partitions: of this topic; the ledger has the same.
    """
    topic = ledger_topic(dead_letter_topic)
    sources = [TopicPartition(topic, partition) for partition in partitions]
    entries: dict[Position, Replay] = {}
    ranges = await freeze(consumer, sources, Bound("earliest"), Bound("latest"))
    async for records in read_ranges(consumer, ranges):
        for record in records:
            try:
                entry = Replay.model_validate_json(record.value or b"")
            except ValidationError as error:
                said = error.errors()[0]["msg"]
                raise FatalError(
                    f"{Position.of(record)} is not an entry of a ledger of replays, or is of a later version: {said}"
                ) from error
            at = entry.dead_letter
            entries[Position(at.topic, at.partition, at.offset)] = entry
    return Ledger(entries)


async def read_ledger_if_there(
    admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, dead_letter_topic: str, partitions: Sequence[int]
) -> Ledger:
    """Read the ledger as `read_ledger` does; what it lacks, or all of it, was never replayed."""
    count = len((await _described(admin, ledger_topic(dead_letter_topic))).get("partitions", ()))
    there = [partition for partition in partitions if partition < count]
    return await read_ledger(consumer, dead_letter_topic, there) if there else Ledger({})


async def create_ledger(admin: AIOKafkaAdminClient, dead_letter_topic: str) -> bool:
    """Make the ledger, or what it lacks of partitions, wait until it can be used, and return whether it was made.

    Raises:
        FatalError: the broker refuses, or it does not become usable.
    """
    topic = ledger_topic(dead_letter_topic)
    letters = (await _described(admin, dead_letter_topic))["partitions"]
    there = len((await _described(admin, topic)).get("partitions", ()))
    if not there:
        replication = len(letters[0]["replicas"])
        new = NewTopic(topic, len(letters), replication, topic_configs={"cleanup.policy": "compact"})
        response = await admin.create_topics([new])
        _check(response.topic_errors, topic)
    elif there < len(letters):
        response = await admin.create_partitions({topic: NewPartitions(len(letters))})
        _check(response.topic_errors, topic)
    try:
        async with asyncio.timeout(_USABLE_SECONDS):
            while True:
                if await _usable(admin, topic, len(letters)):
                    return not there
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise FatalError(f"topic {topic} was created and has no leaders after {_USABLE_SECONDS:.0f} s") from error


async def _usable(admin: AIOKafkaAdminClient, topic: str, partitions: int) -> bool:
    described = (await _described(admin, topic)).get("partitions", ())
    return len(described) >= partitions and all(part["leader"] >= 0 for part in described)


async def _described(admin: AIOKafkaAdminClient, topic: str) -> dict[str, Any]:
    (described,) = await admin.describe_topics([topic])
    return described if described["error_code"] == 0 else {}


def _check(errors: Sequence[Sequence[Any]], topic: str) -> None:
    for _, code, *message in errors:
        error: type[KafkaError] = for_code(code)
        # Another replay that began in the same moment may have been faster.
        if code and error is not TopicAlreadyExistsError:
            said = message[0] if message and message[0] else error.__name__
            raise FatalError(f"topic {topic} could not be created: {said}")
