"""Certificates of clients and tokens, against a real broker: what is right passes, what is wrong is said in a line."""

import asyncio
import io
import logging
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.broker.guarded import (
    CLIENT,
    KEY_PASSWORD,
    SECRET,
    Guarded,
    TokenEndpoint,
    token_endpoint,
    unsecured_token,
)
from tests.worker.ending import run_to_its_end
from tests.worker.patience import within
from worker.broker.clients import KafkaLinks
from worker.broker.log_in import refuse_wrong_log_in
from worker.broker.range_reader import connected_reader
from worker.errors import SettingsError
from worker.settings import KafkaSettings
from worker.telemetry.logs import configure_logs


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    """Give a token endpoint."""
    with token_endpoint() as one:
        yield one


def mutual(guarded: Guarded, certificate: str | None = "client", address: str = "", **settings: Any) -> KafkaLinks:
    """Return links that show a certificate."""
    shown: dict[str, Any] = {}
    if certificate is not None:
        shown = {"ssl_certfile": guarded.file(f"{certificate}.pem"), "ssl_keyfile": guarded.file(f"{certificate}.key")}
    given = {"security_protocol": "SSL", "ssl_cafile": guarded.file("ca.pem")} | shown | settings
    return KafkaLinks(address or guarded.mutual, KafkaSettings(**given))


def by_token(guarded: Guarded, **settings: Any) -> KafkaLinks:
    """Return links that log in by a token."""
    given = {"security_protocol": "SASL_SSL", "ssl_cafile": guarded.file("ca.pem"), "sasl_mechanism": "OAUTHBEARER"}
    return KafkaLinks(guarded.token, KafkaSettings(**given | settings))


def of_endpoint(endpoint: TokenEndpoint, secret: str = SECRET) -> dict[str, str]:
    """Return the settings of a token endpoint."""
    return {
        "oauth_token_url": endpoint.address, "oauth_client_id": CLIENT, "oauth_client_secret": secret,
        "oauth_scope": "kafka",
    }  # fmt: skip


def of_command(tmp_path: Path, program: str) -> dict[str, str]:
    """Return the settings of a program that prints tokens."""
    file = tmp_path / "token.py"
    file.write_text(program, encoding="utf-8")
    return {"oauth_token_command": f"{shlex.quote(sys.executable)} {shlex.quote(str(file))} 'with an argument'"}


async def can_ask(links: KafkaLinks) -> None:
    """Ask the broker for its topics, as an administrator and as a consumer."""
    await refuse_wrong_log_in(links, patience_seconds=0)
    async with links.connected_admin() as admin:
        await admin.list_topics()
    async with connected_reader(links) as consumer:
        await consumer.topics()


async def test_a_certificate_of_the_client_is_shown(guarded: Guarded, tmp_path: Path) -> None:
    """Key in a file of its own, encrypted with its password in a third, or behind the certificate."""
    await can_ask(mutual(guarded))
    (tmp_path / "password").write_text(f"{KEY_PASSWORD}\n", encoding="utf-8")
    locked = {"ssl_keyfile": guarded.file("client.locked"), "ssl_key_password_file": tmp_path / "password"}
    await can_ask(mutual(guarded, **locked))
    both = tmp_path / "both.pem"
    both.write_bytes(guarded.file("client.key").read_bytes() + guarded.file("client.pem").read_bytes())
    await can_ask(mutual(guarded, None, ssl_certfile=both))


@pytest.mark.parametrize(
    ("certificate", "listener", "says"),
    [
        (None, "mutual", "MODERATE_KAFKA__SSL_CERTFILE: .* wants a certificate of the client, and none is set"),
        ("foreign", "mutual", "MODERATE_KAFKA__SSL_CERTFILE: .* refuses the certificate of this client"),
        ("late", "mutual", "MODERATE_KAFKA__SSL_CERTFILE: .* refuses the certificate of this client"),
        ("client", "old", "MODERATE_KAFKA__BOOTSTRAP_SERVERS: the certificate of .* has expired"),
        ("client", "other", "MODERATE_KAFKA__BOOTSTRAP_SERVERS: the certificate of .* is another host's: .*127.0.0.1"),
    ],
)
async def test_a_wrong_certificate_is_said_in_time(
    guarded: Guarded, certificate: str | None, listener: str, says: str
) -> None:
    """None, a stranger's, an expired one on either side, and another host's: each has its line, for commands too."""
    links = mutual(guarded, certificate, getattr(guarded, listener))
    started = time.monotonic()
    with pytest.raises(SettingsError, match=says) as caught:
        await refuse_wrong_log_in(links, patience_seconds=0.5)
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingsError, match=says):
        async with links.connected_admin():
            pass
    with pytest.raises(SettingsError, match=says):
        async with connected_reader(links):
            pass


async def test_an_authority_that_signed_nothing_here_is_said(guarded: Guarded) -> None:
    """The broker's certificate is good, and this client trusts somebody else."""
    links = mutual(guarded, ssl_cafile=guarded.file("stranger.pem"))
    with pytest.raises(SettingsError, match=r"MODERATE_KAFKA__SSL_CAFILE: the certificate of .* is not trusted"):
        await refuse_wrong_log_in(links, patience_seconds=0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"ssl_keyfile": "other.key"}, "SSL_KEYFILE: this key is not that of the certificate"),
        ({"ssl_keyfile": "client.locked"}, "SSL_KEY_PASSWORD: the private key is encrypted: set it"),
        (
            {"ssl_keyfile": "client.locked", "ssl_key_password": "swordfish"},
            "SSL_KEY_PASSWORD: the private key cannot be decrypted",
        ),
        ({"ssl_certfile": "nowhere.pem"}, "SSL_CERTFILE: no such file"),
        ({"ssl_certfile": "ca.cnf"}, "SSL_CERTFILE: no certificate"),
    ],
)
def test_files_that_do_not_fit_are_said_before_anything_starts(
    guarded: Guarded, settings: dict[str, str], says: str
) -> None:
    """A key of another, one that is locked, none: nobody is asked for a password on the terminal."""
    given = {name: guarded.file(value) if name.endswith("file") else value for name, value in settings.items()}
    with pytest.raises(SettingsError, match=says) as caught:
        _ = mutual(guarded, **given).tls
    assert "swordfish" not in str(caught.value)


async def test_tokens_of_an_endpoint_let_in_and_are_asked_for_once(
    guarded: Guarded, endpoint: TokenEndpoint, tmp_path: Path, kept_logging: None
) -> None:
    """All clients share one; the secret may come from a file; nothing of it is in the log, at its chattiest."""
    del kept_logging
    stream = io.StringIO()
    configure_logs("debug", "json", stream)
    logging.getLogger("worker").debug("this is seen")
    await can_ask(by_token(guarded, **of_endpoint(endpoint)))
    assert endpoint.asked == ["grant_type=client_credentials&scope=kafka"]
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    from_file = {name: value for name, value in of_endpoint(endpoint).items() if name != "oauth_client_secret"}
    await can_ask(by_token(guarded, **from_file, oauth_client_secret_file=tmp_path / "secret"))
    assert len(endpoint.asked) == 1
    said = stream.getvalue()
    assert "this is seen" in said
    assert "sesame" not in said
    assert unsecured_token(1).partition(".")[0] not in said


async def test_a_token_is_renewed_before_it_expires(guarded: Guarded, endpoint: TokenEndpoint) -> None:
    """After four fifths of its life, beside whoever connects; an endpoint that is away meanwhile costs nothing."""
    endpoint.life_seconds = 2.0
    links = by_token(guarded, **of_endpoint(endpoint))
    await refuse_wrong_log_in(links, patience_seconds=0)
    assert len(endpoint.asked) == 1
    async with within(10):
        while len(endpoint.asked) < 3:
            await asyncio.sleep(0.05)
    asked = len(endpoint.asked)
    await refuse_wrong_log_in(links, patience_seconds=0)
    assert len(endpoint.asked) == asked


async def test_the_endpoint_s_refusal_is_said_without_what_it_says(guarded: Guarded, endpoint: TokenEndpoint) -> None:
    """A wrong secret ends it; an endpoint in trouble, or away, is waited for as a broker is."""
    wrong = by_token(guarded, **of_endpoint(endpoint, "swordfish"))
    said = r"MODERATE_KAFKA__OAUTH_TOKEN_URL: the token endpoint answers 401 \(invalid_client\)$"
    with pytest.raises(SettingsError, match=said):
        await refuse_wrong_log_in(wrong, patience_seconds=0.5)
    endpoint.status = 503
    await refuse_wrong_log_in(by_token(guarded, **of_endpoint(endpoint, "b")), patience_seconds=0)
    away = of_endpoint(endpoint) | {"oauth_token_url": "http://127.0.0.1:1/token"}
    await refuse_wrong_log_in(by_token(guarded, **away), patience_seconds=0)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("print(TOKEN)", None),
        ("import json; print(json.dumps({'accessToken': TOKEN, 'expires_on': 4e9}))", None),
        ("print(EXPIRED)", "OAUTH_TOKEN_COMMAND: the broker refuses the token that it gives"),
        ("print('swordfish')", "OAUTH_TOKEN_COMMAND: the broker refuses the token that it gives"),
        ("print('two swordfish')", "OAUTH_TOKEN_COMMAND: it gives no token, or one of more than one word"),
        ("import sys; print('swordfish', file=sys.stderr); sys.exit(3)", "OAUTH_TOKEN_COMMAND: it ends with 3"),
        ("import time; time.sleep(60)", "OAUTH_TOKEN_COMMAND: no end within 1 s"),
        ("import sys; assert sys.argv[1:] == ['with an argument']; print(TOKEN)", None),
    ],
)
async def test_a_program_s_tokens(guarded: Guarded, tmp_path: Path, program: str, says: str | None) -> None:
    """By themselves or in JSON; what is wrong is said in one line without what was printed."""
    tokens = {"TOKEN": unsecured_token(300), "EXPIRED": unsecured_token(-3600)}
    for name, token in tokens.items():
        program = program.replace(name, repr(token))
    patience = 1.0 if "sleep" in program else 20.0
    links = by_token(guarded, **of_command(tmp_path, program), oauth_timeout_seconds=patience)
    if says is None:
        await can_ask(links)
        return
    with pytest.raises(SettingsError, match=says) as caught:
        await refuse_wrong_log_in(links, patience_seconds=0)
    assert "swordfish" not in str(caught.value)


async def test_a_program_that_is_not_there_is_said(guarded: Guarded) -> None:
    """It will not come by waiting."""
    settings = {"oauth_token_command": "nowhere/token"}
    with pytest.raises(SettingsError, match="OAUTH_TOKEN_COMMAND: it cannot be started: No such file"):
        await refuse_wrong_log_in(by_token(guarded, **settings), patience_seconds=0)


@pytest.mark.soak
async def test_the_worker_ends_with_2(guarded: Guarded) -> None:
    """A certificate that the broker refuses is one line of the worker, in bounded time."""
    code, lines = await run_to_its_end(
        KAFKA__BOOTSTRAP_SERVERS=guarded.mutual,
        KAFKA__SECURITY_PROTOCOL="SSL",
        KAFKA__SSL_CAFILE=str(guarded.file("ca.pem")),
        KAFKA__SSL_CERTFILE=str(guarded.file("foreign.pem")),
        KAFKA__SSL_KEYFILE=str(guarded.file("foreign.key")),
    )
    assert code == 2
    assert [line["event"] for line in lines][-1] == "worker_fails"
    assert "refuses the certificate of this client" in lines[-1]["error"]
    assert len(lines) < 4
