"""A broker that wants certificates of clients on one port and tokens on another, and what gives these tokens."""

import base64
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.server import Say, Server

KEY_PASSWORD = "sesame-of-the-key"  # noqa: S105 - of a key that a test makes
CLIENT, SECRET = "worker", "sesame & more/of the client"
_PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},MUTUAL://127.0.0.1:{mutual},\
TOKEN://127.0.0.1:{token},OLD://127.0.0.1:{old},OTHER://127.0.0.1:{other}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},MUTUAL://127.0.0.1:{mutual},TOKEN://127.0.0.1:{token},\
OLD://127.0.0.1:{old},OTHER://127.0.0.1:{other}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MUTUAL:SSL,TOKEN:SASL_SSL,OLD:SSL,OTHER:SSL
connection.failed.authentication.delay.ms=0
sasl.enabled.mechanisms=OAUTHBEARER
listener.name.token.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.token.oauthbearer.sasl.server.callback.handler.class=\
org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location={folder}/ca.pem
"""
_AUTHORITY = """\
[ca]
default_ca = authority
[authority]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
policy = names
default_md = sha256
x509_extensions = leaf
[names]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
subjectAltName = IP:127.0.0.1
"""
_STORES = {"mutual": "broker", "token": "broker", "old": "old", "other": "other"}


class GuardedKafka(KafkaRecipe):
    """Kafka with these listeners, and one in the open.

    Args:
        certificates: folder of the stores.
    """

    port_count = 6

    def __init__(self, certificates: Path) -> None:
        super().__init__()
        self._certificates = certificates

    def prepare(self, folder: Path, ports: tuple[int, ...], say: Say) -> list[str]:
        """Write the settings of all listeners; return the command."""
        names = dict(zip(("plain", "controller", "mutual", "token", "old", "other"), ports, strict=True))
        self._more = _PROPERTIES.format(**names, folder=self._certificates)
        for listener, store in _STORES.items():
            self._more += f"listener.name.{listener}.ssl.keystore.type=PEM\n"
            self._more += f"listener.name.{listener}.ssl.keystore.location={self._certificates}/{store}.store\n"
        return super().prepare(folder, ports[:2], say)


@dataclass(frozen=True)
class Guarded:
    """Where its listeners are: the certificate of `old` has expired, and that of `other` is for another name."""

    plain: str
    mutual: str
    token: str
    old: str
    other: str
    folder: Path

    def file(self, name: str) -> Path:
        """Return a file of a certificate or key."""
        return self.folder / name


@contextmanager
def guarded_broker(folder: Path) -> Iterator[Guarded]:
    """Give such a broker."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on the PATH, which makes certificates")
    _write_certificates(folder)
    server = Server(GuardedKafka(folder), folder / "broker")
    server.up(lambda _: None)
    try:
        mark = server.mark()
        assert mark is not None
        plain, _, *others = (f"127.0.0.1:{port}" for port in mark.ports)
        yield Guarded(plain, *others, folder)
    finally:
        server.kill()


def _write_certificates(folder: Path) -> None:
    """Write an authority, a stranger that is one too, and what they signed."""
    for authority in ("ca", "stranger"):
        _certificate(folder, authority, f"/CN={authority}", "-days", "2")
    name = ("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    signed = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key")
    _certificate(folder, "broker", "/CN=broker", *name, *signed, "-days", "2")
    _certificate(folder, "other", "/CN=other", "-addext", "subjectAltName=DNS:other.example", *signed, "-days", "2")
    _certificate(folder, "client", "/CN=worker", *signed, "-days", "2")
    for expired in ("old", "late"):
        _expired(folder, expired)
    strangers = ("-CA", folder / "stranger.pem", "-CAkey", folder / "stranger.key")
    _certificate(folder, "foreign", "/CN=worker", *strangers, "-days", "2")
    _run(
        "openssl", "pkcs8", "-topk8", "-in", folder / "client.key", "-out", folder / "client.locked",
        "-passout", f"pass:{KEY_PASSWORD}",
    )  # fmt: skip
    for store in ("broker", "old", "other"):
        parts = [folder / f"{store}.key", folder / f"{store}.pem", folder / "ca.pem"]
        (folder / f"{store}.store").write_bytes(b"".join(part.read_bytes() for part in parts))


def _certificate(folder: Path, name: str, subject: str, *more: str | Path) -> None:
    leaf = ("-addext", "basicConstraints=CA:FALSE") if "-CA" in more else ()
    _run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key",
        "-out", folder / f"{name}.pem", "-subj", subject, *leaf, *more,
    )  # fmt: skip


def _expired(folder: Path, name: str) -> None:
    """Write a certificate of this machine that was good for a day of 2024."""
    (folder / "index").touch()
    (folder / "ca.cnf").write_text(_AUTHORITY.format(folder=folder), encoding="utf-8")
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    _run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=x")
    _run(
        "openssl", "ca", "-batch", "-config", folder / "ca.cnf", "-in", request, "-cert", folder / "ca.pem",
        "-keyfile", folder / "ca.key", "-startdate", "20240101000000Z", "-enddate", "20240102000000Z",
        "-out", folder / f"{name}.pem", "-notext",
    )  # fmt: skip


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def unsecured_token(seconds: float, **claims: object) -> str:
    """Return a token that is signed by nobody, as a broker without keys takes it."""
    now = time.time()
    said = {"sub": CLIENT, "iat": now - 1, "exp": now + seconds} | claims
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, said))
    return f"{head.decode()}.{body.decode()}."


@dataclass
class TokenEndpoint:
    """A token endpoint.

    Args:
        address: of it.
        life_seconds: of the tokens that it gives.
        status: that it answers with; 200 gives tokens to whoever knows the secret.
        asked: the forms that it was sent.
    """

    address: str = ""
    life_seconds: float = 300.0
    status: int = 200
    asked: list[str] = field(default_factory=list)


@contextmanager
def token_endpoint() -> Iterator[TokenEndpoint]:
    """Give a token endpoint on this machine."""
    endpoint = TokenEndpoint()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            endpoint.asked.append(self.rfile.read(int(self.headers["content-length"])).decode())
            wanted = f"{CLIENT}:sesame%20%26%20more%2Fof%20the%20client"
            known = self.headers["authorization"] == f"Basic {base64.b64encode(wanted.encode()).decode()}"
            status = endpoint.status if known or endpoint.status != 200 else 401
            answer: dict[str, object] = {"error": "invalid_client", "error_description": "swordfish"}
            if status == 200:
                answer = {"access_token": unsecured_token(endpoint.life_seconds), "expires_in": endpoint.life_seconds}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint.address = f"http://127.0.0.1:{server.server_port}/token"
        yield endpoint
        server.shutdown()
