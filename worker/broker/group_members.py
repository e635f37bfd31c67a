"""Which deployment a worker belongs to: all that a group's members must agree on, told to the others by the group.

Two deployments that share a group id by mistake share its transactional ids and its partitions: each would label
a part of the other's posts onto its own topics. The second one to come is refused.
"""

import json
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import GroupCoordinatorNotAvailableError

from worker.broker.assignment import assignor_saying
from worker.errors import FatalError
from worker.settings import KafkaSettings

# The broker calls a static member by its name, a hyphen and a UUID.
_MEMBER_SUFFIX = 37


@dataclass(frozen=True)
class Deployment:
    """What the members of one group read and write.

    Args:
        posts: topic that posts are read from.
        dead_letters: topic for what cannot be processed.
        routes: (task, topic), sorted.
    """

    posts: str
    dead_letters: str
    routes: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, settings: KafkaSettings) -> Self:
        """Return the deployment that settings describe."""
        return cls(settings.posts_topic, settings.dead_letter_topic, tuple(sorted(settings.routes.items())))

    def __str__(self) -> str:
        return f"{self.posts} to {', '.join(sorted({topic for _, topic in self.routes}))} and {self.dead_letters}"


def new_incarnation() -> str:
    """Return a name for this process, unlike any other's; names sort by when their processes began."""
    return f"{time.time_ns() // 1_000_000:012x}{uuid4().hex[:4]}"


def assignor_of(
    deployment: Deployment, worker: str, *, assignment: Literal["sticky", "round-robin"] = "sticky"
) -> type[AbstractPartitionAssignor]:
    """Return the assignor of members that say which deployment, and which process, they are."""
    return assignor_saying({**asdict(deployment), "worker": worker}, sticky=assignment == "sticky")


async def refuse_strangers(admin: AIOKafkaAdminClient, group_id: str, deployment: Deployment) -> None:
    """Check that the members that a group has now belong to our deployment.

    Members that say nothing of it (an earlier version) are accepted.

    Raises:
        FatalError: one of them reads or writes other topics.
    """
    try:
        responses = await admin.describe_consumer_groups([group_id])
    except GroupCoordinatorNotAvailableError:
        # The first group of a fresh broker: there is nobody yet.
        return
    for response in responses:
        for _, _, _, _, _, members, *_ in response.groups:
            for _, _, client_host, metadata, _ in members:
                other = _deployment_in(metadata)
                if other is not None and other != deployment:
                    raise FatalError(
                        f"group {group_id} belongs to another deployment ({other}; a member at {client_host}), "
                        f"this one goes from {deployment}: set another MODERATE_KAFKA__GROUP_ID for one of them"
                    )


async def member_id_of(admin: AIOKafkaAdminClient, group_id: str, instance_id: str, worker: str) -> str | None:
    """Return by which id a group knows its static member `instance_id`; None where that is not this process.

    Args:
        admin: client of the broker.
        group_id, instance_id: of the member.
        worker: incarnation of this process.
    """
    for member_id, _, metadata in await _namesakes(admin, group_id, instance_id):
        if _said(metadata).get("worker") == worker:
            return member_id
    return None


async def refuse_namesakes(admin: AIOKafkaAdminClient, group_id: str, instance_id: str, worker: str) -> None:
    """Check that no older process is the group's static member `instance_id`; ask only after this one has joined.

    Two processes of one name evict each other at every heartbeat, for ever: aiokafka's heartbeat does not say
    the name, so the broker cannot tell the one that it evicted that it was fenced. The younger gives way, and not
    whichever asks first: a name that is given twice by mistake must not end the worker that had it.

    Args:
        admin: client of the broker.
        group_id, instance_id: of the member.
        worker: incarnation of this process.

    Raises:
        FatalError: an older process has the name.
    """
    client_host = await holder_of(admin, group_id, instance_id, older_than=worker)
    if client_host is not None:
        raise FatalError(
            f"group_instance_id {instance_id} of group {group_id} is held by another process "
            f"at {client_host}: give each worker a MODERATE_KAFKA__GROUP_INSTANCE_ID of its own"
        )


async def holder_of(
    admin: AIOKafkaAdminClient, group_id: str, instance_id: str, *, older_than: str | None = None
) -> str | None:
    """Return the host of the worker that is the group's static member `instance_id`; None where there is none.

    A member that says nothing of its process (an earlier version) is passed over.

    Args:
        admin: client of the broker.
        group_id, instance_id: of the member.
        older_than: incarnation; only a process that began before it counts.
    """
    for _, client_host, metadata in await _namesakes(admin, group_id, instance_id):
        worker = _said(metadata).get("worker")
        if worker is not None and (older_than is None or str(worker) < older_than):
            return client_host
    return None


async def _namesakes(admin: AIOKafkaAdminClient, group_id: str, instance_id: str) -> list[tuple[str, str, bytes]]:
    """Return the group's members of a static name, one at most: id, host, and what they say of themselves."""
    return [
        (member_id, client_host, metadata)
        for response in await admin.describe_consumer_groups([group_id])
        for _, _, _, _, _, members, *_ in response.groups
        for member_id, _, client_host, metadata, _ in members
        if member_id[:-_MEMBER_SUFFIX] == instance_id
    ]


def _deployment_in(metadata: bytes) -> Deployment | None:
    try:
        entry = _said(metadata)
        return Deployment(
            entry["posts"], entry["dead_letters"], tuple((task, topic) for task, topic in entry["routes"])
        )
    except (ValueError, TypeError, KeyError):
        return None


def _said(metadata: bytes) -> dict[str, Any]:
    """Return what a member says of itself; empty where it is none of ours, or says nothing."""
    try:
        entry: dict[str, Any] = dict(json.loads(ConsumerProtocolMemberMetadata.decode(metadata).user_data))
    except (ValueError, TypeError, AttributeError):
        return {}
    return entry
