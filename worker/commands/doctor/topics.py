"""The topics: there, of equal partitions, led, replicated, not compacted, large enough."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from aiokafka.protocol.metadata import MetadataRequest

from worker.broker.topics import check_counts, output_topics, shadow_topics, topic_configs
from worker.commands.doctor.broker import Broker
from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, failure, listed, ok, warning
from worker.errors import FatalError
from worker.settings import Settings

_CONFIGS = ("cleanup.policy", "max.message.bytes", "min.insync.replicas", "retention.ms")
_FEWEST_REPLICAS = 2
# A label of one task takes 942 bytes alone in its batch, with an id and a key of 40 bytes; longer ones come on top.
_LABEL_BYTES = 1_024
_HEADERS_BYTES = 64 * 1024


@dataclass(frozen=True)
class Topic:
    """A topic as the broker describes it.

    Args:
        name: of the topic.
        partitions: number, leader, replicas and in-sync replicas of each.
        configs: settings that this user may see.
    """

    name: str
    partitions: Sequence[Mapping[str, Any]]
    configs: Mapping[str, str]

    @property
    def replicas(self) -> int:
        """The fewest that a partition has."""
        return min((len(partition["replicas"]) for partition in self.partitions), default=0)

    def number(self, name: str) -> int | None:
        """Return a setting that is a number; None where it is not known."""
        value = self.configs.get(name)
        return None if value is None else int(value)


class Topics:
    """Looks at the topics, and holds what it saw.

    Args:
        broker: asked.
        settings: name the topics.
    """

    def __init__(self, broker: Broker, settings: Settings) -> None:
        self._broker = broker
        self._settings = settings
        self._kafka = settings.kafka
        self.found: dict[str, Topic] = {}
        self._control: Topic | None = None

    @property
    def names(self) -> list[str]:
        """The topic of the posts, and those that the worker writes to."""
        return [self._kafka.posts_topic, *output_topics(self._kafka)]

    @property
    def posts(self) -> Topic:
        """The topic of the posts; only behind `topics.exist`."""
        return self.found[self._kafka.posts_topic]

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        return [
            Check("permissions.describe", self._describe, needs=("broker.nodes",)),
            Check("topics.exist", self._exist, needs=("permissions.describe",)),
            Check("topics.partitions", self._partitions, needs=("topics.exist",)),
            Check("topics.leaders", self._leaders, needs=("topics.exist",)),
            Check("topics.replication", self._replication, needs=("topics.exist",)),
            Check("topics.cleanup", self._cleanup, needs=("topics.exist",)),
            Check("topics.sizes", self._sizes, needs=("topics.exist",)),
        ]

    async def _describe(self) -> Outcome:
        client = await self._broker.client()
        shadows = sorted(set(shadow_topics(self._settings).values()))
        # A broker may make the topics that it is asked about, unless it is told not to.
        control = [] if self._kafka.decisions_topic is None else [self._kafka.policies_topic]
        request = MetadataRequest([*self.names, *shadows, *control], allow_auto_topic_creation=False)
        answer = (await client.send(client.get_random_node(), request)).to_object()
        codes = {topic["topic"]: topic["error_code"] for topic in answer["topics"]}
        hidden = [name for name in (*self.names, *control) if codes.get(name) == TopicAuthorizationFailedError.errno]
        if hidden:
            return failure(
                f"this user may not see {listed(hidden)}",
                "grant it READ on the posts' topic and WRITE on the others, which include DESCRIBE",
            )
        admin = await self._broker.admin()
        for topic in answer["topics"]:
            if topic["error_code"] != UnknownTopicOrPartitionError.errno and topic["partitions"]:
                name = topic["topic"]
                parts = sorted(topic["partitions"], key=lambda part: int(part["partition"]))
                self.found[name] = Topic(name, parts, await topic_configs(admin, name, _CONFIGS))
        # It has one partition and is compacted, as no other topic is.
        self._control = self.found.pop(control[0], None) if control else None
        return ok("no topic is hidden from this user")

    async def _exist(self) -> Outcome:
        missing = [name for name in self.names if name not in self.found]
        if self._kafka.decisions_topic is not None and self._control is None:
            missing.append(self._kafka.policies_topic)
        if missing:
            return failure(
                f"missing: {listed(missing)}",
                "run `moderate topics create`, or correct MODERATE_KAFKA__POSTS_TOPIC, …__ROUTES, …__DEAD_LETTER_TOPIC",
            )
        return ok(f"{listed(self.names, most=8)} are there")

    async def _partitions(self) -> Outcome:
        counts = {name: len(topic.partitions) for name, topic in self.found.items()}
        wanted = counts[self._kafka.posts_topic]
        remedy = f"give every topic the {wanted} partitions of {self._kafka.posts_topic} (kafka-topics.sh --alter)"
        try:
            check_counts(counts, self._kafka, growing=True)
        except FatalError as error:
            return failure(str(error), remedy)
        try:
            # Those of the shadow that are missing are made by it.
            check_counts(counts, self._kafka, beside=[name for name in counts if name not in self.names])
        except FatalError as error:
            return warning(str(error), remedy)
        return ok(f"{wanted} each")

    async def _leaders(self) -> Sequence[Outcome]:
        lost: list[str] = []
        few: list[str] = []
        for topic in self.found.values():
            wanted = topic.number("min.insync.replicas") or 1
            for part in topic.partitions:
                name = f"{topic.name}[{part['partition']}]"
                if part["leader"] < 0:
                    lost.append(name)
                elif len(part["isr"]) < wanted and topic.name != self._kafka.posts_topic:
                    few.append(f"{name} ({len(part['isr'])} of {wanted})")
        found = []
        if lost:
            found.append(failure(f"without a leader: {listed(lost)}", "start the brokers that hold these partitions"))
        if few:
            found.append(
                failure(
                    f"fewer replicas in sync than min.insync.replicas asks for: {listed(few)}; writes are refused",
                    "start the brokers that are missing, or set min.insync.replicas of these topics lower",
                )
            )
        return found or [ok("every partition has a leader, and replicas in sync")]

    async def _replication(self) -> Outcome:
        brokers = len(self._broker.nodes)
        fewest = min(topic.replicas for topic in self.found.values())
        if brokers >= _FEWEST_REPLICAS and fewest < _FEWEST_REPLICAS:
            alone = [topic.name for topic in self.found.values() if topic.replicas < _FEWEST_REPLICAS]
            return warning(
                f"{listed(alone)} {'has' if len(alone) == 1 else 'have'} one replica on {brokers} brokers: "
                "what one broker loses is lost",
                "raise the replication factor (kafka-reassign-partitions.sh); new ones: `moderate topics create "
                "--replication-factor 3`",
            )
        return ok(f"{fewest} replica{'s' * (fewest != 1)} on {brokers} broker{'s' * (brokers != 1)}")

    async def _cleanup(self) -> Sequence[Outcome]:
        compacted = [name for name, topic in self.found.items() if "compact" in topic.configs.get("cleanup.policy", "")]
        found = []
        control = self._control
        if control is not None and "compact" not in control.configs.get("cleanup.policy", "compact"):
            found.append(
                warning(
                    f"{control.name} is not compacted: retention will take away which policy is in force",
                    f"set cleanup.policy=compact on {control.name}",
                )
            )
        if not compacted:
            return found or [ok("no topic is compacted")]
        return found + [
            warning(
                f"{name} is compacted: of records with one key only the last stays"
                + (", labelled or not" if name == self._kafka.posts_topic else ", whichever post it is of"),
                f"set cleanup.policy=delete on {name}",
            )
            for name in compacted
        ]

    async def _sizes(self) -> Sequence[Outcome]:
        limits = {name: topic.number("max.message.bytes") for name, topic in self.found.items()}
        unknown = [name for name in output_topics(self._kafka) if limits[name] is None]
        if unknown:
            return [
                warning(
                    f"this user may not see how large a batch {listed(unknown)} take: larger ones may be refused",
                    "grant it DESCRIBE_CONFIGS on these topics",
                )
            ]
        dead, posts = limits[self._kafka.dead_letter_topic], limits[self._kafka.posts_topic]
        found = [
            failure(
                f"{name} takes {limit} bytes at most, too few for the labels of a post",
                f"set max.message.bytes of {name} to {self._kafka.max_request_bytes} "
                "(MODERATE_KAFKA__MAX_REQUEST_BYTES), or to the broker's message.max.bytes",
            )
            for name, tasks in Counter(self._kafka.routes.values()).items()
            if (limit := limits[name]) is not None and limit < tasks * _LABEL_BYTES
        ]
        if dead is not None and posts is not None and dead < posts + _HEADERS_BYTES:
            found.append(
                warning(
                    f"{self._kafka.dead_letter_topic} takes {dead} bytes, a post may have {posts} and gets headers: "
                    "the largest dead letters come in parts",
                    f"set max.message.bytes of {self._kafka.dead_letter_topic} to {posts + _HEADERS_BYTES}",
                )
            )
        return found or [ok("labels and dead letters fit")]
