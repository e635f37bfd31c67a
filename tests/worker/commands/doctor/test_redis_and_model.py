"""A Redis, a checkpoint and a device that are not as they should be."""

import json
from itertools import count
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from tests.worker.checkpoints import recalibrated
from tests.worker.commands.doctor.conftest import Doctor, check
from tests.worker.commands.doctor.helpers import closed_port
from tests.worker.redis_servers import address_of
from worker.commands.doctor.machine import Machine
from worker.commands.stack.server import Server

MODEL = "settings,checkpoint,machine.device,machine.threads"


async def test_a_redis_with_a_password(doctor: Doctor, redis: Server) -> None:
    """A password that is missing or wrong is told, the one that was given never shown."""
    with Redis.from_url(address_of(redis)) as client:
        client.config_set("requirepass", "sesame")
    url = address_of(redis)
    check(await doctor({"MODERATE_REDIS__URL": url}, only="redis"), "redis.log_in", "warning",
          "Authentication required", "MODERATE_REDIS__URL")  # fmt: skip
    wrong = url.replace("//", "//:wrong-one@")
    found = await doctor({"MODERATE_REDIS__URL": wrong}, only="redis")
    check(found, "redis.log_in", "warning", "MODERATE_REDIS__URL")
    assert "wrong-one" not in json.dumps(found.findings)
    right = await doctor({"MODERATE_REDIS__URL": url.replace("//", "//:sesame@")}, only="redis")
    assert (right.bad(), right.code) == ([], 0)
    assert "sesame" not in json.dumps(right.findings)


def fill(client: Redis) -> None:
    """Write entries until there is no room."""
    for number in count():
        client.set(f"mmorient:{number}", b"x" * 10_000)


async def test_a_full_redis(doctor: Doctor, redis: Server) -> None:
    """One that is full and evicts nothing stores nothing."""
    with Redis.from_url(address_of(redis)) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        with pytest.raises(OutOfMemoryError):
            fill(client)
    check(await doctor({"MODERATE_REDIS__URL": address_of(redis)}, only="redis"), "redis.memory", "warning",
          "it is full", "maxmemory-policy", "allkeys-lru")  # fmt: skip


async def test_a_redis_of_somebody_elses(doctor: Doctor, redis: Server) -> None:
    """Keys of others are counted; a user that may write nothing, and a replica, are told."""
    url = address_of(redis)
    with Redis.from_url(url) as client:
        client.set("session:1", b"x")
        check(await doctor({"MODERATE_REDIS__URL": url}, only="redis"), "redis.keys", "warning",
              "1 of 1 keys", "MODERATE_REDIS__URL")  # fmt: skip
        client.flushall()
        client.acl_setuser("reader", enabled=True, passwords=["+sesame"], keys=["*"], commands=["+@read", "+ping"])
        reader = url.replace("//", "//reader:sesame@")
        check(await doctor({"MODERATE_REDIS__URL": reader}, only="redis"), "redis.write", "warning", "SET")
        client.replicaof("127.0.0.1", closed_port())
        found = await doctor({"MODERATE_REDIS__URL": url}, only="redis.write")
        check(found, "redis.write", "warning", "replica", "master")


@pytest.mark.slow
async def test_a_checkpoint_that_is_not_there(doctor: Doctor, tmp_path: Path) -> None:
    """It is named with the file."""
    found = await doctor({"MODERATE_CHECKPOINT": str(tmp_path / "none")}, only="checkpoint")
    check(found, "checkpoint.folder", "failure", "config.json", "MODERATE_CHECKPOINT")


@pytest.mark.model
async def test_a_broken_checkpoint(doctor: Doctor, tmp_path: Path) -> None:
    """One with a flipped byte is named with the file."""
    folder = recalibrated(tmp_path / "broken")
    head = folder / "head.safetensors"
    content = bytearray(head.read_bytes())
    content[-1] ^= 1
    head.unlink()
    head.write_bytes(content)
    found = await doctor({"MODERATE_CHECKPOINT": str(folder)}, "--timeout", "120", only="checkpoint")
    check(found, "checkpoint.model", "failure", "head.safetensors", "sha256", "MODERATE_CHECKPOINT")


@pytest.mark.model
async def test_a_device_that_is_not_there(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is asked for and not found is named; more threads than a container has processors as well."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(Machine, "processors", 0.5)
    found = await doctor({"MODERATE_DEVICE": "cuda"}, "--timeout", "120", only=MODEL)
    assert found.bad() == [("machine.device", "failure"), ("machine.threads", "warning")]
    assert "MODERATE_DEVICE=cpu" in found.of("machine.device")[0]["remedy"]
    assert "OMP_NUM_THREADS=1" in found.of("machine.threads")[0]["remedy"]
    assert found.of("checkpoint.model")[0]["says"] == "needs machine.device"
