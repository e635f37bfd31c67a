"""A worker with a wrong password, against a broker that asks for one."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.worker.commands.doctor.conftest import Secured
from tests.worker.commands.doctor.secured import PASSWORD, USER
from tests.worker.ending import run_to_its_end
from worker.broker.clients import KafkaLinks
from worker.broker.log_in import refuse_wrong_log_in
from worker.errors import SettingsError
from worker.settings import KafkaSettings


def links_to(address: str, password: str | None, **settings: object) -> KafkaLinks:
    """Return links with a log-in."""
    kafka = KafkaSettings(
        security_protocol="SASL_PLAINTEXT",
        sasl_username=USER,
        sasl_password=password,  # type: ignore[arg-type]
        **settings,  # type: ignore[arg-type]
    )
    return KafkaLinks(address, kafka)


async def test_a_wrong_password_is_said_once_and_in_time(secured: Secured) -> None:
    """After its patience the check says which setting is wrong, and not what it holds."""
    started = time.monotonic()
    with pytest.raises(SettingsError, match="MODERATE_KAFKA__SASL_PASSWORD: the broker refuses the log-in") as caught:
        await refuse_wrong_log_in(links_to(secured.login, "swordfish"), patience_seconds=1.5)
    assert 1.5 < time.monotonic() - started < 8
    assert "swordfish" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_mechanism_that_is_not_spoken_is_said(secured: Secured) -> None:
    """SCRAM at a listener of PLAIN will not become right by waiting for ever."""
    links = links_to(secured.login, PASSWORD, sasl_mechanism="SCRAM-SHA-256")
    with pytest.raises(SettingsError, match="MODERATE_KAFKA__SASL_MECHANISM"):
        await refuse_wrong_log_in(links, patience_seconds=0)


async def test_a_right_password_from_a_file_passes(secured: Secured, tmp_path: Path) -> None:
    """White space at its ends is no part of it; what is not asked, and who does not answer, says nothing."""
    (tmp_path / "password").write_text(f"\n{PASSWORD} \n", encoding="utf-8")
    await refuse_wrong_log_in(links_to(secured.login, None, sasl_password_file=tmp_path / "password"))
    await refuse_wrong_log_in(links_to("127.0.0.1:1", "swordfish"))
    await refuse_wrong_log_in(KafkaLinks(secured.plain, KafkaSettings()))


async def test_a_password_that_becomes_right_is_waited_for(secured: Secured) -> None:
    """A user that is made a moment later ends nothing."""
    links = links_to(secured.login, "swordfish")

    async def correct(_: float) -> None:
        object.__setattr__(links, "settings", links_to(secured.login, PASSWORD).settings)

    await asyncio.wait_for(refuse_wrong_log_in(links, sleep=correct), 20)


@pytest.mark.soak
async def test_the_worker_ends_with_2(secured: Secured, tmp_path: Path) -> None:
    """One line says why, in bounded time."""
    (tmp_path / "password").write_text("swordfish\n", encoding="utf-8")
    code, lines = await run_to_its_end(
        KAFKA__BOOTSTRAP_SERVERS=secured.login,
        KAFKA__SECURITY_PROTOCOL="SASL_PLAINTEXT",
        KAFKA__SASL_USERNAME=USER,
        KAFKA__SASL_PASSWORD_FILE=str(tmp_path / "password"),
    )
    assert code == 2
    # The client warns of the open transport, at most once in 5 seconds.
    ours = [line for line in lines if line["event"] != "Sending username and password in the clear"]
    assert [line["event"] for line in ours] == ["white_space_left_out", "worker_fails"]
    assert len(lines) < 8
    assert "the broker refuses the log-in of worker by PLAIN" in ours[1]["error"]
    assert "swordfish" not in json.dumps(lines)
