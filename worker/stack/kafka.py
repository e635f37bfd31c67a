"""Apache Kafka in KRaft mode: one process that is broker and controller."""

import base64
import socket
import struct
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from worker.errors import FatalError
from worker.stack.java import find_class_path, find_java
from worker.stack.process import ServerProcess, free_ports

_START_SECONDS = 60.0
_API_VERSIONS = 18
_LOG_CONFIG = """\
Configuration:
  Appenders:
    File:
      name: F
      fileName: "${sys:kafka.log}"
      PatternLayout: {pattern: "%d %p %c{1} %m%n"}
  Loggers:
    Root: {level: info, AppenderRef: {ref: F}}
"""
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
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
log.cleaner.dedupe.buffer.size=4194304
"""


class KafkaServer(ServerProcess):
    """A broker in a folder.

    Args:
        folder: data, logs and mark.
        heap_megabytes: of the Java process.
        session_seconds: silence after which the controller fences the broker.
    """

    def __init__(self, folder: Path, *, heap_megabytes: int = 512, session_seconds: float = 9.0) -> None:
        super().__init__("kafka", folder)
        self._folder = folder
        self._heap_megabytes = heap_megabytes
        self._session_seconds = session_seconds

    @property
    def address(self) -> str | None:
        """host:port, or None where it is not running."""
        return f"127.0.0.1:{self.ports[0]}" if self.ports else None

    def up(self, say: Callable[[str], None]) -> None:
        """Start the broker, with the data and on the ports of the last time if there are any, and wait for it.

        Raises:
            FatalError: it does not start.
        """
        java = [find_java(), f"-Xmx{self._heap_megabytes}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        java += [f"-Dlog4j2.configurationFile={self._folder / 'log4j2.yaml'}", f"-Dkafka.log={self.log_path}"]
        java += ["-cp", find_class_path(say)]
        properties = self._folder / "server.properties"
        if not properties.exists():
            self._format(java, properties)
        ports = self._configured_ports(properties)
        say("starting Kafka …")
        self.start([*java, "kafka.Kafka", str(properties)], ports)
        self.wait_until(lambda: answers_kafka(f"127.0.0.1:{ports[0]}"), _START_SECONDS)

    def _format(self, java: list[str], properties: Path) -> None:
        port, controller_port = free_ports(2)
        (self._folder / "log4j2.yaml").write_text(_LOG_CONFIG, encoding="utf-8")
        text = _PROPERTIES.format(
            port=port,
            controller_port=controller_port,
            data=self._folder / "kafka-data",
            session_ms=round(self._session_seconds * 1000),
        )
        draft = properties.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
        done = subprocess.run(  # noqa: S603
            [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(draft), "--standalone"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise FatalError(f"Kafka's data folder cannot be formatted: {(done.stderr or done.stdout).strip()[-500:]}")
        # Renamed last: a folder with this file is formatted.
        draft.rename(properties)

    @staticmethod
    def _configured_ports(properties: Path) -> tuple[int, int]:
        line = next(
            line for line in properties.read_text(encoding="utf-8").splitlines() if line.startswith("listeners=")
        )
        broker, controller = (int(part.rsplit(":", 1)[1]) for part in line.split(","))
        return broker, controller


def answers_kafka(address: str) -> bool:
    """Return whether a broker at host:port answers an ApiVersions request."""
    host, port = address.rsplit(":", 1)
    request = struct.pack(">hhih", _API_VERSIONS, 0, 1, -1)
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(10)) == 10
    except OSError:
        return False
