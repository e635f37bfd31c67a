"""`moderate doctor` as its users run it: what it prints, how it ends, and what it leaves behind, which is nothing."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError
from redis import Redis

from tests.worker.commands.doctor.conftest import Doctor, settings_of
from tests.worker.commands.doctor.helpers import PARTITIONS, closed_port, make_topics, outputs, silent_port
from tests.worker.conftest import ModerateHere
from tests.worker.system import Stream, administrator, post
from tests.worker.test_kafka_faults import check_once, lines

ROOT = Path(__file__).parents[4]
LIMIT_SECONDS = 30


def run_doctor(
    settings: dict[str, str], folder: Path, *arguments: str, limits: dict[int, int] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run it under settings alone, with limits of the process."""

    def limit() -> None:
        for kind, most in (limits or {}).items():
            resource.setrlimit(kind, (most, most))

    # The width of somebody's terminal is theirs.
    others = ((name, value) for name, value in os.environ.items() if name != "COLUMNS")
    environment = {name: value for name, value in others if not name.startswith("MODERATE_")}
    return subprocess.run(
        [sys.executable, "-m", "worker", "doctor", *arguments],
        env=environment | {"PYTHONPATH": str(ROOT)} | settings, cwd=folder, preexec_fn=limit,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


async def traces(stream: Stream) -> dict[str, Any]:
    """Return what could have changed: topics and their ends, groups and offsets, keys of Redis."""
    async with administrator(stream) as admin:
        names = [name for name in await admin.list_topics() if not name.startswith("__")]
        groups = await admin.list_consumer_groups()
        offsets = None
        while offsets is None:
            # The first group of a fresh broker waits for the offsets topic.
            with suppress(GroupCoordinatorNotAvailableError):
                offsets = await admin.list_consumer_group_offsets(stream.name)
    reader = AIOKafkaConsumer(bootstrap_servers=stream.servers.kafka)
    await reader.start()
    try:
        sources = [TopicPartition(name, n) for name in [stream.posts, *outputs(stream)] for n in range(PARTITIONS)]
        ends = await reader.end_offsets(sources)
    finally:
        await reader.stop()
    with Redis.from_url(stream.servers.redis) as redis:
        keys = redis.dbsize()
    return {"topics": sorted(names), "groups": sorted(groups), "offsets": offsets, "ends": ends, "keys": keys}


async def test_nothing_is_left_behind(stream: Stream, tmp_path: Path) -> None:
    """A healthy system is ok throughout, model and all; topics, groups, offsets and Redis are as they were."""
    await make_topics(stream)
    before = await traces(stream)
    settings = settings_of(stream, closed_port())
    done = await asyncio.to_thread(run_doctor, settings, tmp_path, "--json", "--timeout", "200")
    said = json.loads(done.stdout)
    bad = [one for one in said["findings"] if one["status"] != "ok" and one["check"] != "machine.threads"]
    assert (done.returncode, bad, done.stderr) == (0, [], "")
    assert said["summary"]["would_run"] is True
    assert {"checkpoint.model", "transactions.begin", "machine.clock"} <= {one["check"] for one in said["findings"]}
    assert await traces(stream) == before


async def test_a_live_worker_is_not_disturbed(stream: Stream, doctor: Doctor) -> None:
    """Beside a worker under load: no fence, no rebalance, every post labelled once; port and name are its own."""
    await make_topics(stream)
    name = {"KAFKA__GROUP_INSTANCE_ID": "pod-0"}
    worker = await (await stream.start(**name)).ready()
    port = int(worker.address.rpartition(":")[2])
    fed = await stream.feed([post(f"a-{n}", text=f"thought {n}") for n in range(100)], PARTITIONS)
    found = await doctor(settings_of(stream, port, **name))
    fed += await stream.feed([post(f"b-{n}", text=f"more {n}") for n in range(20)], PARTITIONS)
    assert (found.code, found.bad()) == (0, [])
    assert "a worker runs here" in found.of("machine.port")[0]["says"]
    assert "held by the worker that runs here" in found.of("group.static_name")[0]["says"]
    await stream.settled(fed, 60)
    check_once(await stream.labels(), fed, stream)
    assert len(lines(worker, "partitions_assigned")) == 1
    assert not lines(worker, "lane_broken")
    assert not lines(worker, "partitions_given_up")
    assert await worker.end() == 0


@pytest.mark.slow
def test_nobody_answers(tmp_path: Path) -> None:
    """Where broker and Redis hang, all is said within the limit; each finding is one line, the summary is the last."""
    with silent_port() as kafka, silent_port() as redis:
        settings = {
            "MODERATE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
            "MODERATE_REDIS__URL": f"redis://127.0.0.1:{redis}/0",
        }
        started = time.monotonic()
        done = run_doctor(settings, tmp_path, "--only", "settings,broker,topics,group,redis")
    assert time.monotonic() - started < LIMIT_SECONDS
    assert (done.returncode, done.stderr) == (1, "")
    *findings, empty, summary = done.stdout.splitlines()
    assert (empty, summary.endswith("this worker would not run")) == ("", True)
    assert summary.startswith("1 failure, 1 warning, ")
    (named,) = [n for n, line in enumerate(findings) if line.startswith("✗ failure")]
    assert "broker.transport" in findings[named]
    assert findings[named + 1].strip().startswith("→ ")
    assert sum("needs broker.transport" in line for line in findings) == 4  # an area each
    assert not any(line != line.rstrip() for line in findings)


SECRETS = {
    "where all is well": {"MODERATE_KAFKA__SASL_PASSWORD": "hunter-two"},
    "where another setting of the group is wrong": {
        "MODERATE_KAFKA__SASL_PASSWORD": "hunter-two", "MODERATE_KAFKA__HEARTBEAT_INTERVAL_SECONDS": "20"},
    "where it is misspelt": {"MODERATE_KAFKA__SASL_PASWORD": "hunter-two"},
    "where the address is none": {"MODERATE_REDIS__URL": "http://someone:hunter-two@cache:6379/0"},
    "where the address cannot be read": {"MODERATE_REDIS__URL": "redis://someone:hunter-two@cache:port/0"},
    "where the name does not resolve": {"MODERATE_REDIS__URL": "redis://:hunter-two@cache.invalid:6379/0"},
}  # fmt: skip


@pytest.mark.parametrize("case", SECRETS)
async def test_secrets_are_never_shown(doctor: Doctor, case: str) -> None:
    """No password of a setting or an address is printed, for a person or a program, whatever else is wrong."""
    settings = {"MODERATE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"} | SECRETS[case]
    for arguments in ((), ("--json",)):
        code, output = await doctor.says(settings, *arguments, only="settings,broker,redis")
        assert (code, "hunter-two" in output, "Traceback" in output) == (1, False, False)


@pytest.mark.slow
def test_limits_of_the_process(tmp_path: Path) -> None:
    """A disk that takes no byte more is a failure, few open files a warning, a TMPDIR that is none as well."""
    done = run_doctor({}, tmp_path, "--json", "--only", "machine.disk", limits={resource.RLIMIT_FSIZE: 0})
    (disk,) = json.loads(done.stdout)["findings"]
    assert (done.returncode, disk["check"], disk["status"]) == (1, "machine.disk", "failure")
    assert "TMPDIR" in disk["remedy"]
    areas = ("--only", "machine.files,machine.disk")
    done = run_doctor({"TMPDIR": "/nowhere"}, tmp_path, "--json", *areas, limits={resource.RLIMIT_NOFILE: 200})
    disk, files = json.loads(done.stdout)["findings"]
    assert (done.returncode, disk["status"], files["status"]) == (0, "warning", "warning")
    assert ("TMPDIR" in disk["remedy"], "ulimit -n" in files["remedy"]) == (True, True)


def test_a_file_of_settings(tmp_path: Path, moderate_here: ModerateHere, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `.env` sets is counted, and its misspelt names are found."""
    (tmp_path / ".env").write_text("MODERATE_KAFKA__GROUP_ID=a\nMODERATE_REDIS_URL=redis://cache\n", encoding="utf-8")
    monkeypatch.setenv("MODERATE_KAFKA__GROUP_ID", "b")
    done = moderate_here("doctor", "--json", "--only", "settings.names,settings.values")
    file, names, values = json.loads(done.output)["findings"]
    assert ("sets 2" in file["says"], "overrules MODERATE_KAFKA__GROUP_ID" in file["says"]) == (True, True)
    assert (names["status"], "MODERATE_REDIS__URL" in names["remedy"]) == ("warning", True)
    assert (values["status"], done.code) == ("ok", 0)


def test_wrong_usage(moderate_here: ModerateHere) -> None:
    """An area that there is not, and an option that there is not, end with 2 and one line."""
    for arguments in (("--only", "weather"), ("--nonsense",), ("--timeout", "0")):
        ended = moderate_here("doctor", *arguments)
        assert (ended.code, ended.output, len(ended.errors.splitlines())) == (2, "", 1)


def test_a_broken_setting_is_a_finding(moderate_here: ModerateHere, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends every other command with 2 is named here; what needs no settings is looked at all the same."""
    monkeypatch.setenv("MODERATE_HTTP__PORT", "http")
    monkeypatch.setenv("MODERATE_PRECISION", "int8")
    done = moderate_here("doctor", "--json")
    findings = json.loads(done.output)["findings"]
    failures = [one["says"] for one in findings if one["status"] == "failure"]
    assert (done.code, len(failures)) == (1, 2)
    assert {"machine.memory", "machine.disk"} <= {one["check"] for one in findings if one["status"] == "ok"}
    assert {one["check"] for one in findings if one["status"] == "skipped"} >= {"broker", "redis", "checkpoint"}
