"""Bounded readings: what a person writes for their ends, what that means on a topic, and that they end."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from tests.worker.system import Servers
from worker.broker.clients import KafkaLinks
from worker.broker.range_reader import connected_reader, read_ranges
from worker.broker.ranges import Bound, OffsetRange, freeze, parse_bound, parse_partitions, parse_range
from worker.errors import SettingsError
from worker.settings import KafkaSettings

EARLIEST, LATEST = Bound("earliest"), Bound("latest")


def test_bounds_are_read_as_written() -> None:
    """Words, offsets and times; a time without a zone is UTC."""
    assert parse_bound("earliest") == EARLIEST
    assert parse_bound("17") == Bound("offset", 17)
    assert parse_bound("1970-01-01T00:00:02Z") == parse_bound("1970-01-01T00:00:02") == Bound("time", 2000)
    assert parse_bound(str(parse_bound("2026-11-20T12:00:00.125+01:00"))) == parse_bound("2026-11-20T11:00:00.125Z")
    assert parse_partitions("0,3-5") == {0, 3, 4, 5}


@pytest.mark.parametrize("text", ["", "yesterday", "-1", "1.5"])
def test_what_is_no_bound_is_refused(text: str) -> None:
    """The message quotes it."""
    with pytest.raises(SettingsError, match="not a bound"):
        parse_bound(text)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("5", "3"),
        ("5", "5"),
        ("latest", "latest"),
        ("earliest", "earliest"),
        ("latest", "7"),
        ("2026-11-20", "2026-11-19T23:59:59Z"),
    ],
)
def test_a_range_that_can_hold_nothing_is_refused(start: str, end: str) -> None:
    """Whatever stands on the topic: both bounds are quoted."""
    with pytest.raises(SettingsError, match=f"--from {start} --to {end}: the range holds nothing"):
        parse_range(start, end)


@pytest.mark.parametrize(("start", "end"), [("3", "5"), ("earliest", "0"), ("5", "2026-11-20"), ("earliest", "latest")])
def test_a_range_that_may_hold_something_passes(start: str, end: str) -> None:
    """What an offset and a time mean together, the topic alone says."""
    assert parse_range(start, end) == (parse_bound(start), parse_bound(end))


@pytest.mark.parametrize("text", ["", "a", "5-3", "1,,2"])
def test_what_is_no_list_of_partitions_is_refused(text: str) -> None:
    """The message quotes it."""
    with pytest.raises(SettingsError, match="not a list of partitions"):
        parse_partitions(text)


@pytest.fixture
async def consumer(servers: Servers) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a reader of committed records."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=servers.kafka, isolation_level="read_committed", auto_offset_reset="none"
    )
    await reader.start()
    yield reader
    await reader.stop()


async def test_a_range_ends_behind_markers_and_aborted_records(servers: Servers, consumer: AIOKafkaConsumer) -> None:
    """What no reader may see, at the very end as well, keeps no reading from its end; what is gone is counted."""
    topic = "test-reading"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka, transactional_id=topic)
    await producer.start()
    for first, commits in ((0, True), (10, False), (20, True), (30, False)):
        await producer.begin_transaction()
        for number in range(first, first + 10):
            await producer.send_and_wait(
                topic, b"%d" % number, partition=0, timestamp_ms=1_000_000 + number * 1000, headers=[]
            )
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    await producer.stop()
    sources = [TopicPartition(topic, 0), TopicPartition(topic, 1)]

    async def values(ranges: dict[TopicPartition, OffsetRange]) -> list[int]:
        async with asyncio.timeout(20):
            return [int(record.value) async for records in read_ranges(consumer, ranges) for record in records]

    whole = await freeze(consumer, sources, EARLIEST, LATEST)
    assert whole == {sources[0]: OffsetRange(0, 44), sources[1]: OffsetRange(0, 0)}
    assert await values(whole) == [*range(10), *range(20, 30)]
    # Offsets 0 to 10 are the first transaction and its marker, whose time is now; 22 is the third one's first record.
    times = await freeze(consumer, sources, Bound("time", 1_005_000), Bound("time", 1_022_000))
    assert times[sources[0]] == OffsetRange(5, 24)
    assert await values(times) == [*range(5, 10), 20, 21]
    assert await values(await freeze(consumer, sources, Bound("time", 1_030_000), LATEST)) == []
    assert await values(await freeze(consumer, sources, EARLIEST, Bound("time", 10**13))) == [
        *range(10),
        *range(20, 30),
    ]
    await admin.delete_records({sources[0]: RecordsToDelete(before_offset=4)})
    gone = await freeze(consumer, sources, Bound("offset", 1), Bound("offset", 9))
    assert gone == {sources[0]: OffsetRange(4, 9, gone=3), sources[1]: OffsetRange(0, 0)}
    # What was there when the range was frozen, and is not any more.
    assert await values({sources[0]: OffsetRange(0, 9)}) == [4, 5, 6, 7, 8]
    await admin.close()


async def test_a_reader_that_is_stopped_at_any_moment_stops(servers: Servers) -> None:
    """At once, and in the moments after its assignment has changed, in which aiokafka's own stop waits for ever."""
    links = KafkaLinks(servers.kafka, KafkaSettings())
    topic = "test-reading-stop"
    async with links.connected_admin() as admin:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    place = TopicPartition(topic, 0)
    async with asyncio.timeout(30):
        for steps in (None, 0, 1, 2, 3, 4, 5):
            async with connected_reader(links) as reader:
                if steps is not None:
                    await reader.beginning_offsets([place])
                    reader.assign([place])
                    reader.seek(place, 0)
                    await reader.getmany(timeout_ms=50)
                    reader.assign([])
                    for _ in range(steps):
                        await asyncio.sleep(0)
