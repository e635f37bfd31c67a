"""Topics, groups, ports and servers that are set up wrong, each for real: named once, with the remedy."""

from collections.abc import Awaitable, Callable

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete

from tests.tiers import rest_soaks
from tests.worker.commands.doctor.conftest import Doctor, Place, check, settings_of
from tests.worker.commands.doctor.helpers import (
    PARTITIONS,
    closed_port,
    make_topics,
    member,
    silent_port,
)
from tests.worker.system import administrator, stand_at
from worker.broker.group_members import Deployment

Break = Callable[[Place], Awaitable[dict[str, str]]]


async def no_topics(_: Place) -> dict[str, str]:
    return {}


async def too_few_partitions(place: Place) -> dict[str, str]:
    await make_topics(place.stream, sarcasm=NewTopic(place.stream.label_topic("sarcasm"), 1, 1))
    return {}


async def _configured_labels(place: Place, configs: dict[str, str]) -> dict[str, str]:
    topic = NewTopic(place.stream.label_topic("sarcasm"), PARTITIONS, 1, topic_configs=configs)
    await make_topics(place.stream, sarcasm=topic)
    return {}


async def compacted_labels(place: Place) -> dict[str, str]:
    return await _configured_labels(place, {"cleanup.policy": "compact"})


async def tiny_labels(place: Place) -> dict[str, str]:
    return await _configured_labels(place, {"max.message.bytes": "500"})


async def small_dead_letters(place: Place) -> dict[str, str]:
    await make_topics(
        place.stream, dead=NewTopic(place.stream.dead, PARTITIONS, 1, topic_configs={"max.message.bytes": "1000000"})
    )
    return {}


async def too_few_in_sync(place: Place) -> dict[str, str]:
    return await _configured_labels(place, {"min.insync.replicas": "2"})


async def long_transactions(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    return {"KAFKA__TRANSACTION_TIMEOUT_SECONDS": "1000"}


async def long_sessions(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    return {"KAFKA__SESSION_TIMEOUT_SECONDS": "3600"}


async def large_requests(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    return {"KAFKA__MAX_REQUEST_BYTES": str(2**28)}


async def another_deployment(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    other = Deployment(place.stream.posts, place.stream.dead, (("sarcasm", "elsewhere"),))
    await place.stack.enter_async_context(member(place.stream, other))
    return {}


async def a_name_in_use(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    await place.stack.enter_async_context(member(place.stream, place.deployment, "pod-1"))
    return {"KAFKA__GROUP_INSTANCE_ID": "pod-1"}


async def beyond_the_end(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    await stand_at(place.stream, 1000)
    return {}


async def posts_gone(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    await place.stream.feed([b"{}"] * 20, PARTITIONS)
    await stand_at(place.stream, 2)
    async with administrator(place.stream) as admin:
        await admin.delete_records({TopicPartition(place.stream.posts, 0): RecordsToDelete(before_offset=5)})
    return {}


async def posts_gone_and_stop(place: Place) -> dict[str, str]:
    return await posts_gone(place) | {"KAFKA__RECORDS_GONE": "stop"}


async def old_posts(place: Place) -> dict[str, str]:
    posts = NewTopic(place.stream.posts, PARTITIONS, 1, topic_configs={"retention.ms": "40"})
    await make_topics(place.stream, posts=posts)
    await place.stream.feed([b"{}"] * 4, PARTITIONS)
    return {}


async def a_taken_port(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    port = place.stack.enter_context(silent_port())
    return {"HTTP__PORT": str(port)}


async def a_foreign_address(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    return {"HTTP__HOST": "192.0.2.1"}


async def no_redis(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    return {"REDIS__URL": f"redis://127.0.0.1:{closed_port()}/0"}


async def a_redis_that_hangs(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    return {"REDIS__URL": f"redis://127.0.0.1:{place.stack.enter_context(silent_port())}/0"}


async def no_address(place: Place) -> dict[str, str]:
    await make_topics(place.stream)
    return {"REDIS__URL": "http://cache:6379"}


CASES: dict[str, tuple[Break, str, str, tuple[str, ...]]] = {
    "topics that are missing": (no_topics, "topics.exist", "failure", ("moderate topics create",)),
    "a topic with too few partitions": (too_few_partitions, "topics.partitions", "failure", ("has 1 partitions", "2")),
    "labels that are compacted": (compacted_labels, "topics.cleanup", "warning", ("cleanup.policy=delete", "sarcasm")),
    "a topic that takes no label": (tiny_labels, "topics.sizes", "failure", ("500 bytes", "max.message.bytes")),
    "dead letters in parts": (small_dead_letters, "topics.sizes", "warning", ("in parts", "max.message.bytes")),
    "too few replicas in sync": (too_few_in_sync, "topics.leaders", "failure", ("1 of 2", "min.insync.replicas")),
    "a transaction longer than the broker allows": (
        long_transactions, "transactions.timeout", "failure",
        ("900", "MODERATE_KAFKA__TRANSACTION_TIMEOUT_SECONDS", "transaction.max.timeout.ms")),
    "a session longer than the broker takes": (
        long_sessions, "group.session", "failure", ("1800", "MODERATE_KAFKA__SESSION_TIMEOUT_SECONDS")),
    "requests larger than the broker takes": (
        large_requests, "broker.requests", "failure", ("104857600", "MODERATE_KAFKA__MAX_REQUEST_BYTES")),
    "two deployments in one group": (
        another_deployment, "group.members", "failure", ("elsewhere", "MODERATE_KAFKA__GROUP_ID")),
    "a static name in use": (
        a_name_in_use, "group.static_name", "failure", ("pod-1", "MODERATE_KAFKA__GROUP_INSTANCE_ID")),
    "a group beyond the end": (beyond_the_end, "group.offsets", "failure", ("[0]", "--reset-offsets")),
    "posts that are gone": (posts_gone, "group.offsets", "warning", ("[0]", "retention.ms")),
    "posts that are gone, and the worker to stop": (
        posts_gone_and_stop, "group.offsets", "failure", ("[0]", "MODERATE_KAFKA__RECORDS_GONE=continue")),
    "posts that will be gone": (old_posts, "group.lag", "warning", ("4 offsets", "retention.ms")),
    "a port that is taken": (a_taken_port, "machine.port", "failure", ("is taken", "MODERATE_HTTP__PORT")),
    "an address of another machine": (
        a_foreign_address, "machine.port", "failure", ("192.0.2.1", "MODERATE_HTTP__HOST")),
    "a Redis that is down": (no_redis, "redis.address", "warning", ("refused", "MODERATE_REDIS__URL")),
    "a Redis that hangs": (a_redis_that_hangs, "redis.log_in", "warning", ("says nothing", "MODERATE_REDIS__URL")),
    "no address of a Redis": (no_address, "settings.values", "failure", ("MODERATE_REDIS__URL", "redis://host:port/db")),
}  # fmt: skip


QUICK = {
    "topics that are missing",
    "a topic with too few partitions",
    "two deployments in one group",
    "a Redis that is down",
}


@pytest.mark.parametrize("case", rest_soaks(CASES, QUICK))
async def test_servers(doctor: Doctor, place: Place, case: str) -> None:
    """What is wrong with topics, group, Redis or the port is named once, and stops nothing that does not need it."""
    break_it, name, status, words = CASES[case]
    settings = await break_it(place)
    check(await doctor(settings_of(place.stream, **settings)), name, status, *words)


async def test_a_healthy_system(doctor: Doctor, place: Place) -> None:
    """Where nothing is wrong, everything is ok."""
    await make_topics(place.stream)
    found = await doctor(settings_of(place.stream))
    assert {one["status"] for one in found.findings} == {"ok"}
    assert (found.code, found.summary["failures"], found.summary["would_run"]) == (0, 0, True)
