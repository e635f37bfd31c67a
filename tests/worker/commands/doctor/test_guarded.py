"""What the doctor says of certificates of clients and of tokens."""

import shlex
import sys
from typing import Any

import pytest

from tests.worker.broker.guarded import Guarded, unsecured_token
from tests.worker.commands.doctor.conftest import Doctor, check, settings_of
from tests.worker.system import Stream


def given(stream: Stream, address: str, guarded: Guarded, **settings: Any) -> dict[str, str]:
    """Return the settings of a worker that trusts the broker."""
    return settings_of(stream) | {
        "MODERATE_KAFKA__BOOTSTRAP_SERVERS": address,
        "MODERATE_KAFKA__SSL_CAFILE": str(guarded.file("ca.pem")),
        **{f"MODERATE_KAFKA__{name}": str(value) for name, value in settings.items()},
    }


def shown(guarded: Guarded, name: str) -> dict[str, Any]:
    """Return the settings of a client that shows a certificate."""
    return {
        "SECURITY_PROTOCOL": "SSL",
        "SSL_CERTFILE": guarded.file(f"{name}.pem"),
        "SSL_KEYFILE": guarded.file(f"{name}.key"),
    }


def printed(token: str) -> dict[str, str]:
    """Return the settings of a client whose program prints a token."""
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(f'print({token!r})')}"
    return {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER", "OAUTH_TOKEN_COMMAND": command}


async def test_what_is_right_passes(doctor: Doctor, stream: Stream, guarded: Guarded) -> None:
    """A certificate that the broker trusts, and a token that it takes, are each named in the finding."""
    found = await doctor(given(stream, guarded.mutual, guarded, **shown(guarded, "client")), only="settings,broker")
    assert found.bad() == []
    assert "with a certificate of this client" in found.of("settings.security")[0]["says"]


async def test_a_token_that_is_right_passes(doctor: Doctor, stream: Stream, guarded: Guarded) -> None:
    """Where the token comes from is said, and nothing of it."""
    token = unsecured_token(300)
    found = await doctor(given(stream, guarded.token, guarded, **printed(token)), only="settings,broker")
    assert found.bad() == []
    assert "tokens of a command" in found.of("settings.security")[0]["says"]
    assert "by a token" in found.of("broker.log_in")[0]["says"]
    assert token not in str(found.findings)


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (None, ("wants a certificate of the client", "MODERATE_KAFKA__SSL_CERTFILE")),
        ("late", ("refuses the certificate of this client", "MODERATE_KAFKA__SSL_CERTFILE")),
    ],
)
async def test_a_refused_client_is_named(
    doctor: Doctor, stream: Stream, guarded: Guarded, certificate: str | None, words: tuple[str, ...]
) -> None:
    """Without a certificate, and with an expired one."""
    settings = {"SECURITY_PROTOCOL": "SSL"} if certificate is None else shown(guarded, certificate)
    found = await doctor(given(stream, guarded.mutual, guarded, **settings), only="broker")
    check(found, "broker.transport", "failure", *words)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (unsecured_token(-3600), ("the token is refused", "sasl.oauthbearer")),
        ("two words", ("there is no token for the log-in", "MODERATE_KAFKA__OAUTH_TOKEN_COMMAND")),
    ],
    ids=["expired", "none"],
)
async def test_a_refused_token_is_named(
    doctor: Doctor, stream: Stream, guarded: Guarded, token: str, words: tuple[str, ...]
) -> None:
    """One that has expired, and none at all."""
    found = await doctor(given(stream, guarded.token, guarded, **printed(token)), only="broker")
    check(found, "broker.log_in", "failure", *words)
