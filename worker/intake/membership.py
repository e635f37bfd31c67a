"""This worker's part in the consumer group: connected to the broker, let in, asked after, and left again."""

import asyncio
import time
from contextlib import AsyncExitStack

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from worker.broker.clients import REFUSED, KafkaLinks
from worker.broker.group_members import Deployment, member_id_of, refuse_namesakes, refuse_strangers
from worker.broker.group_offsets import begin_at_the_end
from worker.broker.history import Reads, check_history
from worker.broker.log_in import refuse_wrong_log_in
from worker.broker.output_topics import Outputs
from worker.broker.static_member import leave
from worker.errors import FatalError, LaneError
from worker.intake.lanes import Lanes
from worker.telemetry.health import Health

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_PING_SECONDS = 5.0
_NEWCOMER_SECONDS = 30.0
_LEAVE_SECONDS = 5.0


class Membership:
    """Connects, joins, and looks who else is there.

    Args:
        links: makes clients; its settings name topics and group.
        health: told whether the broker answers.
        reads: what an output of the group says; None looks at no outputs.
    """

    def __init__(self, links: KafkaLinks, health: Health, reads: Reads | None = None) -> None:
        self._reads = reads
        self._links = links
        self._settings = links.settings
        self._health = health

    async def connect(self, stack: AsyncExitStack) -> tuple[AIOKafkaAdminClient, Outputs]:
        """Return a connected client once the broker answers, and the topics if they are as they must be.

        Raises:
            FatalError: topics or permissions are missing, or the group belongs to another deployment.
            SettingsError: the broker refuses the log-in, and goes on refusing it.
        """
        while True:
            admin = self._links.admin()
            outputs = Outputs(admin, self._settings)
            try:
                await refuse_wrong_log_in(self._links)
                await admin.start()
                await outputs.check()
                await self._refuse_strangers(admin)
                await self._begin(admin, outputs.posts_partitions)
            except REFUSED as error:
                await admin.close()
                raise FatalError(f"the broker refuses this worker: {error}") from error
            except (KafkaError, OSError, LaneError) as error:
                await admin.close()
                log.warning("broker_unreachable", servers=self._links.bootstrap_servers, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except BaseException:
                await admin.close()
                raise
            stack.push_async_callback(admin.close)
            self._health.broker_reachable = True
            return admin, outputs

    async def _begin(self, admin: AIOKafkaAdminClient, partitions: int) -> None:
        kafka = self._settings
        sources = [TopicPartition(kafka.posts_topic, partition) for partition in range(partitions)]
        if self._reads is not None:
            await check_history(self._links, admin, sources, self._reads)
        if kafka.start_at == "latest":
            await begin_at_the_end(self._links, admin, sources)

    async def _refuse_strangers(self, admin: AIOKafkaAdminClient) -> None:
        kafka = self._settings
        await refuse_strangers(admin, kafka.group_id, Deployment.of(kafka))

    async def join(
        self, stack: AsyncExitStack, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, lanes: Lanes, worker: str
    ) -> None:
        """Let the group give partitions to `lanes`; when `stack` closes, they are given up and the group is left.

        Args:
            stack: whose end is the membership's.
            admin: a client that is connected as long as that.
            consumer: the member.
            lanes: what it gets.
            worker: incarnation of this process.

        Raises:
            FatalError: the broker refuses this worker.
        """
        consumer.subscribe([self._settings.posts_topic], listener=lanes)
        stack.push_async_callback(self._leave, admin, consumer, worker)
        # Before the consumer leaves the group: it does not revoke by itself when it stops.
        stack.push_async_callback(lanes.close)
        while True:
            try:
                await consumer.start()
                return
            except KafkaError as error:
                if not error.retriable:
                    # A second start would meet what the first one left; and what is refused stays refused.
                    group = self._settings.group_id
                    raise FatalError(f"the broker refuses this worker in group {group}: {error}") from error
                log.warning("group_unreachable", error=repr(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def ping(self, admin: AIOKafkaAdminClient, worker: str) -> None:
        """Ask the broker now and then, for /readyz, and who else has our name; a newcomer also asks who is there."""
        kafka = self._settings
        newcomer_until = time.monotonic() + _NEWCOMER_SECONDS
        while True:
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await admin.list_topics()
                    if time.monotonic() < newcomer_until:
                        # Two that joined at once did not see each other before.
                        await self._refuse_strangers(admin)
                    if kafka.group_instance_id is not None:
                        await refuse_namesakes(admin, kafka.group_id, kafka.group_instance_id, worker)
                self._health.broker_reachable = True
            except (KafkaError, TimeoutError, OSError):
                self._health.broker_reachable = False
            await asyncio.sleep(_PING_SECONDS)

    async def _leave(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, worker: str) -> None:
        """Leave the group; a group that does not answer notices by itself that this worker is gone.

        A static member stays in it, as one that will be back, unless it is told to leave.
        """
        kafka = self._settings
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                # First: a member that still sends heartbeats would join again.
                await consumer.stop()
                if kafka.group_instance_id is not None and kafka.leave_on_stop:
                    member_id = await member_id_of(admin, kafka.group_id, kafka.group_instance_id, worker)
                    if member_id is not None:
                        await leave(admin, kafka.group_id, member_id, kafka.group_instance_id)
                        log.info("group_left")
        except (TimeoutError, KafkaError) as error:
            log.warning("group_not_left", error=repr(error))
