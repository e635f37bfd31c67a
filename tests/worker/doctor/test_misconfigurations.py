"""Misconfigurations, each made for real: the doctor names it in one line, with the remedy, and blames nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete
from redis import Redis
from redis.exceptions import OutOfMemoryError

from tests.worker.checkpoints import recalibrated
from tests.worker.doctor.conftest import Diagnosis, Doctor, Secured, logged_in, settings_of
from tests.worker.doctor.helpers import (
    PARTITIONS,
    administrator,
    closed_port,
    make_topics,
    member,
    silent_port,
    stand_at,
)
from tests.worker.doctor.secured import GROUP, READ, TOPIC, TRANSACTIONAL_ID, WRITE, rule
from tests.worker.redis_servers import address_of, served
from tests.worker.system import TASKS, Stream
from worker.deployment import Deployment
from worker.doctor.machine import Machine
from worker.stack.server import Server

MODEL = "settings,checkpoint,machine.device,machine.threads"


@dataclass
class Place:
    """What a case may break."""

    stream: Stream
    folder: Path
    stack: AsyncExitStack

    @property
    def deployment(self) -> Deployment:
        """What a worker of the stream reads and writes."""
        routes = tuple(sorted((task, self.stream.label_topic(task)) for task in TASKS))
        return Deployment(self.stream.posts, self.stream.dead, routes)


@pytest.fixture
async def place(stream: Stream, tmp_path: Path) -> AsyncIterator[Place]:
    """Give a stream's names and what ends with the test."""
    async with AsyncExitStack() as stack:
        yield Place(stream, tmp_path, stack)


def check(found: Diagnosis, name: str, status: str, *words: str) -> None:
    """Check that one thing is named, in one line and with its remedy, and that nothing else is blamed for it."""
    assert found.bad() == [(name, status)], found.findings
    (finding,) = [one for one in found.of(name) if one["status"] == status]
    assert "\n" not in finding["says"] + finding["remedy"]
    said = f"{finding['says']} → {finding['remedy']}"
    assert all(word in said for word in words), said
    assert any(word in finding["remedy"] for word in words), said
    assert found.code == (status == "failure")
    assert found.summary["would_run"] is (status != "failure")


SETTINGS = {
    "a value that is none": (
        {"HTTP__PORT": "http"}, "settings.values", "failure", ("MODERATE_HTTP__PORT", "'http'")),
    "a precision that there is not": (
        {"PRECISION": "int8"}, "settings.values", "failure", ("MODERATE_PRECISION", "bf16")),
    "a table that is no JSON": (
        {"KAFKA__ROUTES": "sarcasm=x"}, "settings.values", "failure", ("MODERATE_KAFKA__ROUTES", "JSON")),
    "a misspelt setting of a group": (
        {"KAFKA__GROUPID": "x"}, "settings.names", "failure", ("MODERATE_KAFKA__GROUPID", "MODERATE_KAFKA__GROUP_ID")),
    "a misspelt setting": (
        {"KAFKA_GROUP_ID": "x"}, "settings.names", "warning", ("MODERATE_KAFKA_GROUP_ID", "MODERATE_KAFKA__GROUP_ID")),
    "a log-in without a password": (
        {"KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "KAFKA__SASL_USERNAME": "worker"},
        "settings.security", "failure", ("MODERATE_KAFKA__SASL_PASSWORD",)),
    "a log-in that is not used": (
        {"KAFKA__SASL_USERNAME": "worker", "KAFKA__SASL_PASSWORD": "x"},
        "settings.security", "warning", ("MODERATE_KAFKA__SECURITY_PROTOCOL", "SASL_PLAINTEXT")),
    "no such certificate authority": (
        {"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_CAFILE": "/nowhere.pem"},
        "settings.security", "failure", ("MODERATE_KAFKA__SSL_CAFILE", "/nowhere.pem")),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
async def test_settings(doctor: Doctor, case: str) -> None:
    """What is wrong with the settings themselves is named before any server is asked."""
    settings, name, status, words = SETTINGS[case]
    found = await doctor({f"MODERATE_{key}": value for key, value in settings.items()}, only="settings")
    check(found, name, status, *words)


def at(address: str) -> dict[str, str]:
    """Return the setting that names a broker."""
    return {"MODERATE_KAFKA__BOOTSTRAP_SERVERS": address}


async def test_a_name_that_does_not_resolve(doctor: Doctor) -> None:
    """A host name that nobody knows is told from a server that is down."""
    check(await doctor(at("kafka.invalid:9092"), only="broker"), "broker.address", "failure",
          "kafka.invalid", "does not resolve", "MODERATE_KAFKA__BOOTSTRAP_SERVERS")  # fmt: skip


async def test_nobody_listens(doctor: Doctor) -> None:
    """A port that nothing listens on is refused."""
    port = closed_port()
    check(await doctor(at(f"127.0.0.1:{port}"), only="broker"), "broker.address", "failure",
          f"127.0.0.1:{port}", "refused", "MODERATE_KAFKA__BOOTSTRAP_SERVERS")  # fmt: skip


async def test_a_broker_that_hangs(doctor: Doctor) -> None:
    """A server that accepts connections and says nothing is told from one that refuses them."""
    with silent_port() as port:
        found = await doctor(at(f"127.0.0.1:{port}"), only="broker")
    check(found, "broker.transport", "failure", f"127.0.0.1:{port}", "says nothing", "MODERATE_KAFKA__BOOTSTRAP")


async def test_one_of_two_addresses(doctor: Doctor, place: Place) -> None:
    """One address of several that is wrong is a warning: the others do."""
    await make_topics(place.stream)
    port = closed_port()
    both = f"127.0.0.1:{port},{place.stream.servers.kafka}"
    found = await doctor(settings_of(place.stream) | at(both))
    check(found, "broker.address", "warning", f"127.0.0.1:{port}", "MODERATE_KAFKA__BOOTSTRAP_SERVERS")


async def test_something_else_answers(doctor: Doctor) -> None:
    """A server of another kind is no broker."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with served(answer) as url:
        found = await doctor(at(url.split("/")[2]), only="broker")
    check(found, "broker.transport", "failure", "no Kafka broker", "MODERATE_KAFKA__BOOTSTRAP_SERVERS")


TRANSPORTS = {
    "TLS to a plain listener": (
        "plain", {"SECURITY_PROTOCOL": "SSL"}, "broker.transport", ("speaks no TLS", "SECURITY_PROTOCOL=PLAINTEXT")),
    "plain to a TLS listener": (
        "tls", {}, "broker.transport", ("wants TLS", "SECURITY_PROTOCOL=SSL")),
    "a certificate of nobody's": (
        "tls", {"SECURITY_PROTOCOL": "SSL"}, "broker.transport", ("not trusted", "MODERATE_KAFKA__SSL_CAFILE")),
    "a log-in to a plain listener": (
        "plain", {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "worker",
                  "SASL_PASSWORD": "x"}, "broker.log_in", ("takes no log-in", "SECURITY_PROTOCOL=PLAINTEXT")),
    "no log-in where one is wanted": (
        "login", {}, "broker.log_in", ("wants a log-in", "SECURITY_PROTOCOL=SASL_PLAINTEXT")),
    "a mechanism that is not taken": (
        "login", {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "worker",
                  "SASL_PASSWORD": "x"}, "broker.log_in", ("SCRAM-SHA-512", "MODERATE_KAFKA__SASL_MECHANISM")),
    "a listener that leads nowhere": (
        "lost", {}, "broker.nodes", ("broker.invalid", "advertised.listeners")),
}  # fmt: skip


@pytest.mark.parametrize("case", TRANSPORTS)
async def test_transports(doctor: Doctor, secured: Secured, case: str) -> None:
    """Transport and log-in that do not fit the listener are told from each other."""
    listener, settings, name, words = TRANSPORTS[case]
    given = at(getattr(secured, listener)) | {f"MODERATE_KAFKA__{key}": value for key, value in settings.items()}
    check(await doctor(given, only="broker"), name, "failure", *words)


async def test_a_wrong_password(doctor: Doctor, own: Stream, secured: Secured) -> None:
    """A log-in that is refused names the user, never the password."""
    found = await doctor(logged_in(own, secured, KAFKA__SASL_PASSWORD="wrong-one"), only="broker")  # noqa: S106
    (warned, named) = found.bad()
    assert (warned, named) == (("settings.security", "warning"), ("broker.log_in", "failure"))
    assert "MODERATE_KAFKA__SASL_PASSWORD" in found.of("broker.log_in")[0]["remedy"]
    assert "wrong-one" not in json.dumps(found.findings)


async def test_a_trusted_certificate(doctor: Doctor, own: Stream, secured: Secured) -> None:
    """A listener with TLS and the right certificate authority passes."""
    tls = {"MODERATE_KAFKA__SECURITY_PROTOCOL": "SSL", "MODERATE_KAFKA__SSL_CAFILE": str(secured.certificate)}
    found = await doctor(settings_of(own) | at(secured.tls) | tls, only="broker")
    assert (found.bad(), found.code) == ([], 0)


PERMISSIONS = {
    "permissions.describe": (TOPIC, "{posts}", 8),
    "permissions.read": (TOPIC, "{posts}", READ),
    "permissions.write": (TOPIC, "{labels}", WRITE),
    "permissions.group": (GROUP, "{group}", READ),
    "permissions.transactional_id": (TRANSACTIONAL_ID, "{group}:{posts}:1", WRITE),
}


@pytest.mark.parametrize("name", PERMISSIONS)
async def test_permissions(doctor: Doctor, own: Stream, secured: Secured, name: str) -> None:
    """What the broker refuses is named with the resource, and the operation that has to be granted."""
    kind, resource, operation = PERMISSIONS[name]
    named = resource.format(posts=own.posts, labels=own.label_topic("sarcasm"), group=own.name)
    async with administrator(own) as admin:
        await rule(admin, kind, named, operation, allow=False)
    found = await doctor(logged_in(own, secured, KAFKA__SASL_MECHANISM="PLAIN"))
    (clear, refused) = found.bad()
    assert (clear, refused) == (("settings.security", "warning"), (name, "failure"))
    (finding,) = found.of(name)
    assert named in finding["says"]
    assert "grant" in finding["remedy"]
    assert found.code == 1


async def test_a_permitted_user(doctor: Doctor, own: Stream, secured: Secured) -> None:
    """READ on posts and group, WRITE and DESCRIBE_CONFIGS on the outputs, WRITE on the ids are enough."""
    found = await doctor(logged_in(own, secured))
    assert found.bad() == [("settings.security", "warning")]
    assert found.of("transactions.begin")[0]["status"] == "ok"


async def test_a_transaction_longer_than_a_hidden_limit(doctor: Doctor, own: Stream, secured: Secured) -> None:
    """Where this user may not see the broker's settings, a transaction that is tried finds the limit."""
    found = await doctor(logged_in(own, secured, KAFKA__TRANSACTION_TIMEOUT_SECONDS="1000"))
    assert found.bad()[1:] == [("transactions.begin", "failure")]
    assert "MODERATE_KAFKA__TRANSACTION_TIMEOUT_SECONDS" in found.of("transactions.begin")[0]["remedy"]


Break = Callable[[Place], Awaitable[dict[str, str]]]


async def no_topics(_: Place) -> dict[str, str]:
    return {}


async def too_few_partitions(place: Place) -> dict[str, str]:
    await make_topics(place.stream, sarcasm=NewTopic(place.stream.label_topic("sarcasm"), 1, 1))
    return {}


async def compacted_labels(place: Place) -> dict[str, str]:
    configs = {"cleanup.policy": "compact"}
    await make_topics(
        place.stream, sarcasm=NewTopic(place.stream.label_topic("sarcasm"), PARTITIONS, 1, topic_configs=configs)
    )
    return {}


async def tiny_labels(place: Place) -> dict[str, str]:
    configs = {"max.message.bytes": "500"}
    await make_topics(
        place.stream, sarcasm=NewTopic(place.stream.label_topic("sarcasm"), PARTITIONS, 1, topic_configs=configs)
    )
    return {}


async def small_dead_letters(place: Place) -> dict[str, str]:
    await make_topics(
        place.stream, dead=NewTopic(place.stream.dead, PARTITIONS, 1, topic_configs={"max.message.bytes": "1000000"})
    )
    return {}


async def too_few_in_sync(place: Place) -> dict[str, str]:
    configs = {"min.insync.replicas": "2"}
    await make_topics(
        place.stream, sarcasm=NewTopic(place.stream.label_topic("sarcasm"), PARTITIONS, 1, topic_configs=configs)
    )
    return {}


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
    "no address of a Redis": (no_address, "redis.address", "failure", ("http://cache", "redis://host:port/db")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_servers(doctor: Doctor, place: Place, case: str) -> None:
    """What is wrong with topics, group, Redis or the port is named once, and stops nothing that does not need it."""
    break_it, name, status, words = CASES[case]
    settings = await break_it(place)
    check(await doctor(settings_of(place.stream, **settings)), name, status, *words)


async def test_a_redis_with_a_password(doctor: Doctor, redis: Server) -> None:
    """A password that is missing or wrong is told, the one that was given never shown."""
    with Redis.from_url(address_of(redis)) as client:
        client.config_set("requirepass", "sesame")
    url = address_of(redis)
    check(await doctor({"MODERATE_REDIS__URL": url}, only="redis"), "redis.log_in", "warning",
          "Authentication required", "MODERATE_REDIS__URL")  # fmt: skip
    wrong = url.replace("//", "//:wrong-one@")
    found = await doctor({"MODERATE_REDIS__URL": wrong}, only="redis")
    check(found, "redis.log_in", "warning", "MODERATE_REDIS__URL")
    assert "wrong-one" not in json.dumps(found.findings)
    right = await doctor({"MODERATE_REDIS__URL": url.replace("//", "//:sesame@")}, only="redis")
    assert (right.bad(), right.code) == ([], 0)
    assert "sesame" not in json.dumps(right.findings)


def fill(client: Redis) -> None:
    """Write entries until there is no room."""
    for number in count():
        client.set(f"mmorient:{number}", b"x" * 10_000)


async def test_a_full_redis(doctor: Doctor, redis: Server) -> None:
    """One that is full and evicts nothing stores nothing."""
    with Redis.from_url(address_of(redis)) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        with pytest.raises(OutOfMemoryError):
            fill(client)
    check(await doctor({"MODERATE_REDIS__URL": address_of(redis)}, only="redis"), "redis.memory", "warning",
          "it is full", "maxmemory-policy", "allkeys-lru")  # fmt: skip


async def test_a_redis_of_somebody_elses(doctor: Doctor, redis: Server) -> None:
    """Keys of others are counted; a user that may write nothing, and a replica, are told."""
    url = address_of(redis)
    with Redis.from_url(url) as client:
        client.set("session:1", b"x")
        check(await doctor({"MODERATE_REDIS__URL": url}, only="redis"), "redis.keys", "warning",
              "1 of 1 keys", "MODERATE_REDIS__URL")  # fmt: skip
        client.flushall()
        client.acl_setuser("reader", enabled=True, passwords=["+sesame"], keys=["*"], commands=["+@read", "+ping"])
        reader = url.replace("//", "//reader:sesame@")
        check(await doctor({"MODERATE_REDIS__URL": reader}, only="redis"), "redis.write", "warning", "SET")
        client.replicaof("127.0.0.1", closed_port())
        found = await doctor({"MODERATE_REDIS__URL": url}, only="redis.write")
        check(found, "redis.write", "warning", "replica", "master")


async def test_checkpoints(doctor: Doctor, tmp_path: Path) -> None:
    """A checkpoint that is not there, and one with a flipped byte, are named with the file."""
    found = await doctor({"MODERATE_CHECKPOINT": str(tmp_path / "none")}, only="checkpoint")
    check(found, "checkpoint.folder", "failure", "config.json", "MODERATE_CHECKPOINT")
    folder = recalibrated(tmp_path / "broken")
    head = folder / "head.safetensors"
    content = bytearray(head.read_bytes())
    content[-1] ^= 1
    head.unlink()
    head.write_bytes(content)
    found = await doctor({"MODERATE_CHECKPOINT": str(folder)}, "--timeout", "120", only="checkpoint")
    check(found, "checkpoint.model", "failure", "head.safetensors", "sha256", "MODERATE_CHECKPOINT")


async def test_a_device_that_is_not_there(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is asked for and not found is named; more threads than a container has processors as well."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(Machine, "processors", 0.5)
    found = await doctor({"MODERATE_DEVICE": "cuda"}, "--timeout", "120", only=MODEL)
    assert found.bad() == [("machine.device", "failure"), ("machine.threads", "warning")]
    assert "MODERATE_DEVICE=cpu" in found.of("machine.device")[0]["remedy"]
    assert "OMP_NUM_THREADS=1" in found.of("machine.threads")[0]["remedy"]
    assert found.of("checkpoint.model")[0]["says"] == "needs machine.device"


async def test_a_healthy_system(doctor: Doctor, place: Place) -> None:
    """Where nothing is wrong, everything is ok."""
    await make_topics(place.stream)
    found = await doctor(settings_of(place.stream))
    assert {one["status"] for one in found.findings} == {"ok"}
    assert (found.code, found.summary["failures"], found.summary["would_run"]) == (0, 0, True)
