"""Apache Kafka in KRaft mode: one process that is broker and controller."""

import base64
import shutil
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from worker.commands.stack.cache import locked, make_folder
from worker.commands.stack.java import find_class_path, find_java, kafka_cache
from worker.commands.stack.server import Say
from worker.errors import FatalError

_ANSWER_SECONDS = 3.0
_API_VERSIONS = 18
_CORRELATION_ID = 1
_DATA = "kafka-data"
_TEMPORARY = "kafka-tmp"
_LOG_CONFIG = """\
Configuration:
  Appenders:
    File:
      name: F
      fileName: {name}.log
      PatternLayout: {pattern: "%d %p %c{1} %m%n"}
  Loggers:
    Root: {level: info, AppenderRef: {ref: F}}
"""
# Paths are relative to the folder, which is the working directory: Java reads this file as Latin-1, and a comma
# would make two folders of one. Posts may be older than any retention time, hence only one by size.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
log.retention.ms=-1
log.retention.bytes=1073741824
log.segment.bytes=134217728
log.cleaner.dedupe.buffer.size=4194304
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
broker.session.timeout.ms={session_ms}
broker.heartbeat.interval.ms=500
"""


class KafkaRecipe:
    """A broker on localhost.

    Args:
        heap_megabytes: of the Java process.
        session_seconds: silence after which the controller fences the broker. After a crash it waits this long for
            its own old registration; after a longer pause it has to register anew.
        properties: more of the broker's settings, and others in the place of ours.
    """

    name: str = "kafka"
    port_count = 2
    files: tuple[str, ...] = (
        _DATA,
        f"{_DATA}.draft",
        _TEMPORARY,
        "server.properties",
        "log4j2.yaml",
        "kafka-crash.log",
    )

    def __init__(
        self,
        *,
        heap_megabytes: int = 512,
        session_seconds: float = 9.0,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.start_seconds = 60.0 + session_seconds
        self._heap_megabytes = heap_megabytes
        self._session_seconds = session_seconds
        self._more = "".join(f"{name}={value}\n" for name, value in (properties or {}).items())

    def address(self, ports: tuple[int, ...]) -> str:
        """Return host:port."""
        return f"127.0.0.1:{ports[0]}"

    def prepare(self, folder: Path, ports: tuple[int, ...], say: Say) -> list[str]:
        """Write the settings, and a formatted data folder where there is none; return the command."""
        java, class_path = find_java(), find_class_path(say)
        properties = self._properties(ports)
        if not (folder / _DATA).exists():
            formatted = _formatted([java, "-XX:TieredStopAtLevel=1", "-cp", class_path], properties, say)
            with make_folder(folder / _DATA) as draft:
                shutil.copytree(formatted, draft, dirs_exist_ok=True)
                self._make_own(draft)
        (folder / "server.properties").write_text(properties + self._more, encoding="utf-8")
        (folder / "log4j2.yaml").write_text(_LOG_CONFIG.replace("{name}", self.name), encoding="utf-8")
        # Native libraries are unpacked there, and a crash would leave them behind.
        (folder / _TEMPORARY).mkdir(exist_ok=True)
        return [
            java,
            f"-Xmx{self._heap_megabytes}m",
            # Half the start time of the defaults, which are made for larger machines.
            *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
            *("-XX:+ExitOnOutOfMemoryError", "-XX:ErrorFile=kafka-crash.log"),
            f"-Djava.io.tmpdir={folder / _TEMPORARY}",
            "-Dlog4j2.configurationFile=log4j2.yaml",
            *("-cp", class_path, "kafka.Kafka", "server.properties"),
        ]

    def answers(self, address: str) -> bool:
        """Return whether it answers a request."""
        return answers_kafka(address)

    def _make_own(self, data: Path) -> None:
        """Change in a copied data folder what another broker must not have too; one alone has nothing such."""

    def _properties(self, ports: tuple[int, ...]) -> str:
        port, controller_port = ports
        return _PROPERTIES.format(
            port=port, controller_port=controller_port, data=_DATA, session_ms=round(self._session_seconds * 1000)
        )


def _formatted(java: list[str], properties: str, say: Say) -> Path:
    """Return an empty broker's data folder, to be copied: formatting takes a second and says nothing of ports."""
    target = kafka_cache() / "formatted"
    with locked(target.with_suffix(".lock"), say):
        if target.exists():
            return target
        with make_folder(target) as draft:
            settings = draft / "server.properties"
            settings.write_text(properties.replace(f"log.dirs={_DATA}", "log.dirs=."), encoding="utf-8")
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
            done = subprocess.run(  # noqa: S603
                [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", settings.name],
                cwd=draft,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                said = (done.stderr or done.stdout).strip()[-500:]
                raise FatalError(f"a data folder for Kafka cannot be formatted: {said}")
            settings.unlink()
    return target


def answers_kafka(address: str, *, tls: bool = False) -> bool:
    """Return whether a broker at host:port answers an ApiVersions request; with `tls`, whether its port accepts."""
    host, _, port = address.strip().rpartition(":")
    request = struct.pack(">hhih", _API_VERSIONS, 0, _CORRELATION_ID, -1)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS) as connection:
            if tls:
                return True
            connection.settimeout(_ANSWER_SECONDS)
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(8)
            return answer[4:] == struct.pack(">i", _CORRELATION_ID)
    except (OSError, ValueError):
        return False
