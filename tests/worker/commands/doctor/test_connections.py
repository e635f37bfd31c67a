"""Settings, transports, log-ins and permissions that are wrong: named in one line, and nothing else is blamed."""

import asyncio
import json

import pytest

from tests.tiers import rest_soaks
from tests.worker.commands.doctor.conftest import Doctor, Place, Secured, check, logged_in, settings_of
from tests.worker.commands.doctor.helpers import closed_port, make_topics, silent_port
from tests.worker.commands.doctor.secured import GROUP, READ, TOPIC, TRANSACTIONAL_ID, WRITE, rule
from tests.worker.redis_servers import served
from tests.worker.system import Stream, administrator

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
    "white space around a password": (
        {"KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "KAFKA__SASL_USERNAME": "worker", "KAFKA__SASL_PASSWORD": "x y\n"},
        "settings.secrets", "warning", ("MODERATE_KAFKA__SASL_PASSWORD", "white space", "printf")),
    "white space around a user": (
        {"KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "KAFKA__SASL_USERNAME": " worker", "KAFKA__SASL_PASSWORD": "x y"},
        "settings.secrets", "warning", ("MODERATE_KAFKA__SASL_USERNAME", "white space")),
    "white space around a secret of Redis": (
        {"REDIS__SECRET": "0123456789abcdef "}, "settings.secrets", "warning", ("MODERATE_REDIS__SECRET", "echo")),
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
        "plain", {"SECURITY_PROTOCOL": "SSL"}, "broker.transport", ("speaks no TLS", "the listener that speaks TLS")),
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


@pytest.mark.parametrize("case", rest_soaks(TRANSPORTS, {"TLS to a plain listener"}))
async def test_transports(doctor: Doctor, secured: Secured, case: str) -> None:
    """Transport and log-in that do not fit the listener are told from each other."""
    listener, settings, name, words = TRANSPORTS[case]
    given = at(getattr(secured, listener)) | {f"MODERATE_KAFKA__{key}": value for key, value in settings.items()}
    check(await doctor(given, only="broker"), name, "failure", *words)


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
async def test_a_transport_that_does_not_fit_is_never_mended_by_speaking_in_the_open(
    doctor: Doctor, protocol: str
) -> None:
    """Whoever chose TLS is not told to send posts and passwords without it."""

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    log_in = {"MODERATE_KAFKA__SASL_USERNAME": "worker", "MODERATE_KAFKA__SASL_PASSWORD": "x"}
    async with served(hang) as url:
        given = at(url.split("/")[2]) | {"MODERATE_KAFKA__SECURITY_PROTOCOL": protocol} | log_in
        found = await doctor(given, only="broker")
    assert found.of("broker.transport")[0]["status"] == "failure"
    assert not [one for one in found.findings if "PLAINTEXT" in str(one["remedy"])]


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


@pytest.mark.parametrize("name", rest_soaks(PERMISSIONS, {"permissions.write"}))
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
