"""A broker with TLS and SCRAM log-in, with a certificate authority of its own."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.commands.stack.java import find_class_path, find_java
from worker.commands.stack.kafka import KafkaRecipe, answers_kafka
from worker.commands.stack.server import Server

_LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{0},CONTROLLER://127.0.0.1:{1},SECURE://127.0.0.1:{2}
advertised.listeners=PLAINTEXT://127.0.0.1:{0},SECURE://localhost:{2}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=broker.pem
"""


class SecuredRecipe(KafkaRecipe):
    """A broker whose third port asks for a log-in over TLS; its first is for whoever makes the users."""

    port_count = 3

    def answers(self, address: str) -> bool:
        """Return whether the open port answers, and the other accepts."""
        return answers_kafka(address)

    def _properties(self, ports: tuple[int, ...]) -> str:
        return super()._properties(ports[:2]) + _LISTENERS.format(*ports)


@contextmanager
def secured_broker(folder: Path, user: str, password: str) -> Iterator[str]:
    """Give the address of a broker that a user can log in to; `folder/ca.pem` is its authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the broker's certificate, is not on the PATH")
    folder.mkdir()
    _write_certificates(folder)
    server = Server(SecuredRecipe(), folder)
    server.up(lambda _: None)
    try:
        mark = server.mark()
        assert mark is not None
        _add_user(f"127.0.0.1:{mark.ports[0]}", user, password)
        yield f"localhost:{mark.ports[2]}"
    finally:
        server.kill()


def _add_user(address: str, user: str, password: str) -> None:
    _run(
        find_java(), "-XX:TieredStopAtLevel=1", "-cp", find_class_path(lambda _: None), "kafka.admin.ConfigCommand",
        "--bootstrap-server", address, "--alter", "--entity-type", "users", "--entity-name", user,
        "--add-config", f"SCRAM-SHA-512=[password={password}]",
    )  # fmt: skip


def _write_certificates(folder: Path) -> None:
    key = ("-newkey", "rsa:2048", "-nodes")
    _run(
        "openssl", "req", "-x509", *key, "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
        "-subj", "/CN=authority", "-days", "2",
    )  # fmt: skip
    _run(
        "openssl", "req", "-x509", *key, "-keyout", folder / "broker.key", "-out", folder / "broker.crt",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE",
        "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-days", "2",
    )  # fmt: skip
    content = [(folder / name).read_text(encoding="utf-8") for name in ("broker.key", "broker.crt", "ca.pem")]
    (folder / "broker.pem").write_text("".join(content), encoding="utf-8")


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
