"""What the stream has of policies: the records of decisions, who counts them, and a control topic that is followed."""

import asyncio
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient

from worker.broker.clients import KafkaLinks
from worker.control.published import IN_FORCE, Published
from worker.control.topic import ControlTopic, Values
from worker.errors import SettingsError
from worker.output.decision_records import DecisionRecords
from worker.policies.reading import folder_policies
from worker.settings import Settings


class Deciding:
    """Decisions of the stream; none where they are off.

    Args:
        published: the policy in force; None where decisions are off.
        topic: the control topic; None where it is not followed.
        records: makes the decisions' records.
    """

    def __init__(
        self,
        published: Published | None = None,
        topic: ControlTopic | None = None,
        records: DecisionRecords | None = None,
    ) -> None:
        self._published = published
        self._topic = topic
        self.records = records

    @classmethod
    async def begin(
        cls, settings: Settings, links: KafkaLinks, admin: AIOKafkaAdminClient, *, checkpoint: str, bounded: bool
    ) -> "Deciding":
        """Return what decides, once it is known what is published.

        Args:
            settings: the worker's.
            links: of the broker.
            admin: a client of it that is connected.
            checkpoint: digest of the one that labels.
            bounded: whether the run ends by itself: its policy is the folder's, whatever is published meanwhile.

        Raises:
            SettingsError: the folder cannot be read, or what is published cannot be used.
            FatalError: there is no control topic, or the broker refuses.
        """
        kafka = settings.kafka
        if kafka.decisions_topic is None:
            return cls()
        published = Published(folder_policies(settings), tuple(kafka.routes))
        topic = None if bounded else ControlTopic(links, kafka.policies_topic)
        values: Values = {} if topic is None else await topic.first(admin)
        try:
            published.begin(values.get(IN_FORCE))
        except SettingsError as error:
            raise SettingsError(f"topic {kafka.policies_topic}: {error}") from error
        return cls(published, topic, DecisionRecords(kafka.decisions_topic, published.current, checkpoint=checkpoint))

    @property
    def observers(self) -> Sequence[DecisionRecords]:
        """Who is told of what is committed."""
        return [] if self.records is None else [self.records]

    async def follow(self) -> None:
        """Take what is published, for ever."""
        if self._topic is None or self._published is None:
            await asyncio.get_running_loop().create_future()
            return
        published = self._published

        def take(values: Values) -> None:
            if IN_FORCE in values:
                published.take(values[IN_FORCE])

        await self._topic.follow(take)
