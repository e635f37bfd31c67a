"""A Redis that somebody else may write to, and one that stops being the master: no entry of theirs is taken."""

import asyncio
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.worker.conftest import ModerateHere
from tests.worker.patience import within
from tests.worker.redis_servers import REST_SECONDS, WIDTH, address_of, cache_at, client_of, entries, found, is_back
from worker.commands.stack.server import Server
from worker.errors import SettingsError
from worker.labelling.cache.entries import Entry, EntryError, Mac, pack, pack_text, unpack, unpack_text
from worker.secrets import check_redis_address, with_log_in, without_password
from worker.settings import load_settings

SECRET, OTHER = "correct horse battery", "battery horse correct"
VECTOR = np.arange(6, dtype=np.float16)
ENTRY = Entry(VECTOR)


async def test_no_forged_entry_is_taken(redis: Server, failures: Counter[str]) -> None:
    """A writer with full rights, who knows the code and the keys but not the secret, gets no entry believed."""
    asked = entries(60)
    async with cache_at(address_of(redis), failures, seal=Mac(SECRET)) as cache:
        await cache.store(asked)
        assert await found(cache, asked) == len(asked)
        with client_of(redis) as writer:
            stored = dict(zip(asked, writer.mget(list(asked)), strict=True))
            forged = Entry(np.full(WIDTH, 7, dtype=np.float16))
            keys = list(asked)
            for number, key in enumerate(keys):
                tampered = bytearray(stored[key])
                tampered[-1] ^= 1
                writer.set(
                    key,
                    (
                        pack(key, forged),
                        pack(key, forged, Mac(OTHER)),
                        stored[keys[number - 1]],
                        bytes(tampered),
                        stored[key][:20] + forged.embedding.astype("<f2").tobytes(),
                        pack_text(key, "x" * 2 * WIDTH, Mac(SECRET)),
                    )[number % 6],
                )
        assert await cache.find(dict.fromkeys(asked, WIDTH)) == {}
        assert failures == {"forged": len(asked)}
        await cache.store(asked)
        assert await found(cache, asked) == len(asked)


def test_the_secret_can_be_changed() -> None:
    """What the secret before sealed is still read; what is sealed now, a worker that knows both reads too."""
    old, both, new = Mac(OTHER), Mac(SECRET, OTHER), Mac(SECRET)
    assert np.array_equal(unpack(b"a", pack(b"a", ENTRY, old), 6, both).embedding, VECTOR)
    assert np.array_equal(unpack(b"a", pack(b"a", ENTRY, both), 6, new).embedding, VECTOR)
    assert unpack_text(b"a", pack_text(b"a", "é", both), both) == "é"
    for value, seal in [(pack(b"a", ENTRY, old), new), (pack(b"a", ENTRY, new), old), (b"", both), (b"MME3", both)]:
        with pytest.raises(EntryError) as caught:
            unpack(b"a", value, 6, seal)
        assert caught.value.kind == "forged"


def test_a_sealed_entry_says_nothing_without_the_secret() -> None:
    """A worker without a secret takes a sealed entry for garbage, not for an embedding."""
    with pytest.raises(EntryError) as caught:
        unpack(b"a", pack(b"a", ENTRY, Mac(SECRET)), 6)
    assert caught.value.kind == "garbage"
    payload = VECTOR.astype("<f2").tobytes()
    head = struct.pack("<4sII", b"MME3", len(payload), zlib.crc32(payload, zlib.crc32(b"a")))
    with pytest.raises(EntryError):
        unpack(b"a", head + payload, 6, Mac(SECRET))


async def test_a_replica_is_left_and_a_master_found_again(redis: Server, failures: Counter[str]) -> None:
    """READONLY and MASTERDOWN drop every connection, so that the next one goes to where the name leads then."""
    asked = entries(5)
    with client_of(redis) as operator, capture_logs() as logs:
        async with cache_at(address_of(redis), failures) as cache:
            await is_back(cache, asked)
            operator.replicaof("127.0.0.1", "1")
            await cache.store(asked)
            assert failures == {"failover": 1}
            async with within(5):
                # No connection of the cache is left; the server notices it a moment later.
                while len(operator.client_list()) > 1:
                    await asyncio.sleep(0.01)
            operator.replicaof("NO", "ONE")
            await asyncio.sleep(REST_SECONDS)
            await is_back(cache, asked)
            operator.config_set("replica-serve-stale-data", "no")
            operator.replicaof("127.0.0.1", "1")
            assert await cache.find(dict.fromkeys(asked, WIDTH)) == {}
            assert failures == {"failover": 2}
            operator.replicaof("NO", "ONE")
            await asyncio.sleep(REST_SECONDS)
            await is_back(cache, asked)
    said = [entry for entry in logs if entry["event"] == "redis_unavailable"]
    assert [entry["error"] for entry in said] == ["ReadOnlyError", "MasterDownError"]


async def test_log_lines_hold_neither_keys_nor_entries(redis: Server, failures: Counter[str]) -> None:
    """The client quotes the command that failed; what is logged is the kind of the error."""
    with client_of(redis) as operator, capture_logs() as logs:
        operator.config_set("maxmemory", "1")
        async with cache_at(address_of(redis), failures) as cache:
            await cache.store_texts({b"mmorient:3:drawn:key": "words of a person"})
    assert failures == {"full": 1}
    assert [entry["error"] for entry in logs if entry["event"] == "redis_unavailable"] == ["OutOfMemoryError"]
    assert "key" not in repr(logs)
    assert "words" not in repr(logs)


async def test_a_log_in_of_its_own(redis: Server, failures: Counter[str]) -> None:
    """User and password are settings; signs that mean something in an address do no harm there."""
    password = "p#s@s/w:o?r%d é"  # noqa: S105
    with client_of(redis) as operator:
        operator.acl_setuser("worker", enabled=True, passwords=[f"+{password}"], keys=["mm*"], commands=["+@all"])
    asked = {b"mm:" + key: value for key, value in entries(3).items()}
    address = with_log_in(address_of(redis), "worker", password)
    async with cache_at(address, failures) as cache:
        await is_back(cache, asked)
    async with cache_at(with_log_in(address, None, "wrong"), failures) as cache:
        assert await found(cache, asked) == 0
    assert failures == {"error": 1}


@pytest.mark.parametrize(
    "address",
    ["redis://:p#swordfish@h:6379/0", "redis://u:12#swordfish@h:1/0", "redis://:p/swordfish@h:6379", "redis://:p?swordfish@h:6379",
     "redis://h:swordfish", "http://u:swordfish@h", "swordfish", "redis://:swordfish@", "redis://[swordfish", "redis://h/swordfish"],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_not_quoted(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """One line says which setting it is and how a password is written; nothing of the address is in it."""
    monkeypatch.setenv("MODERATE_REDIS__URL", address)
    with pytest.raises(SettingsError, match=r"^MODERATE_REDIS__URL: ") as caught:
        load_settings()
    assert "swordfish" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["redis://:p@ss@h:1/2", "rediss://u:p%23@[::1]:1/0?ssl_ca_certs=/a", "unix:///a.sock",
                                     "redis://h", "redis://h:1/"])  # fmt: skip
def test_an_address_that_can_be_read_is_taken(address: str) -> None:
    """All forms that the client knows."""
    check_redis_address(address)
    assert "p@ss" not in without_password(address)
    assert "p%23" not in without_password(address)


def test_a_password_comes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """White space at its ends is no part of it; two passwords that differ are refused, unseen."""
    (tmp_path / "password").write_text(" hunter#2\n", encoding="utf-8")
    monkeypatch.setenv("MODERATE_REDIS__URL", "redis://user:old@h:1/0")
    monkeypatch.setenv("MODERATE_REDIS__PASSWORD_FILE", str(tmp_path / "password"))
    settings = load_settings()
    assert settings.redis.address == "redis://user:hunter%232@h:1/0"
    assert "hunter" not in repr(settings)
    monkeypatch.setenv("MODERATE_REDIS__PASSWORD", "other-word")
    with pytest.raises(SettingsError, match="differ") as caught:
        load_settings()
    assert "hunter" not in str(caught.value)
    assert "other-word" not in str(caught.value)
    monkeypatch.delenv("MODERATE_REDIS__PASSWORD")
    for content in ("", "\n"):
        (tmp_path / "password").write_text(content, encoding="utf-8")
        with pytest.raises(SettingsError, match="is empty"):
            load_settings()
    monkeypatch.setenv("MODERATE_REDIS__PASSWORD_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="No such file"):
        load_settings()


def test_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that can be guessed seals nothing; the message does not say it."""
    monkeypatch.setenv("MODERATE_REDIS__SECRET", "shortword")
    with pytest.raises(SettingsError, match="MODERATE_REDIS__SECRET: a secret has at least 16") as caught:
        load_settings()
    assert "shortword" not in str(caught.value)


@pytest.mark.parametrize("command", [["run"], ["doctor", "--only", "settings"]])
def test_no_command_shows_the_password(
    command: list[str], moderate_here: ModerateHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker ends with 2 in one line, the doctor with its findings; neither knows the word."""
    monkeypatch.setenv("MODERATE_REDIS__URL", "redis://:swordfish#1@h:6379/0")
    done = moderate_here(*command)
    assert done.code == (2 if command == ["run"] else 1)
    assert "MODERATE_REDIS__URL" in done.output + done.errors
    assert "swordfish" not in done.output + done.errors
    assert command != ["run"] or len(done.errors.splitlines()) == 1
