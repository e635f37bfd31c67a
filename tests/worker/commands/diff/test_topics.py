"""Comparisons of topics on a real Kafka: committed labels alone, joined by place, with the posts they are of."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from tests.worker.commands.diff.conftest import Ran, Run
from tests.worker.system import Position, Stream, administrator, post

PARTITIONS = 2
POSTS = 60
CHECKPOINTS = {"old": f"sha256:{'a' * 64}", "new": f"sha256:{'b' * 64}"}


def label(stream: Stream, position: Position, task: str, *, said: bool, which: str = "old") -> bytes:
    """Return a Label's bytes."""
    names = {"sarcasm": ("not_sarcastic", "sarcastic"), "offensiveness": ("not_offensive", "offensive")}[task]
    shares = (0.2, 0.8) if said else (0.7, 0.3)
    return json.dumps(
        {
            "post_id": f"p-{position[0]}-{position[1]}",
            "task": task,
            "label": names[said],
            "probabilities": dict(zip(names, shares, strict=True)),
            "intensity": None,
            "modalities": ["text"],
            "unavailable": [],
            "model": {
                "name": "made-up",
                "checkpoint": CHECKPOINTS[which],
                "graph_context": "bank",
                "precision": "fp32",
            },
            "source": {"topic": stream.posts, "partition": position[0], "offset": position[1]},
            "schema": "label/1",
        }
    ).encode()


@asynccontextmanager
async def writer(stream: Stream) -> AsyncIterator[AIOKafkaProducer]:
    """Give a transactional producer."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, transactional_id=f"{stream.name}.writer")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def write(
    producer: AIOKafkaProducer, topic: str, records: Sequence[tuple[int, bytes]], *, commit: bool = True
) -> None:
    """Write records in one transaction."""
    await producer.begin_transaction()
    for partition, value in records:
        await producer.send(topic, value, partition=partition)
    await producer.flush()
    await (producer.commit_transaction() if commit else producer.abort_transaction())


async def make_topics(stream: Stream, *names: str) -> None:
    """Make topics of two partitions."""
    async with administrator(stream) as admin:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])


Compare = Callable[..., Awaitable[Ran]]


@pytest.fixture
def compare(run: Run, stream: Stream) -> Compare:
    """Give `moderate diff` on the broker, in this process."""

    async def work(*arguments: object) -> Ran:
        return await asyncio.to_thread(run, *arguments, "--kafka-bootstrap-servers", stream.servers.kafka)

    return work


@pytest.fixture
async def filled(stream: Stream) -> list[Position]:
    """Fill posts, labels of two tasks and shadows of one; return the posts' places.

    Every fifth post's sarcasm flips in the shadow, all of them in one community. What was aborted would flip all.
    """
    shadow = f"{stream.label_topic('sarcasm')}.shadow"
    labels = [stream.label_topic(task) for task in ("sarcasm", "offensiveness")]
    await make_topics(stream, stream.posts, *labels, shadow, f"{stream.name}.empty")
    values = [
        post(f"p-{n}", text="so\x1b[2J funny" if n % 5 == 0 else "plain", community="jokes" if n % 5 == 0 else "news")
        for n in range(POSTS)
    ]
    places = await stream.feed(values, PARTITIONS)
    # `feed` goes partition by partition: the post's number is that of its place.
    numbers = {(p, o): p + o * PARTITIONS for p, o in places}
    assert sorted(numbers.values()) == list(range(POSTS))
    async with writer(stream) as producer:
        everything = [(at[0], label(stream, at, "sarcasm", said=True)) for at in places]
        repeated = [(at[0], label(stream, at, "sarcasm", said=False)) for at in places[:3]]
        await write(producer, labels[0], [*repeated, *everything])
        await write(
            producer, labels[0], [(at[0], label(stream, at, "sarcasm", said=False)) for at in places], commit=False
        )
        await write(producer, labels[1], [(at[0], label(stream, at, "offensiveness", said=False)) for at in places])
        # The last post has no shadow yet.
        for at in places[:-1]:
            said = numbers[at] % 5 != 0
            await write(producer, shadow, [(at[0], label(stream, at, "sarcasm", said=said, which="new"))])
    return places


async def test_topics_are_compared_by_the_places_of_their_posts(
    stream: Stream, filled: list[Position], compare: Compare
) -> None:
    """Markers and aborted labels are none, of repeats the last counts, the posts' texts and communities are read."""
    left, right = f"{stream.name}.labels.{{task}}", f"{stream.name}.labels.{{task}}.shadow"
    page = stream.folder / "diff.html"
    ran = await compare(left, right, "--json", "--html", str(page), "--fail-over", "0.1")
    assert (ran.code, "too many labels flip: 20.34% of sarcasm (more than 0.1)" in ran.errors) == (3, True), ran.errors
    report = json.loads(ran.output)
    flips = sum(1 for n in range(POSTS) if n % 5 == 0)
    found = report["tasks"]["sarcasm"]
    assert (report["joined_by"], report["posts"]["joined"], report["posts"]["described"]) == (
        "source",
        POSTS - 1,
        POSTS - 1,
    )
    assert (found["posts"], found["flips"], found["matrix"]) == (POSTS - 1, flips, [[0, 0], [flips, POSTS - 1 - flips]])
    assert (report["left"]["repeats"], report["posts"]["left_only"]) == (3, 1)
    last = filled[-1]
    assert report["posts"]["left_only_first"] == [f"p-{last[0]}-{last[1]} ({stream.posts}[{last[0]}]@{last[1]})"]
    assert any("not compared: offensiveness" in notice for notice in report["notices"])
    assert [one["checkpoint"] for one in report["left"]["models"]] == [CHECKPOINTS["old"]]
    communities = {one["value"]: (one["posts"], one["flips"]) for one in found["slices"] if one["by"] == "community"}
    assert communities == {"jokes": (flips, flips), "news": (POSTS - 1 - flips, 0)}
    assert report["moved"][0]["text"] == "so\x1b[2J funny"
    assert "so⟨U+001B⟩[2J funny" in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("filled")
async def test_a_topic_with_itself_has_no_flips_and_bounds_are_kept(stream: Stream, compare: Compare) -> None:
    """Nor where a part of it alone is read, without its posts."""
    topic = stream.label_topic("sarcasm")
    ran = await compare(topic, f"topic:{topic}", "--json", "--fail-over", "0")
    assert ran.code == 0, ran.errors
    report = json.loads(ran.output)
    assert (report["posts"]["joined"], report["tasks"]["sarcasm"]["flips"], report["moved"]) == (POSTS, 0, [])
    ran = await compare(topic, topic, "--partitions", "1", "--from", "4", "--to", "14", "--no-posts", "--json")
    report = json.loads(ran.output)
    assert (ran.code, report["posts"]["joined"], report["posts"]["described"]) == (0, 10, None)
    assert [(part["partition"], part["since"], part["until"]) for part in report["left"]["ranges"]] == [(1, 4, 14)]


async def test_a_topic_and_a_file_are_compared(stream: Stream, filled: list[Position], compare: Compare) -> None:
    """Lines of `mmorient label` know no place: they are joined by the posts' ids; the topic's posts are still read."""
    line = {
        "sarcasm": {"label": "sarcastic", "probabilities": {"not_sarcastic": 0.2, "sarcastic": 0.8}, "intensity": None}
    }
    file = stream.folder / "labels.jsonl"
    file.write_text(
        "".join(json.dumps({"id": f"p-{p}-{o}", "labels": line, "modalities": ["text"]}) + "\n" for p, o in filled)
    )
    ran = await compare(str(file), f"{stream.label_topic('sarcasm')}.shadow", "--json")
    report = json.loads(ran.output)
    assert (ran.code, report["joined_by"], report["posts"]["described"]) == (0, "post_id", POSTS - 1), ran.errors
    assert report["tasks"]["sarcasm"]["flips"] == POSTS // 5


@pytest.mark.usefixtures("filled")
async def test_what_cannot_be_compared_is_said_in_one_line(stream: Stream, compare: Compare) -> None:
    """A topic that is not there is wrong usage; one without labels was compared with nothing."""
    topic = stream.label_topic("sarcasm")
    for arguments, exit_code, said in (
        ((topic, "no-such-topic"), 2, "no-such-topic: neither a file nor a topic at"),
        (("no-such.{task}", topic), 2, "no-such.{task}: neither a file nor a topic at"),
        ((topic, f"{stream.name}.empty"), 1, "nothing was compared"),
        ((topic, topic, "--fail-over", "humour=0.1"), 1, "--fail-over humour: no labels of humour were compared"),
    ):
        ran = await compare(*arguments)
        assert (ran.code, said in ran.errors, "Traceback" in ran.errors) == (exit_code, True, False), (
            ran.output + ran.errors
        )
        assert ran.errors.count("\n") == 1


async def test_following_ends_when_it_is_told_to(stream: Stream, filled: list[Position]) -> None:
    """What comes meanwhile is compared as well; Ctrl-C ends it with the last report, and its verdict."""
    shadow = f"{stream.label_topic('sarcasm')}.shadow"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", "diff", stream.label_topic("sarcasm"), shadow,
        "--follow", "--every", "0.2", "--json", "--fail-over", "0.5",
        env={**os.environ, **stream.environment()}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )  # fmt: skip

    async def report() -> dict[str, Any]:
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line, (await process.communicate())[1]
        read: dict[str, Any] = json.loads(line)
        return read

    try:
        async with asyncio.timeout(60):
            assert (await report())["posts"] | {"left_only_first": []} == {
                "joined": POSTS - 1, "left_only": 1, "right_only": 0, "left_only_first": [], "right_only_first": [],
                "described": POSTS - 1,
            }  # fmt: skip
            async with writer(stream) as producer:
                last = filled[-1]
                await write(producer, shadow, [(last[0], label(stream, last, "sarcasm", said=False, which="new"))])
            grown = await report()
            assert (grown["posts"]["joined"], grown["posts"]["described"]) == (POSTS, POSTS)
            assert grown["tasks"]["sarcasm"]["flips"] == POSTS // 5 + 1
            process.send_signal(signal.SIGINT)
            assert await report() == grown
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
