"""Why a broker does not let us in: asked by itself, because the client hides it behind "cannot bootstrap"."""

import asyncio
import ssl
import struct
from typing import Protocol

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from worker.broker.tokens import TokenError
from worker.settings import KafkaSettings

_ANSWER_SECONDS = 5.0
# ApiVersions in version 0, which any broker answers, without a client id.
_QUESTION = struct.pack(">ihhih", 10, 18, 0, 1, -1)
# As OpenSSL numbers them.
_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 10, 62, 64
_ALERT = "ALERT"


class Links(Protocol):
    """What makes connections."""

    @property
    def bootstrap_servers(self) -> str: ...  # noqa: D102
    @property
    def settings(self) -> KafkaSettings: ...  # noqa: D102
    @property
    def tls(self) -> ssl.SSLContext | None: ...  # noqa: D102

    async def connection(self, host: str, port: int, *, timeout_seconds: float) -> AIOKafkaConnection:  # noqa: D102
        ...


async def refusal_of(links: Links) -> str | None:
    """Return why no broker lets us in; None where one does, or none of them says anything about it.

    Raises:
        SettingsError: a file of TLS cannot be used.
    """
    kafka, refusal = links.settings, None
    if kafka.security_protocol == "PLAINTEXT":
        return None
    for host, port, _ in collect_hosts(links.bootstrap_servers):
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                if (context := links.tls) is not None:
                    await _speak_tls(host, port, context)
            async with asyncio.timeout(_ANSWER_SECONDS + kafka.oauth_timeout_seconds):
                connection = await links.connection(host, port, timeout_seconds=_ANSWER_SECONDS)
        except SaslAuthenticationFailed:
            refusal = _wrong_log_in(kafka)
        except UnsupportedSaslMechanismError:
            refusal = f"MODERATE_KAFKA__SASL_MECHANISM: the broker does not take {kafka.sasl_mechanism}"
        except TokenError as error:
            refusal = str(error) if error.refused else refusal
        except ssl.SSLError as error:
            refusal = said_of_tls(kafka, f"{host}:{port}", error) or refusal
        except (KafkaError, OSError, EOFError, TimeoutError, ValueError):
            continue
        else:
            connection.close()
            return None
    return refusal


def said_of_tls(kafka: KafkaSettings, where: str, error: ssl.SSLError) -> str | None:
    """Return what a failure of TLS means; None where it says nothing about certificates.

    Args:
        kafka: the settings that it happened with.
        where: host:port.
        error: of the handshake, or of the first answer: that is where a broker says that it refuses a client.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return f"MODERATE_KAFKA__BOOTSTRAP_SERVERS: the certificate of {where} has expired"
        if error.verify_code in {_OTHER_NAME, _OTHER_ADDRESS}:
            return f"MODERATE_KAFKA__BOOTSTRAP_SERVERS: the certificate of {where} is another host's: {_plain(error)}"
        return f"MODERATE_KAFKA__SSL_CAFILE: the certificate of {where} is not trusted: {_plain(error)}"
    reason = (error.reason or "").upper()
    if _ALERT not in reason:
        return None
    if kafka.ssl_certfile is None:
        # Under TLS 1.2 a broker that wants a certificate says only that the handshake failed.
        return f"MODERATE_KAFKA__SSL_CERTFILE: {where} wants a certificate of the client, and none is set"
    said = reason.partition(_ALERT)[2].strip("_ ").replace("_", " ").lower()
    return f"MODERATE_KAFKA__SSL_CERTFILE: {where} refuses the certificate of this client ({said})"


def _plain(error: ssl.SSLCertVerificationError) -> str:
    return error.verify_message.rstrip(".")


def _wrong_log_in(kafka: KafkaSettings) -> str:
    if kafka.sasl_mechanism == "OAUTHBEARER":
        source = "OAUTH_TOKEN_URL" if kafka.oauth_token_url is not None else "OAUTH_TOKEN_COMMAND"
        return f"MODERATE_KAFKA__{source}: the broker refuses the token that it gives"
    return (
        "MODERATE_KAFKA__SASL_PASSWORD: the broker refuses the log-in of "
        f"{kafka.sasl_username} by {kafka.sasl_mechanism}: user or password is wrong"
    )


async def _speak_tls(host: str, port: int, context: ssl.SSLContext) -> None:
    """Shake hands and wait for an answer: under TLS 1.3 only that shows whether the client's certificate is taken."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(_QUESTION)
        await reader.readexactly(4)
    finally:
        writer.close()
