"""Why an address of a broker cannot be used, and what to change: an error of TLS or of the log-in in words."""

import ssl
from dataclasses import dataclass
from typing import Literal

from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from worker.broker.tokens import TokenError
from worker.commands.doctor.links import DoctorLinks
from worker.settings import KafkaSettings

Step = Literal["address", "transport", "log_in"]

SERVERS = "MODERATE_KAFKA__BOOTSTRAP_SERVERS"
PROTOCOL = "MODERATE_KAFKA__SECURITY_PROTOCOL"


@dataclass(frozen=True)
class Trouble:
    """Why an address cannot be used.

    Args:
        step: that failed.
        says, remedy: one line each.
    """

    step: Step
    says: str
    remedy: str


def certificate_trouble(where: str, links: DoctorLinks, error: BaseException) -> Trouble | None:
    """Return what an error of TLS says of a certificate; None where it is about something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(
            "transport",
            f"{where}: its certificate is not trusted: {error.verify_message}",
            "let MODERATE_KAFKA__SSL_CAFILE name the authority that signed it, and "
            f"{SERVERS} the host name that stands in it",
        )
    if not isinstance(error, ssl.SSLError) or "ALERT" not in (error.reason or "").upper():
        return None
    if links.settings.ssl_certfile is None:
        return Trouble(
            "transport",
            f"{where} wants a certificate of the client, which this worker has none of",
            f"set MODERATE_KAFKA__SSL_CERTFILE, or let {SERVERS} name a listener with a log-in (SASL_SSL)",
        )
    said = (error.reason or "").upper().partition("ALERT")[2].strip("_ ").replace("_", " ").lower()
    return Trouble(
        "transport",
        f"{where} refuses the certificate of this client ({said})",
        "let MODERATE_KAFKA__SSL_CERTFILE name one that is not expired, of an authority that the broker trusts",
    )


def log_in_trouble(where: str, links: DoctorLinks, error: BaseException) -> Trouble:
    """Return what an error of the log-in, or of the first request after it, says."""
    kafka = links.settings
    log_in = kafka.security_protocol.startswith("SASL")
    if (trouble := _refused_log_in(where, kafka, error)) is not None:
        return trouble
    if isinstance(error, UnsupportedSaslMechanismError):
        return Trouble(
            "log_in",
            f"{where}: the broker does not take {kafka.sasl_mechanism}",
            "set MODERATE_KAFKA__SASL_MECHANISM to one of the listener's sasl.enabled.mechanisms",
        )
    if isinstance(error, IllegalSaslStateError) or (log_in and not isinstance(error, TimeoutError)):
        plain = kafka.security_protocol.removeprefix("SASL_")
        return Trouble(
            "log_in",
            f"{where} takes no log-in, the transport is {kafka.security_protocol}",
            f"set {PROTOCOL}={plain}",
        )
    if isinstance(error, TimeoutError):
        return Trouble(
            "log_in", f"{where}: no answer after the log-in", "see whether that broker is overloaded or starting"
        )
    return Trouble(
        "log_in",
        f"{where} ends the connection at the first request: it wants a log-in, the transport is "
        f"{kafka.security_protocol}",
        f"set {PROTOCOL}=SASL_{kafka.security_protocol}, with MODERATE_KAFKA__SASL_USERNAME and …PASSWORD",
    )


def _refused_log_in(where: str, kafka: KafkaSettings, error: BaseException) -> Trouble | None:
    if isinstance(error, TokenError):
        setting, _, said = str(error).partition(": ")
        return Trouble("log_in", f"{where}: there is no token for the log-in: {said}", f"correct {setting}")
    if not isinstance(error, SaslAuthenticationFailed):
        return None
    if kafka.sasl_mechanism == "OAUTHBEARER":
        return Trouble(
            "log_in",
            f"{where}: the token is refused",
            "compare issuer, audience, scope and expiry of the token with the broker's sasl.oauthbearer.… settings",
        )
    return Trouble(
        "log_in",
        f"{where}: the log-in of {kafka.sasl_username} by {kafka.sasl_mechanism} is refused",
        "correct MODERATE_KAFKA__SASL_USERNAME and MODERATE_KAFKA__SASL_PASSWORD, or add the user to the broker",
    )
