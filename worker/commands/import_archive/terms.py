"""What a topic takes: partitions, sizes, times."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.partitioner import murmur2

from worker.broker.clients import KafkaLinks
from worker.broker.topics import no_such_topic, partition_counts, topic_configs

_FOR_EVER = 2**63 - 1
_NAMES = (
    "max.message.bytes",
    "message.timestamp.type",
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
    "retention.ms",
    "cleanup.policy",
)
# Of a batch and the one record in it.
_OVERHEAD_BYTES = 200


@dataclass(frozen=True, slots=True)
class Terms:
    """What a topic takes.

    Args:
        topic: its name.
        partitions: how many.
        max_bytes: of a record's key and value.
        own_times: whether records keep the timestamps that they are sent with.
        before_ms, after_ms: how far a timestamp may lie behind and ahead of the broker's clock.
        retention_ms: after which records are deleted, by their timestamps; None for never.
    """

    topic: str
    partitions: int
    max_bytes: int
    own_times: bool = True
    before_ms: int = _FOR_EVER
    after_ms: int = _FOR_EVER
    retention_ms: int | None = None

    def partition(self, key: bytes | None, number: int) -> int:
        """Return where a record goes: by its key as every producer's default has it, else one after the other."""
        if key is None:
            return number % self.partitions
        return int(murmur2(key) & 0x7FFFFFFF) % self.partitions

    def refusal(self, size: int, timestamp_ms: int, now_ms: int) -> str | None:
        """Say why the topic would not take a record; None where it would.

        Args:
            size: bytes of its key and value.
            timestamp_ms: its own.
            now_ms: the current time.
        """
        if size > self.max_bytes:
            return f"{size} bytes, {self.topic} takes {self.max_bytes} (max.message.bytes)"
        if timestamp_ms < 0:
            return f"created_at {_time(timestamp_ms)}: Kafka knows no time before 1970"
        if timestamp_ms - now_ms > self.after_ms:
            return f"created_at {_time(timestamp_ms)}: too far ahead for {self.topic} (message.timestamp.after.max.ms)"
        if now_ms - timestamp_ms > self.before_ms:
            return f"created_at {_time(timestamp_ms)}: too old for {self.topic} (message.timestamp.before.max.ms)"
        return None

    def outlived(self, timestamp_ms: int, now_ms: int) -> bool:
        """Whether retention may take a record away before it is read."""
        return self.retention_ms is not None and now_ms - timestamp_ms > self.retention_ms


async def terms_of(links: KafkaLinks, admin: AIOKafkaAdminClient, topic: str) -> Terms:
    """Ask the broker what a topic takes.

    Raises:
        FatalError: there is no such topic.
    """
    partitions = (await partition_counts(admin, [topic])).get(topic)
    if partitions is None:
        raise await no_such_topic(admin, topic, links.settings)
    said = await topic_configs(admin, topic, _NAMES)
    largest = min(
        int(said.get("max.message.bytes", links.settings.max_request_bytes)), links.settings.max_request_bytes
    )
    retention = int(said.get("retention.ms", -1)) if "delete" in said.get("cleanup.policy", "delete") else -1
    return Terms(
        topic,
        partitions,
        largest - _OVERHEAD_BYTES,
        own_times=said.get("message.timestamp.type") != "LogAppendTime",
        before_ms=int(said.get("message.timestamp.before.max.ms", _FOR_EVER)),
        after_ms=int(said.get("message.timestamp.after.max.ms", _FOR_EVER)),
        retention_ms=None if retention < 0 else retention,
    )


def _time(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")
