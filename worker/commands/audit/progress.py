"""How far an audit is, in the offsets of a group of its own.

A group rather than a file: a Job in a cluster has no disk that it finds again, and whoever asks Kafka for the lag of
that group is told how far the audit is behind. Offsets and counts go into one request, so that they belong together.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from worker.broker.clients import KafkaLinks
from worker.broker.group_offsets import committed_offsets
from worker.errors import FatalError, SettingsError


@dataclass
class Progress:
    """Where an audit goes on.

    Args:
        positions: by partition of posts and outputs, the first offset that is not done.
        begins: by partition of posts, the offset from which on it is audited.
        tally: the count, as `Tally` writes it; None where there is none.
    """

    positions: dict[TopicPartition, int] = field(default_factory=dict)
    begins: dict[int, int] = field(default_factory=dict)
    tally: str | None = None


async def load(
    admin: AIOKafkaAdminClient, group_id: str, *, posts_topic: str, places: list[TopicPartition], asked: str
) -> Progress:
    """Return what a group keeps; nothing where it keeps nothing.

    Args:
        admin: client of the broker.
        group_id: of the audit.
        posts_topic: whose partitions' texts say where the audit began.
        places: all partitions of posts and outputs.
        asked: digest of what is audited.

    Raises:
        SettingsError: the group keeps something else.
    """
    progress = Progress()
    for place, kept in (await committed_offsets(admin, group_id, places)).items():
        progress.positions[place] = int(kept.offset)
        if place.topic != posts_topic:
            continue
        said = _read(kept.metadata)
        if said is None or said.get("asked") != asked:
            raise SettingsError(f"--progress: group {group_id} keeps no audit of these topics and workers")
        progress.begins[place.partition] = int(said["begin"])
        progress.tally = said.get("tally") or progress.tally
    return progress


class Keeper:
    """Writes it down.

    Args:
        links: of the broker.
        group_id: of the audit.
        asked: digest of what is audited.
    """

    def __init__(self, links: KafkaLinks, group_id: str, asked: str) -> None:
        self._consumer: AIOKafkaConsumer = links.keeper(group_id)
        self.group_id = group_id
        self._asked = asked

    async def start(self) -> None:
        """Connect."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def save(self, posts_topic: str, progress: Progress, changed: Mapping[TopicPartition, int]) -> None:
        """Note new positions, and the count as it is with them.

        Raises:
            FatalError: the broker refuses, such as where a worker is in that group.
        """
        progress.positions |= changed
        first = TopicPartition(posts_topic, 0)
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for place in {*changed, first}:
            said = ""
            if place.topic == posts_topic:
                note = {"asked": self._asked, "begin": progress.begins[place.partition]}
                said = json.dumps(note | ({"tally": progress.tally} if place == first else {}))
            offsets[place] = OffsetAndMetadata(progress.positions[place], said)
        self._consumer.assign(list(offsets))
        try:
            await self._consumer.commit(offsets)
        except KafkaError as error:
            raise FatalError(f"--progress: group {self.group_id} does not take offsets: {error!r}") from error


def _read(metadata: str | None) -> dict[str, str] | None:
    try:
        said = json.loads(metadata or "")
    except ValueError:
        return None
    return said if isinstance(said, dict) and "begin" in said else None
