"""What producers write that no client library would, through a real broker and a worker, counted from outside."""

import json
import time
from collections import Counter

import pytest
from aiokafka import AIOKafkaProducer

from tests.worker.otlp import collecting
from tests.worker.raw_batches import Made, batch, produce
from tests.worker.system import TASKS, Position, Stream, Worker, headers_of, post
from tests.worker.test_kafka_faults import lines

USUAL_SECONDS = 20.0


async def metric(worker: Worker, name: str) -> float:
    """Return the sum of a metric's series."""
    page = (await worker.get("/metrics")).text
    found = [line for line in page.splitlines() if line.startswith(name) and line[len(name)] in "{ "]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


async def once(stream: Stream, positions: list[Position]) -> None:
    """Check that each position, and nothing else, has one label of each task, in its own partition."""
    labels = await stream.labels()
    assert labels.partitions_differ == 0
    for task in TASKS:
        assert labels.counts(stream.label_topic(task)) == Counter({1: len(positions)})
        assert set(labels.by_topic[stream.label_topic(task)]) == set(positions)


def now() -> int:
    """Return the time in milliseconds, as producers write it."""
    return round(time.time() * 1000)


@pytest.mark.soak
async def test_odd_headers_and_timestamps_end_nothing(stream: Stream) -> None:
    """Header names that are not UTF-8, headers without values, times of no writing: all is labelled, in one process.

    Traces are on: a `traceparent` without a value ended the process, and a name that is not UTF-8 the partition.
    """
    await stream.create_topics(2)
    odd_names = [
        Made(post("odd-0", text="good morning"), headers=[(b"\xff\xfe", b"1"), (b"traceparent", None)]),
        Made(post("odd-1", text="good day"), headers=[(b"caf\xe9", None), (b"", b"")]),
        Made(post("odd-2", text="good night"), headers=[(b"\xed\xa0\x80", b"x")] * 300),
        Made(b"no json", headers=[(b"\xff", None), (b"moderate.attempt", None), (b"ce_type", None)]),
    ]
    nulls = [(name.encode(), None) for name in ("traceparent", "tracestate", "moderate.replay-of", "moderate.part")]
    with collecting() as collector:
        worker = await (await stream.start(TRACE__ENDPOINT=collector.address)).ready()
        neighbours = await stream.feed([post(f"n-{n}", text=f"neighbour {n}") for n in range(20)], 2)
        first = await produce(stream.servers.kafka, stream.posts, 0, batch(odd_names, timestamp=now()))
        odd = [(0, first + number) for number in range(len(odd_names))]
        for timestamp in (0, -1, 1_700_000_000, now() + 1_800_000):
            made = batch([Made(post(f"t-{timestamp}", text="what a day"), headers=nulls)], timestamp=timestamp)
            odd.append((1, await produce(stream.servers.kafka, stream.posts, 1, made)))
        neighbours += await stream.feed([post(f"m-{n}", text=f"another neighbour {n}") for n in range(20)], 2)
        started = time.monotonic()
        await stream.settled([*neighbours, *odd], 60)
        assert time.monotonic() - started < USUAL_SECONDS
        assert await metric(worker, "moderate_lag_seconds") < 3600
        assert await metric(worker, "moderate_latency_seconds_sum") < 3600
        assert await metric(worker, "moderate_odd_timestamps_total") == 4
        assert await metric(worker, "moderate_record_faults_total") >= 4
        assert worker.process.returncode is None
        assert await worker.end() == 0
    refused = odd[3]
    await once(stream, [position for position in [*neighbours, *odd] if position != refused])
    (letter,) = (await stream.dead_letters())[refused]
    assert letter.value == b"no json"
    assert headers_of(letter)[r"\xff"] is None
    labelled = (await stream.read(stream.label_topic("sarcasm")))[stream.label_topic("sarcasm")]
    assert not [name for record in labelled for name, value in record.headers if value is None]
    assert len([span for span in collector.spans if span.name == f"process {stream.posts}"]) == len(neighbours + odd)
    # What the dead letter says can be read by its commands, and written again.
    code, output, errors = await stream.command("dead-letters", "show", f"{stream.posts}[0]@{refused[1]}")
    assert code == 0, errors
    assert r"\xff" in output
    code, output, errors = await stream.command("dead-letters", "replay", "--json")
    assert code == 0, errors
    assert json.loads(output)["replayed"] == 1


async def feed_deletions(stream: Stream) -> tuple[list[Position], list[tuple[Position, bytes | None]]]:
    """Write posts, and deletions with and without a key; return the positions of the posts, and the deletions."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka)
    await producer.start()
    try:
        posts: list[Position] = []
        deletions: list[tuple[Position, bytes | None]] = []
        for number in range(24):
            key, partition = f"key-{number}".encode(), number % 2
            value = post(f"p-{number}", text=f"number {number}") if number % 3 else None
            sent = await (
                await producer.send(
                    stream.posts,
                    value,
                    key=key,
                    partition=partition,
                    headers=[("traceparent", b"00-1-2-01"), ("other", b"not carried")],
                )
            )
            if value is None:
                deletions.append(((partition, sent.offset), key))
            else:
                posts.append((partition, sent.offset))
    finally:
        await producer.stop()
    first = await produce(stream.servers.kafka, stream.posts, 1, batch([Made(None, None)], timestamp=now()))
    deletions.append(((1, first), None))
    return posts, deletions


@pytest.mark.soak
async def test_deletions_are_passed_over(stream: Stream) -> None:
    """Records without a value are no dead letters and nothing on the label topics; they are counted."""
    await stream.create_topics(2)
    worker = await (await stream.start()).ready()
    posts, deletions = await feed_deletions(stream)
    await stream.settled([*posts, *(place for place, _ in deletions)], 60)
    await once(stream, posts)
    assert await stream.dead_letters() == {}
    assert await metric(worker, 'moderate_tombstones_total{result="passed"}') == len(deletions)
    assert await metric(worker, "moderate_posts_labelled_total") == len(posts)
    assert not lines(worker, "dead_letter")
    assert await worker.end() == 0


async def test_deletions_go_on_to_the_label_topics(stream: Stream) -> None:
    """Asked to, each is written once to each label topic, under its key, in its post's partition; a keyless one is not.

    Two tasks share a topic here: a deletion is one record of it.
    """
    shared = {"sentiment": stream.label_topic("both"), "sarcasm": stream.label_topic("both")}
    routes = {**shared, "offensiveness": stream.label_topic("offensiveness")}
    settings = {"KAFKA__FORWARD_TOMBSTONES": "true", "KAFKA__ROUTES": json.dumps(routes)}
    await stream.create_topics(2, **settings)
    worker = await (await stream.start(**settings)).ready()
    posts, deletions = await feed_deletions(stream)
    await stream.settled([*posts, *(place for place, _ in deletions)], 60)
    wanted = Counter((place[0], key) for place, key in deletions if key is not None)
    for topic in sorted(set(routes.values())):
        records = (await stream.read(topic))[topic]
        gone = [record for record in records if record.value is None]
        assert Counter((record.partition, record.key) for record in gone) == wanted
        assert {tuple(record.headers) for record in gone} == {(("traceparent", b"00-1-2-01"),)}
        assert len(records) - len(gone) == len(posts)
    assert await stream.dead_letters() == {}
    assert await metric(worker, 'moderate_tombstones_total{result="forwarded"}') == len(wanted)
    assert await metric(worker, 'moderate_tombstones_total{result="no_key"}') == 1
    assert await worker.end() == 0
    # Whoever reads the labels afterwards is not stopped by them.
    code, output, errors = await stream.command("labels", "p-1", "--all-partitions", "--json", **settings)
    assert code == 0, errors
    assert "p-1" in output
