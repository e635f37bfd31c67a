"""The same post by the stream's stages, over HTTP and by `mmorient label`: the same digits."""

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from mmorient import Moderator, explain_document
from mmorient.checkpointing.inspecting import describe
from mmorient.cli import mmorient
from tests.worker.serving.posts import mixed_posts
from tests.worker.serving.processes import Served, serving_process
from tests.worker.system import Stream
from worker.items import Item
from worker.labelling.stages import Stages, load_moderator, open_cache
from worker.output.records import RecordBuilder, stamp_of
from worker.serving.answers import Answer
from worker.serving.opening import open_labeller
from worker.serving.posted import PostedRecord
from worker.serving.shapes import ModelAnswer
from worker.settings import load_settings
from worker.telemetry.tracing import NoTraces
from worker.watchdog import Watchdog

_SOURCE = re.compile(rb',"source":\{[^}]*\}')
_QUICK = 40
# Answers, explanations by post, and what is said of the model.
Said = tuple[list[Answer], dict[bytes, Any], dict[str, Any]]


def without_source(value: bytes) -> bytes:
    """Return a label record's value without its place in Kafka."""
    shorter, count = _SOURCE.subn(b"", value)
    assert count == 1
    return shorter


async def by_stages(posts: Sequence[bytes]) -> list[dict[str, bytes] | str]:
    """Return what the stream writes of each post: a record by topic, or the reason of its dead letter."""
    settings = load_settings({"redis": {"url": ""}})
    async with AsyncExitStack() as stack:
        moderator = await load_moderator(settings)
        cache = await open_cache(stack, settings.redis)
        stages = await Stages.build(stack, settings, moderator, cache, Watchdog(60))
        builder = RecordBuilder(
            routes={task: task for task in settings.kafka.routes},
            dead_letter_topic="dead",
            max_dead_letter_bytes=2**24,
            stamp=stamp_of(moderator, exact=True),
        )
        items = [Item(PostedRecord(value, number, 0)) for number, value in enumerate(posts)]
        for start in range(0, len(items), 64):
            await stages.run(items[start : start + 64])
        return [
            f"{item.rejection.stage}/{item.rejection.reason}"
            if item.rejection is not None
            else {record.topic: record.value or b"" for record in builder.records([item])}
            for item in items
        ]


@pytest.fixture(scope="module")
def answers() -> Said:
    """Give what a labeller says of the quick posts, of which many are asked for at once, and why of the first ones."""
    return asyncio.run(by_labeller(mixed_posts(_QUICK)))


async def by_labeller(posts: Sequence[bytes]) -> Said:
    """Return answers, and explanations of some."""
    async with AsyncExitStack() as stack:
        labeller, model = await open_labeller(stack, load_settings({"redis": {"url": ""}}), NoTraces())
        run = asyncio.create_task(labeller.run())
        asked = [labeller.label(posts[start : start + 3]) for start in range(0, len(posts), 3)]
        found = [answer for part in await asyncio.gather(*asked) for answer in part]
        usable = [post for post, answer in zip(posts, found, strict=True) if answer.labels]
        seen = [
            post for post, answer in zip(posts, found, strict=True) if b'"image"' in answer.labels.get("sarcasm", b"")
        ]
        # One after the other: each is as much work as many posts.
        reasons = {post: await labeller.explain(post) for post in (*usable[:3], seen[0])}
        await labeller.drain()
        await run
        return found, reasons, model


async def test_http_says_what_the_topics_say(answers: Said) -> None:
    """Byte by byte but for the place in Kafka; of what has no labels the same stage and reason."""
    expected = await by_stages(mixed_posts(_QUICK))
    said = [
        f"{answer.refusal.stage}/{answer.refusal.reason}" if answer.refusal is not None else answer.labels
        for answer in answers[0]
    ]
    assert said == [
        one if isinstance(one, str) else {task: without_source(value) for task, value in one.items()}
        for one in expected
    ]
    assert sum(isinstance(one, str) for one in said) >= 2
    assert sum(answer.passed_over == "deletion" for answer in answers[0]) == 1


def test_the_command_says_the_same(answers: Said, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`mmorient label` has the same labels, probabilities and intensities."""
    lines = labelled_by_command(mixed_posts(_QUICK), tmp_path, capsys)
    compared = 0
    for answer in answers[0]:
        if answer.labels:
            for task, value in answer.labels.items():
                assert picked(json.loads(value)) == picked(lines[answer.post_id]["labels"][task])
                compared += 1
    assert compared >= 3 * (_QUICK - 10)


def test_an_explanation_is_that_of_the_command(answers: Said) -> None:
    """All of it, with pictures that the confined children decoded; its labels are those of /v1/label."""
    by_id = {answer.post_id: answer for answer in answers[0]}
    moderator = Moderator.from_checkpoint()
    for post, document in answers[1].items():
        assert document == explain_document(post, moderator)
        for task, value in by_id[document["id"]].labels.items():
            assert picked(document["labels"][task]) == picked(json.loads(value))
    assert any(document["pictures"] for document in answers[1].values())


def test_the_model_is_the_one_that_the_command_inspects(answers: Said) -> None:
    """In short: what both say is the same."""
    model, inspected = answers[2], describe()
    for name in ("name", "checkpoint", "shares"):
        assert model[name] == inspected[name]
    assert model["embedding"].startswith("sha256:")
    assert model["bank"]["posts"] == inspected["bank"]["posts"]
    for task, shape in inspected["tasks"].items():
        assert model["tasks"][task] == {name: list(value) for name, value in shape.items()}
    assert ModelAnswer.model_validate(model).languages == ["en"]


def picked(label: dict[str, Any]) -> tuple[Any, ...]:
    """Return what all three say of a task."""
    return label["label"], label["probabilities"], label["intensity"]


def labelled_by_command(
    posts: Sequence[bytes], folder: Path, capsys: pytest.CaptureFixture[str]
) -> dict[Any, dict[str, Any]]:
    """Return the lines of `mmorient label`, by id."""
    file = folder / "posts.jsonl"
    file.write_bytes(b"\n".join(posts) + b"\n")
    with pytest.raises(Exception, match=r"not posts|not a post"):
        mmorient.main(["label", str(file)], standalone_mode=False)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["id"]: line for line in found}


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_thousand_posts_by_topic_by_http_and_by_command(
    stream: Stream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All three are programs of their own, started as their users start them."""
    posts = mixed_posts(1000)
    await stream.create_topics(1)
    worker = await (await stream.start()).ready()
    positions = await stream.feed(posts, 1)
    await stream.settled(positions, 300)
    labels = await stream.labels()
    dead = await stream.dead_letters()
    assert await worker.end() == 0
    # However busy the machine is.
    async with serving_process(tmp_path, redis=stream.servers.redis, SERVE__DEADLINE_SECONDS="120") as served:
        served_answers = await _ask(served, posts)
    lines = labelled_by_command(posts, tmp_path, capsys)
    compared = 0
    for position, answer in zip(positions, served_answers, strict=True):
        if "error" in answer:
            (letter,) = dead[position]
            said = dict(letter.headers)
            assert answer["error"]["stage"] == said["__connect.errors.stage"].decode()
            assert answer["error"]["message"] == said["__connect.errors.exception.message"].decode()
        elif "labels" in answer:
            for task, label in answer["labels"].items():
                (value,) = labels.by_topic[stream.label_topic(task)][position]
                record = json.loads(value)
                del record["source"]
                assert record == label
                assert picked(label) == picked(lines[answer["post_id"]]["labels"][task])
                compared += 1
    assert compared > 2900


async def _ask(served: Served, posts: Sequence[bytes]) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=served.address, timeout=60, trust_env=False) as client:
        # One by one: what is no JSON cannot stand in a list.
        limit = asyncio.Semaphore(16)

        async def ask(post: bytes) -> dict[str, Any]:
            async with limit:
                found: dict[str, Any] = (await client.post("/v1/label", content=post)).json()
                return found

        return await asyncio.gather(*map(ask, posts))
