"""Each peer labels posts of a real broker: a peer that could not would look slow, or faultless."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.peers.measuring import Reader, running
from bench.peers.peers import NAMES, Where
from bench.peers.showing import OURS
from bench.peers.turns import PARTITIONS, Servers, create_topics, own_servers, posts_of, program

TASKS = ("sentiment", "sarcasm", "offensiveness")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Give servers that all programs share."""
    with own_servers(tmp_path_factory.mktemp("peers")) as servers:
        yield servers


@pytest.mark.server
@pytest.mark.soak
@pytest.mark.parametrize("name", [OURS, *NAMES])
async def test_a_program_labels_every_post_in_each_task(name: str, there: Servers, tmp_path: Path) -> None:
    """Its environment can be made, it starts, and each of 100 posts has one label a task under its own key."""
    where = Where(there.kafka, name, f"{name}.posts", tuple(f"{name}.labels.{task}" for task in TASKS))
    await create_topics(where, 1)
    posts = posts_of("device")(100)
    async with running(program(name, where, there.redis, "device"), tmp_path / "log") as process:
        producer = AIOKafkaProducer(bootstrap_servers=there.kafka)
        await producer.start()
        for number, (key, value) in enumerate(posts):
            await producer.send(where.posts, value, key=key, partition=number % PARTITIONS)
        await producer.stop()
        for topic in where.labels:
            async with Reader(there.kafka, topic, PARTITIONS, committed=True).reading() as reader:
                await reader.all_of(posts, lambda: process.returncode is None)
                assert reader.repeats == 0
    label = await first(there.kafka, where.labels[1])
    assert (label["task"], label["post_id"].encode() in dict(posts)) == ("sarcasm", True)


async def first(kafka: str, topic: str) -> dict[str, str]:
    """Return one label."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    found: dict[str, str] = json.loads((await consumer.getone()).value)
    await consumer.stop()
    return found
