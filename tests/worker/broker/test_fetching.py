"""aiokafka's fetcher with our reading of what a broker answers; a broker that answers what the test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import consumer as aiokafka_consumer
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from tests.worker.raw_batches import Made, batch, marker
from worker.broker.clients import KafkaLinks
from worker.broker.fetching import TolerantFetcher, UnreadableBatchError
from worker.settings import load_settings

ONE, TWO = TopicPartition("posts", 0), TopicPartition("posts", 1)
OUT_OF_RANGE, CORRUPT, NOT_LEADER, REFUSED, STORAGE, UNKNOWN = 1, 2, 6, 29, 56, -1


class StatedBroker:
    """Answers fetches from the logs and errors that the test gives it."""

    def __init__(self) -> None:
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: 1)
        self.logs: dict[TopicPartition, list[tuple[int, bytes]]] = {}
        self.codes: dict[TopicPartition, int] = {}
        self.failing: list[KafkaError] = []
        self.asked = self.refreshed = 0
        self.most_batches = 100  # of one answer: what is behind them did not fit
        self._loop = asyncio.get_running_loop()
        self._metadata_max_age_ms = 30_000

    def put(self, source: TopicPartition, first: int, made: bytes) -> None:
        """Add a batch of three, or what takes its place, to a log."""
        self.logs.setdefault(source, []).append((first, made))

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        self.refreshed += 1
        done: asyncio.Future[bool] = self._loop.create_future()
        done.set_result(True)
        return done

    async def send(self, _node: int, request: Any) -> Any:
        self.asked += 1
        await asyncio.sleep(0.005)
        if self.failing:
            raise self.failing.pop()
        answers: list[Any] = []
        for topic, partitions in request.topics:
            for partition, offset, _ in partitions:
                source = TopicPartition(topic, partition)
                made = [made for first, made in self.logs.get(source, []) if first + 3 > offset]
                data = b"".join(made[: self.most_batches])
                answers.append((partition, self.codes.get(source, 0), 100, 100, 0, [], -1, data))
        return SimpleNamespace(API_VERSION=11, topics=[("posts", answers)])


class Case:
    """A fetcher, its positions and its broker."""

    def __init__(self) -> None:
        self.broker = StatedBroker()
        self.subscriptions = SubscriptionState()
        self.subscriptions.assign_from_user({ONE, TWO})
        for source in (ONE, TWO):
            self.seek(source, 0)
        self.fetcher = TolerantFetcher(
            self.broker, self.subscriptions, isolation_level="read_committed", auto_offset_reset="none"
        )

    def state(self, source: TopicPartition) -> Any:
        return self.subscriptions.subscription.assignment.state_value(source)

    def seek(self, source: TopicPartition, offset: int) -> None:
        self.state(source).seek(offset)

    async def fetch(self, max_records: int = 100) -> dict[TopicPartition, list[int]]:
        """Return the offsets that one call brings."""
        fetched = await self.fetcher.fetched_records([], timeout=1.0, max_records=max_records)
        return {source: [record.offset for record in records] for source, records in fetched.items()}


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    """Give a fetcher that runs."""
    case = Case()
    yield case
    await case.fetcher.close()


def sound(first: int, count: int = 3) -> bytes:
    """Return a batch that nothing is wrong with."""
    return batch([Made(b"x")] * count, first=first)


def damaged(first: int) -> bytes:
    """Return a batch whose last byte is another one."""
    made = sound(first)
    return made[:-1] + bytes([made[-1] ^ 1])


async def test_a_damaged_partition_takes_nothing_of_another_s(case: Case) -> None:
    """Both are fetched in one request: all sound records come, then the error that names partition and offset."""
    for first in (0, 3, 6):
        case.broker.put(ONE, first, sound(first))
    case.broker.put(TWO, 0, sound(0))
    case.broker.put(TWO, 3, damaged(3))
    case.broker.put(TWO, 6, sound(6))
    found: dict[TopicPartition, list[int]] = {ONE: [], TWO: []}
    told: list[UnreadableBatchError] = []
    while len(told) < 3 or len(found[ONE]) < 9:
        try:
            for source, offsets in (await case.fetch(max_records=2)).items():
                found[source] += offsets
        except UnreadableBatchError as error:
            told.append(error)
    assert {(error.source, error.offset) for error in told} == {(TWO, 3)}
    assert "posts[1]@3" in str(told[0])
    assert found == {ONE: list(range(9)), TWO: [0, 1, 2]}
    assert case.state(TWO).position == 3


@pytest.mark.parametrize("code", [CORRUPT, UNKNOWN])
async def test_a_broker_that_cannot_read_its_own_log_is_no_hot_loop(case: Case, code: int) -> None:
    """What the broker itself finds damaged is said like what we find; aiokafka asked again without end, in silence."""
    case.broker.codes[TWO] = code
    with pytest.raises(UnreadableBatchError, match="the broker says"):
        await case.fetch()
    case.broker.put(ONE, 0, sound(0))
    for _ in range(20):
        try:
            if (await case.fetch()).get(ONE) == [0, 1, 2]:
                return
        except UnreadableBatchError:
            continue
    raise AssertionError("the sound partition was not read")


async def test_errors_of_the_broker_keep_their_meaning(case: Case) -> None:
    """An offset out of range and a missing permission are raised, an old leader is looked up, others tried again."""
    case.broker.codes[ONE] = OUT_OF_RANGE
    with pytest.raises(OffsetOutOfRangeError) as told:
        await case.fetch()
    assert told.value.args == ({ONE: 0},)
    case.broker.codes[ONE] = REFUSED
    with pytest.raises((TopicAuthorizationFailedError, OffsetOutOfRangeError)):
        await case.fetch()
    for code in (NOT_LEADER, STORAGE):
        case.broker.codes[ONE] = code
        case.broker.asked = 0
        with suppress(KafkaError):
            await case.fetch()
        # One a back-off, not as many as a second holds.
        assert case.broker.asked < 20
    assert case.broker.refreshed
    case.broker.codes.clear()
    case.broker.failing = [KafkaConnectionError("gone")]
    case.broker.put(ONE, 0, sound(0))
    assert await case.fetch() == {ONE: [0, 1, 2]}


async def test_a_position_that_moved_meanwhile_drops_the_answer(case: Case) -> None:
    """What was asked for before a seek is not handed out after it."""
    case.broker.put(ONE, 0, sound(0))
    case.broker.put(ONE, 3, sound(3))
    await asyncio.sleep(0.002)
    case.seek(ONE, 3)
    assert await case.fetch() == {ONE: [3, 4, 5]}


async def test_a_large_batch_behind_a_marker_is_no_gap(case: Case) -> None:
    """It does not fit into the answer that begins with the marker; a lane that read that far wants it from there on."""
    case.broker.most_batches = 1
    case.broker.put(ONE, 0, sound(0))
    case.broker.put(ONE, 1, marker(producer=7, first=3, aborted=False))
    case.broker.put(ONE, 4, sound(4))
    found: list[tuple[int, int]] = []
    while len(found) < 6:
        fetched = await case.fetcher.fetched_records([], timeout=1.0, max_records=1)
        found += [(record.offset, record.read_from) for records in fetched.values() for record in records]
    assert found == [(0, 0), (1, 1), (2, 2), (4, 3), (5, 5), (6, 6)]
    # A lane that goes back to the marker reads the same.
    case.seek(ONE, 3)
    fetched = {}
    while ONE not in fetched:
        fetched = await case.fetcher.fetched_records([], timeout=1.0, max_records=1)
    assert [(record.offset, record.read_from) for record in fetched[ONE]] == [(4, 3)]


async def test_less_than_a_batch_moves_no_position(case: Case) -> None:
    """aiokafka went on behind the next offset here: one post was lost, whoever had written it."""
    case.broker.put(ONE, 0, sound(0)[:40])
    with pytest.raises(UnreadableBatchError):
        await case.fetch()
    assert case.state(ONE).position == 0


def test_every_consumer_reads_through_it() -> None:
    """The name that aiokafka's consumer makes its fetcher by is ours, once a consumer can be made."""
    assert aiokafka_consumer.Fetcher is TolerantFetcher
    assert "Fetcher" in AIOKafkaConsumer.start.__code__.co_names
    assert KafkaLinks("127.0.0.1:1", load_settings().kafka)
