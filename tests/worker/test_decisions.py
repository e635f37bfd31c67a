"""Decisions from outside: a worker with policies, whose rules are replaced while it runs."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.worker.patience import within
from tests.worker.system import TASKS, Stream, Worker, headers_of, post

HARSH = "those people breed like rats"
KIND = "what a lovely day for a walk"


def rule(name: str, **fields: object) -> str:
    """Return a rule as TOML; offensive from 0.4 on is reviewed, unless fields say otherwise."""
    about = {"name": name, "task": "offensiveness", "label": "offensive", "threshold": 0.4, "decision": "review"}
    return "\n".join(["[[rule]]", *(f"{key} = {json.dumps(value)}" for key, value in (about | fields).items()), ""])


def settings_of(stream: Stream, folder: Path, *rules: str) -> dict[str, str]:
    """Write rules, and return what a worker is told of them."""
    folder.mkdir(exist_ok=True)
    (folder / "rules.toml").write_text("\n".join(rules), encoding="utf-8")
    return {
        "POLICIES": str(folder),
        "KAFKA__DECISIONS_TOPIC": f"{stream.name}.decisions",
        "KAFKA__POLICIES_TOPIC": f"{stream.name}.policies",
    }


async def decisions_of(stream: Stream) -> dict[str, list[Any]]:
    """Return the records of decisions by the id of their post."""
    found: dict[str, list[Any]] = {}
    for record in (await stream.read(f"{stream.name}.decisions"))[f"{stream.name}.decisions"]:
        found.setdefault(json.loads(record.value)["post_id"], []).append(record)
    return found


async def in_force(worker: Worker, version: str, seconds: float = 20.0) -> None:
    """Wait until a worker goes by a version."""
    async with within(seconds):
        while (
            f'moderate_policy_info{{source="topic",version="{version}"}} 1.0' not in (await worker.get("/metrics")).text
        ):
            await asyncio.sleep(0.05)


async def published(stream: Stream, folder: Path, **settings: str) -> str:
    """Publish a folder; return the version."""
    code, output, errors = await stream.command("policies", "publish", str(folder), **settings)
    assert code == 0, errors
    return re.findall(r"^published: (sha256:[0-9a-f]{64})", output, re.MULTILINE)[0]


async def test_decisions_stand_beside_labels_and_their_rules_are_replaced_while_the_worker_runs(stream: Stream) -> None:
    """In their post's partition under its key, once each; what is published is in force also after a restart."""
    folder = stream.folder / "policies"
    settings = settings_of(stream, folder, rule("everywhere"), rule("games", community="games*", threshold="never"))
    await stream.create_topics(2, **settings)
    worker = await (await stream.start(**settings)).ready()
    first = [
        post("harsh", text=HARSH),
        post("kind", text=KIND),
        post("harsh-games", text=HARSH, community="games.retro"),
        post("harsh-gardening", text=HARSH, community="gardening"),
    ]
    await stream.settled(await stream.feed(first, 2), 60)
    decided = await decisions_of(stream)
    assert sorted(decided) == ["harsh", "harsh-gardening"]
    labels = {
        json.loads(record.value)["post_id"]: record
        for record in (await stream.read(stream.label_topic("offensiveness")))[stream.label_topic("offensiveness")]
    }
    for name, (record,) in decided.items():
        label, value, said = labels[name], json.loads(record.value), json.loads(labels[name].value)
        assert (record.partition, record.key) == (label.partition, label.key)
        assert value["source"] == said["source"]
        assert value["model"] == said["model"]
        assert [one["rule"] for one in value["decisions"]] == ["everywhere"]
        assert value["decisions"][0]["probability"] == said["probabilities"]["offensive"]
        assert headers_of(record)["traceparent"] == headers_of(label)["traceparent"]
        assert headers_of(record)["moderate.group"] == stream.name.encode()

    new = stream.folder / "new"
    settings_of(stream, new, rule("everywhere", threshold="never"), rule("games", community="games*", decision="mute"))
    version = await published(stream, new, **settings)
    await in_force(worker, version)
    await stream.settled(
        await stream.feed([post(f"later-{n}", text=HARSH, community="games") for n in range(2)], 2), 60
    )
    later = await decisions_of(stream)
    assert sorted(later) == ["harsh", "harsh-gardening", "later-0", "later-1"]
    value = json.loads(later["later-0"][0].value)
    assert [one["decision"] for one in value["decisions"]] == ["mute"]
    assert value["policy"]["version"] == version != json.loads(decided["harsh"][0].value)["policy"]["version"]
    assert 'moderate_decisions_total{decision="mute",rule="games"} 2.0' in (await worker.get("/metrics")).text
    assert await worker.end() == 0

    again = await (await stream.start("again", **settings)).ready()
    await in_force(again, version)
    assert "policies_of_folder_not_in_force" in again.log()
    assert await again.end() == 0


@pytest.mark.soak
async def test_a_death_loses_and_doubles_no_decision(stream: Stream) -> None:
    """Killed with SIGKILL amid posts and followed by another, each post has its labels and its decision once."""
    settings = settings_of(stream, stream.folder / "policies", rule("everywhere", threshold=0.0001))
    await stream.create_topics(3, **settings)
    worker = await (await stream.start(**settings)).ready()
    positions = await stream.feed([post(f"p-{n}", text=f"{HARSH}, I say it {n} times") for n in range(900)], 3)
    while len(await decisions_of(stream)) < 100:
        await asyncio.sleep(0.05)
    await worker.end(signal.SIGKILL)
    assert 0 < len(await decisions_of(stream)) < len(positions)
    second = await (await stream.start("second", **settings)).ready()
    await stream.settled(positions, 120)
    found = await stream.labels([*map(stream.label_topic, TASKS), f"{stream.name}.decisions"])
    for topic in found.by_topic:
        assert found.counts(topic) == {1: len(positions)}, topic
    assert len(found.by_topic) == len(TASKS) + 1
    assert found.partitions_differ == 0
    assert await second.end() == 0


@pytest.mark.soak
async def test_what_a_worker_cannot_use_is_refused_and_the_former_policy_stays(stream: Stream) -> None:
    """By a running worker; one that starts ends with one line. Withdrawn, each goes by its folder."""
    settings = settings_of(stream, stream.folder / "policies", rule("everywhere"))
    await stream.create_topics(1, **settings)
    worker = await (await stream.start(**settings)).ready()
    other = stream.folder / "other"
    settings_of(stream, other, rule("humorous", task="humour", label="humorous"))
    code, _, errors = await stream.command("policies", "publish", str(other), **settings)
    assert code == 2
    assert "rule 'humorous': humour is not published" in errors
    # Whoever publishes with other routes is not refused.
    routes = json.dumps({"humour": stream.label_topic("humour")})
    await published(stream, other, **(settings | {"KAFKA__ROUTES": routes}))
    async with within(20):
        while 'moderate_policies_taken_total{result="refused"} 1.0' not in (await worker.get("/metrics")).text:
            await asyncio.sleep(0.05)
    await stream.settled(await stream.feed([post("harsh", text=HARSH)], 1), 60)
    assert [one["rule"] for one in json.loads((await decisions_of(stream))["harsh"][0].value)["decisions"]] == [
        "everywhere"
    ]
    late = await stream.start("late", **settings)
    async with within(90):
        assert await late.process.wait() == 2
    assert "rule 'humorous': humour is not published" in late.log()
    code, output, _ = await stream.command("policies", "withdraw", **settings)
    assert (code, output.startswith("withdrawn: sha256:")) == (0, True)
    async with within(20):
        while 'moderate_policies_taken_total{result="withdrawn"} 1.0' not in (await worker.get("/metrics")).text:
            await asyncio.sleep(0.05)
    assert await worker.end() == 0


@pytest.mark.soak
async def test_without_its_topics_a_worker_with_policies_ends_with_one_line(stream: Stream) -> None:
    """That says what makes them."""
    await stream.create_topics(1)
    settings = settings_of(stream, stream.folder / "policies", rule("everywhere"))
    worker = await stream.start(**settings)
    async with within(90):
        assert await worker.process.wait() == 1
    assert f"topic {stream.name}.decisions does not exist: run `moderate topics create`" in worker.log()
