"""Who of a group's members gets which partitions: as before where that is even, so that few of them move.

The protocol keeps the name of round robin, which members of every version have: whoever leads the group decides, and an
older leader deals round. A second name beside it would cost two rebalances each time: aiokafka joins once for each.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

_HELD, _ROUND = "held", "round"


def dealt(
    partitions: Sequence[TopicPartition], claims: Mapping[str, Collection[TopicPartition]]
) -> dict[str, list[TopicPartition]]:
    """Return each member's partitions: no two counts differ by more than one, and as many as possible stay.

    Args:
        partitions: all, in order.
        claims: what each member has now; no partition twice.
    """
    least, more = divmod(len(partitions), len(claims))
    claimed = {member: set(claims[member]) for member in claims}
    there = {member: [one for one in partitions if one in claimed[member]] for member in claims}
    # Who has most keeps one more than the others.
    order = sorted(claims, key=lambda member: (-len(there[member]), member))
    quotas = {member: least + (number < more) for number, member in enumerate(order)}
    given = {member: there[member][: quotas[member]] for member in claims}
    kept = {one for each in given.values() for one in each}
    free = [one for one in partitions if one not in kept]
    # Of a group that has nothing yet, this is round robin.
    while free:
        for member in sorted(claims):
            if free and len(given[member]) < quotas[member]:
                given[member].append(free.pop(0))
    return {member: sorted(each) for member, each in given.items()}


def assignor_saying(words: Mapping[str, object], *, sticky: bool = True) -> type[AbstractPartitionAssignor]:
    """Return the assignor of one member.

    Args:
        words: what the member says of itself to the others, as JSON.
        sticky: whether, leading the group, it leaves partitions where they are; False deals them round.
    """

    class Assignor(RoundRobinPartitionAssignor):  # type: ignore[misc]
        held: Sequence[TopicPartition] = ()
        round = 0

        @classmethod
        def metadata(cls, topics: Any) -> ConsumerProtocolMemberMetadata:
            plain = super().metadata(topics)
            said = {**words, _HELD: [list(one) for one in cls.held], _ROUND: cls.round}
            return ConsumerProtocolMemberMetadata(plain.version, plain.subscription, json.dumps(said).encode())

        @classmethod
        def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
            cls.held = assignment.partitions()
            cls.round = _number(_said(assignment.user_data).get(_ROUND))

        @classmethod
        def assign(
            cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
        ) -> dict[str, ConsumerProtocolMemberAssignment]:
            topics = {topic for metadata in members.values() for topic in metadata.subscription}
            if not sticky or any(set(metadata.subscription) != topics for metadata in members.values()):
                given: dict[str, ConsumerProtocolMemberAssignment] = super().assign(cluster, members)
                return given
            partitions = sorted(
                TopicPartition(topic, number)
                for topic in topics
                for number in cluster.partitions_for_topic(topic) or ()
            )
            said = {member: _said(metadata.user_data) for member, metadata in members.items()}
            following = json.dumps({_ROUND: 1 + max(_number(words.get(_ROUND)) for words in said.values())}).encode()
            return {
                member: ConsumerProtocolMemberAssignment(cls.version, _by_topic(each), following)
                for member, each in dealt(partitions, _claims(said)).items()
            }

    return Assignor


def _claims(said: Mapping[str, Mapping[str, Any]]) -> dict[str, list[TopicPartition]]:
    """Return what each member has; of two that claim a partition, the one that was in the group last has it."""
    owners: dict[TopicPartition, str] = {}
    for member in sorted(said, key=lambda member: (_number(said[member].get(_ROUND)), member)):
        held = said[member].get(_HELD)
        for entry in held if isinstance(held, list) else ():
            if isinstance(entry, list) and len(entry) == 2:
                owners[TopicPartition(str(entry[0]), _number(entry[1]))] = member
    return {member: [source for source, owner in owners.items() if owner == member] for member in said}


def _by_topic(partitions: Sequence[TopicPartition]) -> list[tuple[str, list[int]]]:
    found: dict[str, list[int]] = {}
    for topic, number in partitions:
        found.setdefault(topic, []).append(number)
    return sorted(found.items())


def _said(user_data: bytes) -> dict[str, Any]:
    """Return what stands in user data; nothing where it is none of ours."""
    try:
        return dict(json.loads(user_data))
    except (ValueError, TypeError):
        return {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
