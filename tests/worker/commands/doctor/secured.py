"""A broker that asks who one is: listeners without a log-in, with one, with TLS, and one that nobody can follow."""

import subprocess
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.server import Say

USER, PASSWORD = "worker", "sesame-of-the-worker"
# How the protocol writes them.
TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
READ, WRITE, DESCRIBE_CONFIGS = 3, 4, 10
DENY, ALLOW = 2, 3
LITERAL, PREFIXED = 3, 4

_PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},LOGIN://127.0.0.1:{login},\
TLS://127.0.0.1:{tls},LOST://127.0.0.1:{lost}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},LOGIN://127.0.0.1:{login},TLS://127.0.0.1:{tls},\
LOST://broker.invalid:9092
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLS:SSL,LOST:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
connection.failed.authentication.delay.ms=0
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={store}
"""


class SecuredKafka(KafkaRecipe):
    """Kafka with an authorizer; who comes without a log-in may do everything.

    Args:
        store: PEM file of key and certificate.
    """

    port_count = 5

    def __init__(self, store: Path) -> None:
        super().__init__()
        self._store = store

    def prepare(self, folder: Path, ports: tuple[int, ...], say: Say) -> list[str]:
        """Write the settings of all listeners; return the command."""
        names = dict(zip(("plain", "controller", "login", "tls", "lost"), ports, strict=True))
        self._more = _PROPERTIES.format(**names, user=USER, password=PASSWORD, store=self._store)
        return super().prepare(folder, ports[:2], say)


def certificate(folder: Path, openssl: str) -> tuple[Path, Path]:
    """Return a key with a certificate for 127.0.0.1 that it signed itself, and the certificate alone."""
    key, cert, store = folder / "key.pem", folder / "cert.pem", folder / "store.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    store.write_bytes(key.read_bytes() + cert.read_bytes())
    return store, cert


async def rule(
    admin: AIOKafkaAdminClient, kind: int, name: str, operation: int, *, pattern: int = LITERAL, allow: bool = True
) -> None:
    """Let the user do something, or not."""
    request = CreateAclsRequest(kind, name, pattern, f"User:{USER}", "*", operation, ALLOW if allow else DENY)
    response = await admin._send_request(request)
    assert [code for code, _ in response.creation_responses] == [0]
