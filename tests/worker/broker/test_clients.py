"""What the broker is told of its clients."""

import asyncio

from aiokafka.admin import NewTopic

from tests.worker.system import Servers
from worker.broker.clients import KafkaLinks
from worker.settings import KafkaSettings


async def test_the_broker_knows_a_worker_by_the_name_of_its_pod(servers: Servers) -> None:
    """The group's description names the client; without a static name it is the program's."""
    for name, known_as in (("moderation-worker-0", "moderation-worker-0"), (None, "moderate")):
        settings = KafkaSettings(group_id=f"test-clients-{known_as}", group_instance_id=name)
        links = KafkaLinks(servers.kafka, settings)
        async with links.connected_admin() as admin, asyncio.timeout(30):
            topic = settings.group_id
            await admin.create_topics([NewTopic(topic, 1, 1)])
            consumer = links.consumer("incarnation")
            consumer.subscribe([topic])
            await consumer.start()
            try:
                clients: set[str] = set()
                while not clients:
                    await asyncio.sleep(0.1)
                    for response in await admin.describe_consumer_groups([settings.group_id]):
                        (group,) = response.groups
                        clients = {member[1] for member in group[5]}
            finally:
                await consumer.stop()
        assert clients == {known_as}
