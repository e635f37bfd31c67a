"""The output topics as the broker has them: how many partitions, how large a record."""

import asyncio

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from worker.broker.topics import check_counts, max_message_bytes, output_topics, partition_counts, topic_configs
from worker.settings import KafkaSettings

log = structlog.get_logger(__name__)

_ASK_SECONDS = 5.0
_MIN_ISR = "min.insync.replicas"


class Outputs:
    """Asks the broker about the output topics.

    Args:
        admin: client of the broker.
        settings: names of the topics.
    """

    def __init__(self, admin: AIOKafkaAdminClient, settings: KafkaSettings) -> None:
        self._admin = admin
        self._settings = settings
        self._counts: dict[str, int] = {}
        self.posts_partitions = 0
        self.max_batch_bytes = settings.max_request_bytes
        self.max_dead_letter_bytes = settings.max_request_bytes

    async def check(self) -> None:
        """Read partition counts and size limits.

        Raises:
            FatalError: a topic is missing, or has fewer partitions than the posts topic.
            KafkaError, OSError: the broker did not answer.
        """
        settings = self._settings
        topics = output_topics(settings)
        counts = await partition_counts(self._admin, [settings.posts_topic, *topics])
        check_counts(counts, settings, growing=True)
        self.posts_partitions = counts[settings.posts_topic]
        self._counts = {topic: counts[topic] for topic in topics}
        limits = {topic: await max_message_bytes(self._admin, topic) for topic in topics}
        known = [limit for limit in limits.values() if limit is not None]
        self.max_batch_bytes = min([settings.max_request_bytes, *known])
        self.max_dead_letter_bytes = limits[settings.dead_letter_topic] or settings.max_request_bytes

    async def ready(self, partition: int) -> None:
        """Wait until every output topic has a partition of this number: added ones begin with the outputs."""
        while short := [topic for topic, count in self._counts.items() if count <= partition]:
            try:
                counts = await partition_counts(self._admin, short)
            except (KafkaError, OSError) as error:
                log.warning("outputs_unknown", error=repr(error))
            else:
                self._counts |= counts
                if any(self._counts[topic] <= partition for topic in short):
                    log.error("outputs_too_few_partitions", topics=short, wanted=partition + 1)
            if any(self._counts[topic] <= partition for topic in short):
                await asyncio.sleep(_ASK_SECONDS)

    async def why_refused(self, partition: int) -> list[str]:
        """Return which outputs of a partition have fewer replicas in step than a write needs, each in words.

        Raises:
            KafkaError, OSError: the broker did not answer.
        """
        said: list[str] = []
        for topic in await self._admin.describe_topics(output_topics(self._settings)):
            wanted = int((await topic_configs(self._admin, topic["topic"], [_MIN_ISR])).get(_MIN_ISR, "1"))
            for entry in topic["partitions"]:
                # A topic with fewer replicas than it says it needs is written to all the same.
                needed, there = min(wanted, len(entry["replicas"])), len(entry["isr"])
                if entry["partition"] == partition and there < needed:
                    said.append(f"{topic['topic']}[{partition}] has {there} in-sync replicas, and needs {needed}")
        return said
