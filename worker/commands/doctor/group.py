"""The group: who else is in it, where it stands, how far behind it is."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.structs import OffsetAndMetadata

from worker.broker.fetching import UnreadableBatchError
from worker.broker.group_members import Deployment, holder_of, refuse_strangers
from worker.broker.group_offsets import committed_offsets
from worker.broker.positions import name_of
from worker.broker.range_reader import connected_reader
from worker.commands.doctor.broker import Broker
from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, failure, listed, ok, skipped, warning
from worker.commands.doctor.pages import WorkerBeside
from worker.commands.doctor.topics import Topics
from worker.errors import FatalError
from worker.items import oddity
from worker.settings import KafkaSettings

_POLL_MILLISECONDS = 500
_LAG_SHARE = 0.5
_OFFSETS_MINUTES = 7 * 24 * 60  # Kafka's default
_OTHER_GROUP = "set another MODERATE_KAFKA__GROUP_ID for one of the two"


class Group:
    """Looks at the consumer group.

    Args:
        broker: asked.
        topics: looked at before.
        settings: name the group.
        beside: whether a worker with these settings runs here already.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        settings: KafkaSettings,
        beside: WorkerBeside,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._broker = broker
        self._topics = topics
        self._settings = settings
        self._beside = beside
        self._now = now
        self._members = 0
        self._oldest: Mapping[TopicPartition, int] = {}
        self._ends: Mapping[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        return [
            Check("group.session", self._session, needs=("broker.nodes",)),
            Check("group.members", self._who, needs=("permissions.group",)),
            Check("group.static_name", self._static_name, needs=("permissions.group",), after=("group.members",)),
            Check("group.offsets", self._offsets, needs=("permissions.group", "permissions.read")),
            Check("group.lag", self._lag, needs=("group.offsets",)),
            Check("group.expiry", self._expiry, needs=("permissions.group", "topics.exist")),
        ]

    async def _session(self) -> Outcome:
        found = await self._broker.settings()
        wanted = self._settings.session_timeout_seconds
        shortest, longest = found.get("group.min.session.timeout.ms"), found.get("group.max.session.timeout.ms")
        if shortest is None or longest is None:
            return skipped("this user may not see the broker's settings")
        if not shortest <= wanted * 1000 <= longest:
            return failure(
                f"the broker takes sessions of {shortest / 1000:g} to {longest / 1000:g} s, ours has {wanted:g}",
                "set MODERATE_KAFKA__SESSION_TIMEOUT_SECONDS within that, "
                "or the broker's group.min/max.session.timeout.ms",
            )
        return ok(f"a session of {wanted:g} s is taken ({shortest / 1000:g} to {longest / 1000:g})")

    async def _who(self) -> Sequence[Outcome]:
        group = self._settings.group_id
        admin = await self._broker.admin()
        try:
            await refuse_strangers(admin, group, Deployment.of(self._settings))
        except FatalError as error:
            return [failure(str(error), "set another MODERATE_KAFKA__GROUP_ID for one of the two deployments")]
        state, others = "Empty", []
        for response in await admin.describe_consumer_groups([group]):
            for _, _, now, kind, _, members, *_ in response.groups:
                state = now
                if members and kind != "consumer":
                    return [failure(f"group {group} is of kind {kind!r}, no consumer group", _OTHER_GROUP)]
                self._members = len(members)
                others = sorted({host for _, _, host, said, _ in members if not _reads(said, self._settings)})
        if others:
            return [warning(f"group {group} has members that read other topics, at {listed(others)}", _OTHER_GROUP)]
        return [
            ok(
                f"group {group}: {_counted(self._members, 'member')}, {state}"
                if self._members
                else f"nobody is in group {group}"
            )
        ]

    async def _static_name(self) -> Outcome:
        name = self._settings.group_instance_id
        if name is None:
            return ok("no static name: a restart moves partitions")
        group = self._settings.group_id
        client_host = await holder_of(await self._broker.admin(), group, name)
        if client_host is not None:
            if await self._beside.runs():
                return ok(f"{name}, held by the worker that runs here")
            return failure(
                f"group_instance_id {name} of group {group} is held by a live worker at {client_host}",
                "give each worker a MODERATE_KAFKA__GROUP_INSTANCE_ID of its own, such as its pod's name",
            )
        return ok(f"{name}, held by nobody")

    async def _offsets(self) -> Sequence[Outcome]:
        topic = self._topics.posts
        sources = [TopicPartition(topic.name, part["partition"]) for part in topic.partitions]
        admin = await self._broker.admin()
        self._committed = await committed_offsets(admin, self._settings.group_id, sources)
        async with connected_reader(self._broker.links) as reader:
            self._oldest = await reader.beginning_offsets(sources)
            self._ends = await reader.end_offsets(sources)
        gone = [name_of(source) for source, at in self._committed.items() if at.offset < self._oldest[source]]
        beyond = [name_of(source) for source, at in self._committed.items() if at.offset > self._ends[source]]
        found: list[Outcome] = []
        if beyond:
            found.append(
                failure(
                    f"the group stands beyond the end of {listed(beyond)}: was the topic made anew?",
                    f"set the offsets of group {self._settings.group_id} (kafka-consumer-groups.sh --reset-offsets), "
                    "or another MODERATE_KAFKA__GROUP_ID",
                )
            )
        if gone:
            stops = self._settings.records_gone == "stop"
            says = f"posts that were not labelled are gone from {listed(gone)}: retention was shorter than the lag"
            found.append(
                failure(says, "set MODERATE_KAFKA__RECORDS_GONE=continue to go on at the oldest post that is left")
                if stops
                else warning(says, f"raise retention.ms of {topic.name}, or start more workers")
            )
        if found:
            return found
        if not self._committed:
            return [ok(f"none yet: the group begins at the {self._settings.start_at} post")]
        return [ok(f"{len(self._committed)} of {len(sources)} partitions, all within the topic")]

    async def _lag(self) -> Outcome:
        behind = {
            source: end - (self._committed[source].offset if source in self._committed else self._first(source))
            for source, end in self._ends.items()
        }
        total = sum(behind.values())
        if not total:
            return ok("no post waits")
        source = max(behind, key=lambda one: behind[one])
        try:
            timestamp = await self._timestamp(source, self._ends[source] - behind[source])
        except UnreadableBatchError as error:
            return failure(
                f"{total} offsets wait, and {error}",
                "mend the topic, or let another replica lead: the other partitions are labelled meanwhile",
            )
        if timestamp is None:
            return ok(f"no post waits behind {total} offsets")
        now = self._now()
        if oddity(timestamp, 1000 * now):
            return ok(f"{total} offsets; the oldest post of {name_of(source)} does not say when it was written")
        age = max(0.0, now - timestamp / 1000)
        retention = self._topics.posts.number("retention.ms")
        ago = _readable(timedelta(seconds=round(age)))
        said = f"{total} offsets, the oldest post of {name_of(source)} written {ago} ago"
        if retention is not None and 0 < retention * _LAG_SHARE < age * 1000:
            return warning(
                f"{said}: retention takes it away after {_readable(timedelta(milliseconds=retention))}",
                f"start more workers, or raise retention.ms of {source.topic}",
            )
        return ok(said)

    def _first(self, source: TopicPartition) -> int:
        return self._oldest[source] if self._settings.start_at == "earliest" else self._ends[source]

    async def _timestamp(self, source: TopicPartition, offset: int) -> int | None:
        """Return the timestamp of the first post from an offset on, in milliseconds since the epoch."""
        async with connected_reader(self._broker.links) as reader:
            reader.assign([source])
            reader.seek(source, max(offset, self._oldest[source]))
            while await reader.position(source) < self._ends[source]:
                for records in (await reader.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=1)).values():
                    return int(records[0].timestamp)
        return None

    async def _expiry(self) -> Outcome:
        minutes = (await self._broker.settings()).get("offsets.retention.minutes")
        retention = self._topics.posts.number("retention.ms")
        if minutes is None:
            return skipped("this user may not see the broker's settings")
        kept = timedelta(minutes=minutes)
        if minutes < _OFFSETS_MINUTES and (retention is None or retention < 0 or retention > minutes * 60_000):
            return warning(
                f"offsets of a group without members are forgotten after {_readable(kept)}, posts stay longer: after "
                "such a stop they would be labelled again",
                f"raise the broker's offsets.retention.minutes to {_OFFSETS_MINUTES}",
            )
        return ok(f"offsets outlive a stop of {_readable(kept)}")


def _reads(said: bytes, settings: KafkaSettings) -> bool:
    """Return whether a member reads our posts and nothing else; one that is only joining says nothing yet."""
    if not said:
        return True
    try:
        return list(ConsumerProtocolMemberMetadata.decode(said).subscription) == [settings.posts_topic]
    except ValueError:
        return False


def _readable(span: timedelta) -> str:
    return str(span).removesuffix(", 0:00:00")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
