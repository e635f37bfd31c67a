"""The stream from outside: posts into a real Kafka, `moderate run`, labels out, counted with `read_committed`."""

import asyncio
import json
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.worker.patience import within
from tests.worker.system import TASKS, Stream, headers_of, post, sample_posts

SAMPLES = Path(__file__).parent.parent.parent / "samples"


async def expect_once(stream: Stream, positions: list[tuple[int, int]], dead: int = 0) -> None:
    """Check that every position has one label of each task or one dead letter, and nothing else is there."""
    labels, dead_letters = await stream.labels(), await stream.dead_letters()
    assert {len(records) for records in dead_letters.values()} <= {1}
    assert len(dead_letters) == dead
    assert labels.partitions_differ == 0
    for task in TASKS:
        topic = stream.label_topic(task)
        assert labels.counts(topic) == Counter({1: len(positions) - dead})
        assert set(labels.by_topic[topic]) == set(positions) - set(dead_letters)


async def test_kill_9_in_the_middle_loses_and_doubles_nothing(stream: Stream) -> None:
    """Killed with SIGKILL amid the sample posts and started again, the worker has labelled each post once."""
    await stream.create_topics(3)
    worker = await (await stream.start()).ready()
    values = sample_posts(SAMPLES)
    assert len(values) >= 400
    positions = await stream.feed(values, 3)
    while sum((await stream.labels()).counts(stream.label_topic("sarcasm")).values()) < len(values) // 4:
        await asyncio.sleep(0.1)
    await worker.end(signal.SIGKILL)
    before = (await stream.labels()).counts(stream.label_topic("sarcasm"))
    assert 0 < before[1] < len(values)
    again = await stream.start()
    await stream.settled(positions, 120)
    await expect_once(stream, positions)
    assert await again.end() == 0


@pytest.mark.soak
async def test_two_workers_share_ten_thousand_posts(stream: Stream) -> None:
    """Every one of ten thousand posts has exactly three labels, and both workers did some of the work."""
    partitions, count = 8, 10_000
    await stream.create_topics(partitions)
    texts = [json.loads(value)["text"] for value in sample_posts(SAMPLES) if json.loads(value).get("text")]
    values = [post(f"p-{n}", text=texts[n % len(texts)]) for n in range(count)]
    workers = [await stream.start("first"), await stream.start("second")]
    for worker in workers:
        await worker.ready()
    positions = await stream.feed(values, partitions)
    await stream.settled(positions, 240)
    await expect_once(stream, positions)
    for worker in workers:
        page = (await worker.get("/metrics")).text
        labelled = next(line for line in page.splitlines() if line.startswith("moderate_posts_labelled_total"))
        assert float(labelled.split()[1]) > 0
        assert await worker.end() == 0


@pytest.mark.soak
async def test_partitions_move_between_workers(stream: Stream) -> None:
    """Workers join, leave and are killed while posts flow: each post is labelled once all the same."""
    partitions = 6
    await stream.create_topics(partitions)
    feeding: list[tuple[int, int]] = []

    async def feed(batch: int) -> None:
        values = [post(f"p-{batch}-{n}", text=f"thought {n} of batch {batch}") for n in range(180)]
        feeding.extend(await stream.feed(values, partitions))

    first = await (await stream.start("first")).ready()
    await feed(1)
    second = await (await stream.start("second")).ready()
    await feed(2)
    await first.end(signal.SIGKILL)
    await feed(3)
    third = await (await stream.start("third")).ready()
    await feed(4)
    assert await second.end() == 0
    await stream.settled(feeding, 120)
    await expect_once(stream, feeding)
    assert await third.end() == 0


@pytest.mark.soak
async def test_a_paused_worker_does_not_label_twice(stream: Stream) -> None:
    """A worker that was stopped past its session finds its successor's fence when it goes on."""
    await stream.create_topics(2)
    first = await (await stream.start("first")).ready()
    values = [post(f"p-{n}", text=f"remark {n} while it still rains") for n in range(400)]
    positions = await stream.feed(values, 2)
    while not (await stream.labels()).by_topic:
        await asyncio.sleep(0.05)
    first.process.send_signal(signal.SIGSTOP)
    second = await (await stream.start("second")).ready()
    await stream.settled(positions, 60)
    first.process.send_signal(signal.SIGCONT)
    more = await stream.feed([post(f"q-{n}", text=f"afterthought {n}") for n in range(60)], 2)
    await stream.settled([*positions, *more], 60)
    await expect_once(stream, [*positions, *more])
    assert first.process.returncode is None
    assert await second.end() == 0


async def test_sigterm_drains_and_the_next_start_goes_on(stream: Stream) -> None:
    """SIGTERM in the middle ends in 10 s with exit code 0; nothing is lost or doubled by it."""
    await stream.create_topics(2)
    values = [post(f"p-{n}", text=f"the {n}th post of a long afternoon") for n in range(600)]
    positions = await stream.feed(values, 2)
    worker = await (await stream.start()).ready()
    while not (await stream.labels()).by_topic:
        await asyncio.sleep(0.1)
    started = time.monotonic()
    assert await worker.end(signal.SIGTERM, seconds=10) == 0
    assert time.monotonic() - started < 10
    assert 0 < sum((await stream.labels()).counts(stream.label_topic("sarcasm")).values()) < len(values)
    await stream.start()
    await stream.settled(positions, 90)
    await expect_once(stream, positions)


def handles(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal."""
    caught = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(caught[0], 16) >> (number - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="which signals a process handles is read from /proc")
async def test_a_worker_that_is_still_starting_ends_in_order(stream: Stream) -> None:
    """SIGTERM while torch is imported ends with 0: there is nothing to drain yet."""
    worker = await stream.start(anew=True)
    async with within(30):
        while not handles(worker.process.pid, signal.SIGTERM):
            await asyncio.sleep(0.01)
    assert await worker.end(signal.SIGTERM, seconds=5) == 0


async def test_bad_records_are_dead_lettered_and_their_neighbours_labelled(stream: Stream) -> None:
    """What is no post keeps its bytes, key and headers on the dead-letter topic, and nothing stops for it."""
    await stream.create_topics(1)
    worker = await (await stream.start()).ready()
    bad = [b"?", b"", b"[]", b'{"text": "no id"}', post("y", text="a" * 100_001)]
    junk = post("picture", media=[{"data": "bm90IGEgcGljdHVyZQ=="}])
    mixed = post("mixed", text="still here", media=[{"data": "bm90IGEgcGljdHVyZQ=="}, {"url": "http://10.0.0.1/a.png"}])
    values = [post("first", text="good morning"), *bad, junk, mixed, post("last", text="good night")]
    positions = await stream.feed(values, 1)
    await stream.settled(positions, 60)
    await expect_once(stream, positions, dead=len(bad) + 1)
    dead = await stream.dead_letters()
    for position, ((record,)) in sorted(dead.items()):
        number = position[1]
        headers = headers_of(record)
        assert record.value == (values[number])
        assert record.key == f"key-{number}".encode()
        assert headers["traceparent"].startswith(b"00-")
        assert headers["__connect.errors.topic"] == stream.posts.encode()
        assert headers["__connect.errors.stage"] == (b"media" if values[number] == junk else b"decode")
        assert headers["__connect.errors.exception.message"]
        assert headers["__connect.errors.exception.class.name"]
    label = json.loads((await stream.labels()).by_topic[stream.label_topic("sarcasm")][(0, len(bad) + 2)][0])
    assert label["modalities"] == ["text"]
    assert [(entry["index"], entry["reason"]) for entry in label["unavailable"]] == [
        (0, "not_a_picture"),
        (1, "fetch_failed"),
    ]
    assert (await worker.get("/livez")).status_code == 200
    assert await worker.end() == 0


@pytest.mark.soak
async def test_a_replay_gives_the_same_bytes(stream: Stream) -> None:
    """Another group, other batches, no cache: the labels of the same posts are the same to the byte."""
    await stream.create_topics(2)
    positions = await stream.feed(sample_posts(SAMPLES, 120), 2)
    await stream.start("live")
    await stream.settled(positions, 90)
    replayed = {task: f"{stream.name}.again.{task}" for task in TASKS}
    again = {"KAFKA__GROUP_ID": f"{stream.name}-again", "KAFKA__ROUTES": json.dumps(replayed), "REDIS__URL": ""}
    await stream.create_topics(2, **again)
    await stream.start("replay", BATCH__MAX_POSTS="7", **again)
    first = await stream.labels()
    async with within(90):
        while True:
            second = await stream.labels(list(replayed.values()))
            if all(len(second.by_topic.get(topic, {})) == len(positions) for topic in replayed.values()):
                break
            await asyncio.sleep(0.5)
    for task, topic in replayed.items():
        assert second.by_topic[topic] == first.by_topic[stream.label_topic(task)]


async def test_tasks_may_share_a_topic_and_pages_answer(stream: Stream) -> None:
    """A routing table sends all five tasks to one topic; headers are CloudEvents; the pages say what is."""
    shared = stream.label_topic("all")
    tasks = ("sentiment", "humour", "sarcasm", "offensiveness", "motivation")
    routes = {"KAFKA__ROUTES": json.dumps(dict.fromkeys(tasks, shared))}
    await stream.create_topics(1, **routes)
    worker = await (await stream.start(**routes)).ready()
    positions = await stream.feed([post("a", text="what a day")], 1)
    await stream.settled(positions, 60)
    (record,) = (await stream.read(shared))[shared]
    value = json.loads(record.value)
    assert tuple(value["labels"]) == tasks
    for answer in value["labels"].values():
        assert abs(sum(answer["probabilities"].values()) - 1) < 1e-3
    headers = headers_of(record)
    assert record.key == b"key-0"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["traceparent"].endswith(b"-0000000000000001-01")
    ready = (await worker.get("/readyz")).json()
    assert ready["partitions_owned"] == 1
    assert (await worker.get("/livez")).json()["status"] == "ok"
    metrics = (await worker.get("/metrics")).text
    assert 'moderate_labels_total{label="' in metrics
    assert (await worker.get("/table/")).status_code == 404


async def test_a_missing_topic_is_said_in_one_line(stream: Stream) -> None:
    """Without its topics the worker ends with exit code 1 and says what to do."""
    code, _, errors = await stream.command("run", "--http-port", "18099")
    assert code == 1
    assert "moderate topics create" in errors


async def test_topics_with_other_partition_counts_are_refused(stream: Stream) -> None:
    """`topics create` follows the posts topic, makes what is missing, and refuses what does not match."""
    await stream.create_topics(2)
    code, output, _ = await stream.command("topics", "create")
    assert (code, output.strip()) == (0, "all topics exist")
    other = json.dumps({"sentiment": f"{stream.name}.other"})
    code, _, errors = await stream.command("topics", "create", "--partitions", "9", KAFKA__ROUTES=other)
    assert (code, len(errors.strip().splitlines())) == (1, 1)
    assert f"{stream.posts} has 2 partitions, not 9" in errors
    assert f"kafka-topics.sh --alter --topic {stream.posts} --partitions 9" in errors
    code, _, errors = await stream.command("topics", "create", "--partitions", "1")
    assert (code, "Kafka takes none away" in errors) == (1, True)
    # A Job that makes topics runs again at every apply, also when partitions were added since.
    code, output, errors = await stream.command("topics", "create", "--partitions", "1", "--at-least")
    assert (code, output.strip()) == (0, "all topics exist"), errors
    assert (await stream.command("topics", "create", "--partitions", "9", "--at-least"))[0] == 1
    assert (await stream.command("topics", "create", KAFKA__ROUTES=other))[0] == 0
    # Labels that are there say how many partitions posts get.
    code, output, errors = await stream.command("topics", "create", KAFKA__POSTS_TOPIC=f"{stream.name}.again")
    assert (code, output.split()) == (0, ["created", f"{stream.name}.again"]), errors
    assert (await stream.command("topics", "create", "--partitions", "2", KAFKA__POSTS_TOPIC=f"{stream.name}.again"))[
        0
    ] == 0
    code, _, errors = await stream.command(
        "topics", "create", "--partitions", "3", KAFKA__POSTS_TOPIC=f"{stream.name}.three"
    )
    assert code == 1
    assert "partitions" in errors
    assert len(errors.strip().splitlines()) == 1
