"""One address of a broker, step by step: name, port, transport, log-in. The first step that fails says why."""

import asyncio
import io
import socket
import ssl
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from aiokafka.errors import (
    KafkaError,
)
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import CompactString, Int16, Int32, TaggedFields, UnsignedVarInt32

from worker.commands.doctor.links import DoctorLinks
from worker.commands.doctor.trouble import PROTOCOL, SERVERS, Trouble, certificate_trouble, log_in_trouble
from worker.commands.stack.kafka import answers_kafka

DEFAULT_PORT = 9092
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 3.0
_API_VERSIONS, _FLEXIBLE = 18, 3
_FEATURES_TAG = 0


@dataclass(frozen=True)
class Node:
    """A broker where it tells clients to find it."""

    number: int
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Dialled:
    """What an address came to.

    Args:
        address: host:port.
        trouble: None where it can be used.
        versions: oldest and newest version that the broker speaks, by number of the request.
        metadata_level: newest `metadata.version` that the broker knows; None where it does not say.
        nodes: brokers of the cluster.
        cluster: its id.
    """

    address: str
    trouble: Trouble | None = None
    versions: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    metadata_level: int | None = None
    nodes: tuple[Node, ...] = ()
    cluster: str | None = None


def split_address(address: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
        ValueError: there is no port number where one should be.
    """
    host, colon, port = address.strip().rpartition(":")
    if not colon or address.strip().endswith("]"):
        return address.strip().strip("[]"), DEFAULT_PORT
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(f"{port!r} is not a port")
    return host.strip("[]"), int(port)


async def reach(host: str, port: int, *, setting: str) -> tuple[str, str] | None:
    """Resolve a name and connect; return what goes wrong and the remedy, None where nothing does.

    Args:
        host, port: where to.
        setting: variable that names it.
    """
    where = f"{host}:{port}"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return f"{where}: the name {host} does not resolve", f"correct the host name in {setting}, or the machine's DNS"
    except TimeoutError:
        return f"{where}: the name {host} is not resolved in time", "see whether the machine's DNS server answers"
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return (
            f"{where}: no connection within {_CONNECT_SECONDS:.0f} s",
            f"let firewall and NetworkPolicy allow port {port} of {host}, or correct {setting}",
        )
    except ConnectionRefusedError:
        return f"{where}: the connection is refused", f"start the server there, or correct the port in {setting}"
    except OSError as error:
        return f"{where}: {error.strerror or error}", f"see whether this machine has a way to {host}"
    writer.close()
    return None


async def dial(address: str, links: DoctorLinks) -> Dialled:
    """Return what becomes of the attempt to use one address."""
    try:
        host, port = split_address(address)
    except ValueError as error:
        return Dialled(address, Trouble("address", f"{address}: {error}", f"write {SERVERS} as host:port,…"))
    if lost := await reach(host, port, setting=SERVERS):
        return Dialled(address, Trouble("address", *lost))
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            versions, level = await _ask_versions(host, port, links.ssl_context)
    except (OSError, EOFError, ValueError, struct.error, TimeoutError) as error:
        return Dialled(address, await _transport_trouble(host, port, links, error))
    try:
        nodes, cluster = await _log_in(host, port, links)
    except (KafkaError, OSError, TimeoutError) as error:
        return Dialled(address, log_in_trouble(f"{host}:{port}", links, error), versions, level)
    return Dialled(address, None, versions, level, nodes, cluster)


async def _ask_versions(
    host: str, port: int, context: ssl.SSLContext | None
) -> tuple[dict[int, tuple[int, int]], int | None]:
    """Ask what the broker speaks, which it tells before any log-in, in a version whose answer names features."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        name = CompactString("utf-8")
        head = struct.pack(">hhih", _API_VERSIONS, _FLEXIBLE, 1, -1) + TaggedFields.encode({})
        message = head + name.encode("moderate-doctor") + name.encode("1") + TaggedFields.encode({})
        writer.write(Int32.encode(len(message)) + message)
        size = Int32.decode(io.BytesIO(await reader.readexactly(4)))
        if not 6 <= size < 2**20:
            raise ValueError("no answer of a Kafka broker")
        return _read_versions(await reader.readexactly(size))
    finally:
        writer.close()


def _read_versions(answer: bytes) -> tuple[dict[int, tuple[int, int]], int | None]:
    data = io.BytesIO(answer)
    if Int32.decode(data) != 1:
        raise ValueError("no answer of a Kafka broker")
    if Int16.decode(data):
        return {}, None  # an older broker: it says only that it does not know this version of the question
    versions = {}
    for _ in range(UnsignedVarInt32.decode(data) - 1):
        number, oldest, newest = (Int16.decode(data) for _ in range(3))
        TaggedFields.decode(data)
        versions[number] = (oldest, newest)
    Int32.decode(data)
    features = io.BytesIO(TaggedFields.decode(data).get(_FEATURES_TAG, b"\x01"))
    level = None
    for _ in range(UnsignedVarInt32.decode(features) - 1):
        name = CompactString("utf-8").decode(features)
        _, newest = (Int16.decode(features) for _ in range(2))
        TaggedFields.decode(features)
        level = newest if name == "metadata.version" else level
    return versions, level


async def _transport_trouble(host: str, port: int, links: DoctorLinks, error: BaseException) -> Trouble:
    where, protocol = f"{host}:{port}", links.settings.security_protocol
    if isinstance(error, TimeoutError):
        return Trouble(
            "transport",
            f"{where} accepts connections and says nothing",
            f"see whether that broker hangs, or correct the port in {SERVERS}",
        )
    if links.ssl_context is None:
        if await _speaks_tls(host, port):
            secure = protocol.replace("PLAINTEXT", "SSL")
            return Trouble("transport", f"{where} wants TLS, the transport is {protocol}", f"set {PROTOCOL}={secure}")
    elif (trouble := certificate_trouble(where, links, error)) is not None:
        return trouble
    elif await asyncio.to_thread(answers_kafka, f"{host}:{port}"):
        # Never "speak in the open, then": a listener without TLS may be the wrong one, or nobody's idea of a broker.
        return Trouble(
            "transport",
            f"{where} speaks no TLS, the transport is {protocol}",
            f"let {SERVERS} name the listener that speaks TLS (often another port), or give the broker one",
        )
    said = str(error) or type(error).__name__
    return Trouble(
        "transport", f"{where} answers as no Kafka broker does: {said}", f"correct host and port in {SERVERS}"
    )


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    # Nothing is sent: whose certificate it is does not matter here.
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.close()
            return True
    return False


async def _log_in(host: str, port: int, links: DoctorLinks) -> tuple[tuple[Node, ...], str | None]:
    patience = 2 * _ANSWER_SECONDS
    if links.settings.sasl_mechanism == "OAUTHBEARER":
        patience += links.settings.oauth_timeout_seconds
    async with asyncio.timeout(patience):
        connection = await links.connection(host, port, timeout_seconds=2 * _ANSWER_SECONDS)
        try:
            # No topic by name: a broker may make what it is asked about.
            said = (await connection.send(MetadataRequest([]))).to_object()
        finally:
            connection.close()
    nodes = tuple(Node(entry["node_id"], entry["host"], entry["port"]) for entry in said["brokers"])
    return nodes, said.get("cluster_id")
