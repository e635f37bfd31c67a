"""The brokers: does each address answer, is it a Kafka that can be used, does every node of the cluster?"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code

from worker.commands.doctor.dialling import Dialled, Node, dial, reach
from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, failure, listed, ok, warning
from worker.commands.doctor.links import DoctorLinks
from worker.commands.doctor.trouble import Step

_SERVERS = "MODERATE_KAFKA__BOOTSTRAP_SERVERS"
# Newest metadata.version that a release knows (org.apache.kafka.server.common.MetadataVersion).
_RELEASES = ((21, "3.9"), (25, "4.0"), (27, "4.1"), (29, "4.2"), (30, "4.3"))
_SKIPS_MARKERS = "4.3"
_NODES_ENOUGH = 3
# What aiokafka asks in version 0 and in no other: the transactions.
_VERSION_0 = {
    22: "InitProducerId",
    24: "AddPartitionsToTxn",
    25: "AddOffsetsToTxn",
    26: "EndTxn",
    28: "TxnOffsetCommit",
}
_SETTINGS = (
    "transaction.max.timeout.ms",
    "group.min.session.timeout.ms",
    "group.max.session.timeout.ms",
    "offsets.retention.minutes",
    "socket.request.max.bytes",
)
_CLOSE_SECONDS = 1.0


class Broker:
    """Looks at the addresses and what is behind them, and holds the clients that later checks ask with.

    Args:
        links: makes clients; None where no broker is named.
        nowhere: why none is named.
    """

    def __init__(self, links: DoctorLinks | None, nowhere: str = "") -> None:
        self._links = links
        self._nowhere = nowhere
        self._dialled: list[Dialled] = []
        self._client: AIOKafkaClient | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._settings: dict[str, int] | None = None
        self._turn = asyncio.Lock()  # checks that run side by side make one client, not two

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        return [
            Check("broker.address", self._address, needs=("settings.security",), seconds=15),
            Check("broker.transport", self._transport, needs=("broker.address",)),
            Check("broker.log_in", self._log_in, needs=("broker.transport",)),
            Check("broker.version", self._version, needs=("broker.log_in",)),
            Check("broker.nodes", self._nodes, needs=("broker.log_in",)),
            Check("broker.requests", self._requests, needs=("broker.nodes",)),
        ]

    @property
    def links(self) -> DoctorLinks:
        """What makes clients; only behind `broker.address`."""
        if self._links is None:
            raise RuntimeError("no broker is named")
        return self._links

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The brokers of the cluster; only behind `broker.log_in`."""
        return next((dialled.nodes for dialled in self._dialled if dialled.trouble is None), ())

    async def client(self) -> AIOKafkaClient:
        """Return a connected client for requests of any kind; only behind `broker.nodes`."""
        async with self._turn:
            if self._client is None:
                client = self.links.client()
                await client.bootstrap()
                self._client = client
            return self._client

    async def admin(self) -> AIOKafkaAdminClient:
        """Return a connected administrator; only behind `broker.nodes`."""
        async with self._turn:
            if self._admin is None:
                admin = self.links.admin()
                await admin.start()
                self._admin = admin
            return self._admin

    async def settings(self) -> dict[str, int]:
        """Return settings of a broker that are numbers, by name; empty where this user may not see them."""
        if self._settings is None:
            admin = await self.admin()
            name = str(self.nodes[0].number)
            wanted = ConfigResource(ConfigResourceType.BROKER, name, configs=dict.fromkeys(_SETTINGS))
            found: dict[str, int] = {}
            with suppress(KafkaError):
                for answer in await admin.describe_configs([wanted]):
                    for code, _, _, _, entries in answer.resources:
                        for entry, value, *_ in entries if not code else ():
                            if entry in _SETTINGS and value is not None:
                                found[entry] = int(value)
            self._settings = found
        return self._settings

    async def close(self) -> None:
        """Let the clients go."""
        for client in (self._client, self._admin):
            with suppress(TimeoutError, KafkaError, OSError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    if client is not None:
                        await client.close()

    async def _address(self) -> Sequence[Outcome]:
        if self._links is None:
            return [failure(self._nowhere, f"set {_SERVERS}, or start the local servers with `moderate stack up`")]
        addresses = [one.strip() for one in self._links.bootstrap_servers.split(",") if one.strip()]
        self._dialled = await asyncio.gather(*(dial(address, self.links) for address in addresses))
        outcomes = self._at("address", lambda one: f"{one.address} accepts connections")
        clusters = {one.cluster for one in self._dialled if one.cluster}
        if len(clusters) > 1:
            outcomes.append(
                failure(f"the addresses are of {len(clusters)} clusters", f"name one cluster in {_SERVERS}")
            )
        return outcomes

    async def _transport(self) -> Sequence[Outcome]:
        protocol = self.links.settings.security_protocol
        return self._at("transport", lambda one: f"{one.address} speaks Kafka over {protocol}")

    async def _log_in(self) -> Sequence[Outcome]:
        settings = self.links.settings
        name = settings.sasl_username if settings.security_protocol.startswith("SASL") else None
        who = f"as {name}" if name else "without a log-in"
        if settings.security_protocol.startswith("SASL") and settings.sasl_mechanism == "OAUTHBEARER":
            who = "by a token"
        return self._at("log_in", lambda one: f"{one.address} takes requests {who}")

    def _at(self, step: Step, says: Callable[[Dialled], str]) -> list[Outcome]:
        """Return what became of a step at each address that came so far: a failure only where none came further."""
        steps = ("address", "transport", "log_in")
        here = [
            one for one in self._dialled if one.trouble is None or steps.index(one.trouble.step) >= steps.index(step)
        ]
        through = [one for one in here if one.trouble is None or one.trouble.step != step]
        bad = failure if not through else warning
        return [
            bad(one.trouble.says, one.trouble.remedy)
            if one.trouble is not None and one.trouble.step == step
            else ok(says(one))
            for one in here
        ]

    async def _version(self) -> Sequence[Outcome]:
        found = next(one for one in self._dialled if one.trouble is None)
        spoken = found.versions
        lacking = [name for number, name in _VERSION_0.items() if spoken and spoken.get(number, (1, 1))[0] > 0]
        if lacking:
            return [
                failure(
                    f"the broker does not speak version 0 of {listed(lacking)}, which transactions need here",
                    "run Kafka 4.2 brokers, or another release that still speaks it",
                )
            ]
        level = found.metadata_level
        if level is None:
            return [ok("the broker does not say which release it is")]
        place = bisect_right(_RELEASES, (level, "~"))
        release = _RELEASES[place - 1][1] if place else "before 3.9"
        newer = level > _RELEASES[-1][0]
        said = f"Kafka {release}{' or newer' if newer else ''} (metadata.version {level})"
        if release == _SKIPS_MARKERS and not newer and len(self.nodes) < _NODES_ENOUGH:
            return [
                warning(
                    f"{said}: 4.3.0 skips commit markers of partitions without a leader, posts may be labelled twice",
                    "run Kafka 4.2, or three brokers and replication factor 3",
                )
            ]
        return [ok(said)]

    async def _nodes(self) -> Sequence[Outcome]:
        nodes = self.nodes
        lost = await asyncio.gather(*(reach(node.host, node.port, setting=_SERVERS) for node in nodes))
        bad = [
            failure(
                f"broker {node.number} tells clients to find it where they cannot: {trouble[0]}",
                f"correct advertised.listeners of broker {node.number} to an address that this machine reaches",
            )
            for node, trouble in zip(nodes, lost, strict=True)
            if trouble
        ]
        return bad or [ok(f"{len(nodes)} broker{'s' * (len(nodes) > 1)}, reached at {listed(nodes)}")]

    async def _requests(self) -> Outcome:
        largest = (await self.settings()).get("socket.request.max.bytes")
        wanted = self.links.settings.max_request_bytes
        if largest is None:
            return ok("this user may not see the broker's settings: limits are found out by trying")
        if wanted > largest:
            return failure(
                f"the broker ends connections over requests of more than {largest} bytes, ours may have {wanted}",
                f"set MODERATE_KAFKA__MAX_REQUEST_BYTES to {largest} at most, or raise socket.request.max.bytes",
            )
        return ok(f"requests of {wanted} bytes are taken")


def name_of(code: int) -> str:
    """Return what a number in an answer means."""
    return str(for_code(code).__name__)
