"""Who belongs to a group: other deployments, strangers, static members. Driven from outside."""

import asyncio
import json
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.worker.system import TASKS, Stream
from tests.worker.test_kafka_faults import check_once, complaint, lines, texts


async def test_another_deployment_of_the_same_group_is_refused(stream: Stream) -> None:
    """A worker with other routes ends with 1 and one line; the first one's partitions never move."""
    await stream.create_topics(2)
    first = await (await stream.start("first")).ready()
    positions = await stream.feed(texts(40), 2)
    other = {task: f"{stream.name}.other.{task}" for task in TASKS}
    routes = {"KAFKA__ROUTES": json.dumps(other)}
    await stream.create_topics(2, **routes)
    reason = await complaint(await stream.start("second", **routes))
    assert stream.name in reason
    assert all(topic in reason for topic in (stream.posts, stream.dead, *other.values()))
    assert all(stream.label_topic(task) in reason for task in TASKS)
    positions += await stream.feed(texts(40, "q"), 2)
    await stream.settled(positions, 60)
    check_once(await stream.labels(), positions, stream)
    assert len(lines(first, "partitions_assigned")) == 1
    assert not (await stream.read(*other.values()))[other["sarcasm"]]
    assert await first.end() == 0


@pytest.mark.soak
async def test_a_stranger_with_our_transactional_id_is_named(stream: Stream) -> None:
    """Who keeps fencing a partition that the group gave to this worker, ends it with a line that names the id."""
    await stream.create_topics(1)
    worker = await (await stream.start()).ready()
    identifier = f"{stream.name}:{stream.posts}:0"

    async def fence() -> None:
        while True:
            stranger = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, transactional_id=identifier)
            with suppress(KafkaError):
                await stranger.start()
            await stranger.stop()
            await stream.feed(texts(5), 1)
            await asyncio.sleep(0.5)

    fencing = asyncio.create_task(fence())
    try:
        assert identifier in await complaint(worker)
    finally:
        fencing.cancel()
        await asyncio.gather(fencing, return_exceptions=True)


@pytest.mark.soak
async def test_static_members_come_back_and_impostors_end(stream: Stream) -> None:
    """A member that restarts under its name moves nobody's partitions; one that takes another's name is ended."""
    await stream.create_topics(4)
    static = {"KAFKA__SESSION_TIMEOUT_SECONDS": "30"}
    other = await (await stream.start("other", KAFKA__GROUP_INSTANCE_ID="pod-0", **static)).ready()
    first = await (await stream.start("first", KAFKA__GROUP_INSTANCE_ID="pod-1", **static)).ready()
    positions = await stream.feed(texts(40, "before"), 4)
    moves = len(lines(other, "partitions_assigned")), len(lines(other, "partitions_given_up"))
    assert await first.end() == 0
    positions += await stream.feed(texts(40, "meanwhile"), 4)
    again = await (await stream.start("again", KAFKA__GROUP_INSTANCE_ID="pod-1", **static)).ready()
    positions += await stream.feed(texts(40, "after"), 4)
    await stream.settled(positions, 60)
    check_once(await stream.labels(), positions, stream)
    assert (len(lines(other, "partitions_assigned")), len(lines(other, "partitions_given_up"))) == moves
    impostor = await stream.start("impostor", KAFKA__GROUP_INSTANCE_ID="pod-1", **static)
    reason = await complaint(impostor)
    assert "group_instance_id" in reason
    positions += await stream.feed(texts(40, "taken"), 4)
    await stream.settled(positions, 60)
    check_once(await stream.labels(), positions, stream)
    assert await again.end() == 0
    assert await other.end() == 0


async def test_a_static_member_that_is_told_to_leaves_at_once(stream: Stream) -> None:
    """With `leave_on_stop` the others have its partitions long before its session would time out."""
    await stream.create_topics(4)
    static = {"KAFKA__SESSION_TIMEOUT_SECONDS": "300", "KAFKA__LEAVE_ON_STOP": "true"}
    stays = await stream.start("stays", KAFKA__GROUP_INSTANCE_ID="pod-0", **static)
    goes = await stream.start("goes", KAFKA__GROUP_INSTANCE_ID="pod-1", **static)
    await stays.ready()
    await goes.ready()
    positions = await stream.feed(texts(40, "before"), 4)
    assert await goes.end() == 0
    assert len(lines(goes, "group_left")) == 1
    positions += await stream.feed(texts(40, "after"), 4)
    await stream.settled(positions, 60)
    check_once(await stream.labels(), positions, stream)
    assert lines(stays, "partitions_assigned")[-1]["partitions"] == [0, 1, 2, 3]
    assert await stays.end() == 0
