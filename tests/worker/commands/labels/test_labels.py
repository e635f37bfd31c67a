"""`moderate labels`: a post's labels by its id, on a real Kafka."""

import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.partitioner import DefaultPartitioner

from tests.worker.commands.dead_letters.letters import Draft, question, write
from tests.worker.system import TASKS, Stream, administrator, post
from worker.broker.positions import Position
from worker.broker.ranges import OffsetRange, parse_bound
from worker.commands.labels.command import Wanted, find_labels
from worker.commands.labels.searching import FoundLabel, by_post, partition_of, windows
from worker.commands.labels.showing import lines_of
from worker.errors import FatalError

HOSTILE = "\x1b]0;owned\x07\u202e\x9b31m"
STEERING = {"\x1b", "\x07", "\u202e", "\x9b"}
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "f" * 64


def label(stream: Stream, post_id: str, task: str, offset: int, *, partition: int = 0, checkpoint: str = OLD) -> bytes:
    """Return a label's bytes."""
    return json.dumps(
        {
            "post_id": post_id,
            "task": task,
            "label": "sarcastic",
            "probabilities": {"not_sarcastic": 0.13, "sarcastic": 0.87},
            "intensity": {"label": "general", "probabilities": {"general": 0.512}},
            "model": {"name": "m", "checkpoint": checkpoint, "graph_context": "bank", "precision": "fp32"},
            "source": {"topic": stream.posts, "partition": partition, "offset": offset},
        },
        ensure_ascii=False,
    ).encode()


async def fill(stream: Stream, topic: str, values: list[bytes], partition: int = 0, key: bytes = b"k") -> None:
    """Write records to a partition."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, linger_ms=5)
    await producer.start()
    for delivery in [await producer.send(topic, value, key, partition=partition) for value in values]:
        await delivery
    await producer.stop()


class Finder:
    """Searches, and reads what was said."""

    def __init__(self, stream: Stream, said: pytest.CaptureFixture[str]) -> None:
        self._stream = stream
        self._said = said

    async def __call__(self, post_id: str, **options: Any) -> list[dict[str, Any]]:
        """Return what was found."""
        fields: dict[str, Any] = {"key": post_id, "all_partitions": False, "patterns": (), "newest": False, **options}
        fields |= {
            name: parse_bound(fields.get(name, word)) for name, word in (("start", "earliest"), ("end", "latest"))
        }
        await find_labels(question(self._stream).kafka, Wanted(post_id=post_id, **fields), post_file=None, as_json=True)
        return [json.loads(line) for line in self._said.readouterr().out.splitlines()]


@pytest.fixture
def find(stream: Stream, capsys: pytest.CaptureFixture[str]) -> Finder:
    """Give a way to search."""
    return Finder(stream, capsys)


@pytest.mark.parametrize("key", [b"", b"a", b"p-1", b"0123456789", "né".encode()])
def test_the_partition_is_that_of_kafkas_default_partitioner(key: bytes) -> None:
    """The producer's own answer."""
    assert partition_of(key, 12) == DefaultPartitioner()(key, list(range(12)), list(range(12)))


def test_windows_go_from_the_end_to_the_beginning_and_leave_nothing_out() -> None:
    """Every offset of every range is in one window; the first is small."""
    ranges = {
        TopicPartition("a", 0): OffsetRange(5, 300_000),
        TopicPartition("b", 0): OffsetRange(0, 10),
        TopicPartition("c", 1): OffsetRange(7, 7),
    }
    seen: dict[TopicPartition, list[OffsetRange]] = {}
    for window in windows(ranges):
        for source, part in window.items():
            seen.setdefault(source, []).append(part)
    assert set(seen) == {TopicPartition("a", 0), TopicPartition("b", 0)}
    for source, parts in seen.items():
        assert [part.since for part in parts[:-1]] == [part.until for part in parts[1:]]
        assert (parts[-1].since, parts[0].until) == (ranges[source].since, ranges[source].until)
    assert seen[TopicPartition("a", 0)][0].offsets < 5000


def test_a_line_says_which_threshold_decided_a_label() -> None:
    """Of several tasks each says its own; a label without one has no word of it."""
    held = {"label": "not_offensive", "probabilities": {"not_offensive": 0.4, "offensive": 0.6}, "threshold": 0.7}
    plain = {"label": "sarcastic", "probabilities": {"not_sarcastic": 0.4, "sarcastic": 0.6}, "threshold": None}
    found = FoundLabel(Position("labels", 0, 1), 0, {"labels": {"offensiveness": held, "sarcasm": plain}})
    first, second = lines_of(found)
    assert "not_offensive 0.40" in first
    assert " threshold 0.7 " in first
    assert "threshold" not in second


def decision(stream: Stream, post_id: str, offset: int) -> bytes:
    """Return a decision's bytes."""
    one = {"decision": "review", "rule": HOSTILE, "task": "sarcasm", "label": "sarcastic"}
    value = json.loads(label(stream, post_id, "sarcasm", offset)) | {"schema": "decision/1"}
    kept = {name: value[name] for name in ("post_id", "model", "source", "schema")}
    decisions = [one | {"probability": 0.87, "threshold": 0.8}, {"rule": 3}, "odd"]
    return json.dumps(kept | {"decisions": decisions, "policy": {"version": NEW}}).encode()


async def test_decisions_of_a_post_are_found_beside_its_labels(
    stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line each, with the rule, its numbers and the policy; nothing in it steers the terminal."""
    topic = f"{stream.name}.decisions"
    async with administrator(stream) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    await stream.create_topics(1)
    await fill(stream, stream.posts, [post("p-1", text="oh great")], key=b"p-1")
    await fill(stream, stream.label_topic("sarcasm"), [label(stream, "p-1", "sarcasm", 0)], key=b"p-1")
    await fill(stream, topic, [decision(stream, "p-1", 0), decision(stream, "p-2", 0)], key=b"p-1")
    kafka = question(stream).kafka.model_copy(update={"decisions_topic": topic})
    bounds = {"start": parse_bound("earliest"), "end": parse_bound("latest")}
    wanted = Wanted(post_id="p-1", key="p-1", all_partitions=False, patterns=(), newest=False, **bounds)
    await find_labels(kafka, wanted, post_file=None, as_json=True)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(one["kind"] for one in found) == ["decision", "label", "post"]
    await find_labels(kafka, wanted, post_file=None, as_json=False)
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if " decision " in line)
    for words in ("review by ", "sarcasm sarcastic 0.87 reaches 0.8", "policy sha256:ffffffffffff ", f"{topic}[0]@0"):
        assert words in line
    assert not STEERING & set(said)


async def test_all_labels_of_a_post_are_found_newest_first(stream: Stream, find: Finder) -> None:
    """Of several checkpoints, of its dead letters, with the post itself; others that mention its id are not meant."""
    await stream.create_topics(4)
    number = partition_of(b"p-1", 4)
    await fill(
        stream, stream.posts, [post("p-0", text="y"), post("p-1", text="oh great", community="gardening")], number
    )
    sarcasm = stream.label_topic("sarcasm")
    await fill(stream, sarcasm, [label(stream, "p-1", "sarcasm", 1, partition=number)], number)
    # So that the older label is in a later window.
    await fill(stream, sarcasm, [label(stream, f"p-1{n}", "sarcasm", 0, partition=number) for n in range(5000)], number)
    await write(
        stream, [Draft(post("p-1", text="oh great"), 1, number), Draft(post("q", text="p-1"), 2, partition=number)]
    )
    await write(stream, [Draft(post("p-1", text="x" * 90), 9, number, parts=3)])
    await fill(
        stream,
        sarcasm,
        [b'"p-1"', b'{"post_id": ["p-1"]}', label(stream, "p-1", "sarcasm", 1, partition=number, checkpoint=NEW)],
        number,
    )
    found = await find("p-1")
    assert [entry["kind"] for entry in found if entry["kind"] != "post"] == [
        "label",
        "dead_letter",
        "dead_letter",
        "label",
    ]
    labels = [entry for entry in found if entry["kind"] == "label"]
    assert [entry["value"]["model"]["checkpoint"] for entry in labels] == [NEW, OLD]
    assert {entry["post"] for entry in labels} == {f"{stream.posts}[{number}]@1"}
    posts = {entry["position"]: entry for entry in found if entry["kind"] == "post"}
    assert json.loads(posts[f"{stream.posts}[{number}]@1"]["value"])["text"] == "oh great"
    assert posts[f"{stream.posts}[{number}]@9"]["there"] is False
    newest = [entry for entry in await find("p-1", newest=True) if entry["kind"] == "label"]
    assert [entry["value"]["model"]["checkpoint"] for entry in newest] == [NEW]
    between = await find("p-1", start="2", end="4990")
    assert [entry["position"] for entry in between if entry["kind"] != "post"] == [f"{stream.dead}[{number}]@2"]


async def test_labels_of_other_keys_partitions_and_topics(stream: Stream, find: Finder) -> None:
    """The author's id as the key, all partitions, a pattern of topics; what is not found says where it was not."""
    await stream.create_topics(4)
    number = partition_of(b"u-9", 4)
    other = next(f"p-{n}" for n in range(99) if partition_of(b"p-%d" % n, 4) != number)
    shadow = f"{stream.name}.shadow.sarcasm"
    async with administrator(stream) as admin:
        await admin.create_topics([NewTopic(shadow, 4, 1)])
    await fill(
        stream, stream.label_topic("sarcasm"), [label(stream, other, "sarcasm", 0, partition=number)], number, b"u-9"
    )
    await fill(stream, shadow, [label(stream, other, "sarcasm", 0, partition=number, checkpoint=NEW)], number, b"u-9")
    await fill(stream, stream.posts, [post(other, text="first"), post("next", text="z")], number)
    with pytest.raises(FatalError, match=r"(?s)no label of.*\[\d\] from 0 to 0.*--key.*--all-partitions"):
        await find(other)

    async def checkpoints(**options: Any) -> list[str]:
        return [
            entry["value"]["model"]["checkpoint"] for entry in await find(other, **options) if entry["kind"] == "label"
        ]

    assert await checkpoints(key="u-9") == [OLD]
    assert await checkpoints(all_partitions=True) == [OLD]
    assert await checkpoints(key="u-9", patterns=(f"{stream.name}.*",)) == [NEW, OLD]
    assert await checkpoints(key="u-9", patterns=(shadow,)) == [NEW]
    with pytest.raises(FatalError, match="no topic is called"):
        await find(other, patterns=("nothing-*",))
    async with administrator(stream) as admin:
        await admin.delete_records({TopicPartition(stream.posts, number): RecordsToDelete(before_offset=1)})
    found = await find(other, key="u-9")
    assert [entry["there"] for entry in found if entry["kind"] == "post"] == [False]


async def test_the_command_answers_in_lines_that_harm_no_terminal(stream: Stream) -> None:
    """One line a task, the post above; `--post` writes the post's bytes; not found is one line and exit code 1."""
    await stream.create_topics(1)
    wicked = f"p-1{HOSTILE}"
    value = post(wicked, text=f"oh great {HOSTILE}", media=[{"url": "http://a/b"}])
    await fill(stream, stream.posts, [value])
    for task in TASKS:
        await fill(stream, stream.label_topic(task), [label(stream, wicked, task, 0)])
    await write(stream, [Draft(b'{"id": ' + json.dumps(wicked, ensure_ascii=False).encode(), 0, message=HOSTILE)])
    code, output, errors = await stream.command("labels", wicked)
    assert code == 0, errors
    assert not STEERING & set(output + errors)
    lines = output.splitlines()
    assert lines[0].startswith(f"{stream.posts}[0]@0")
    assert "1 media" in lines[0]
    assert sum("sarcastic 0.87" in line and "(general 0.51)" in line for line in lines) == 3
    assert sum("dead letter, decode" in line for line in lines) == 1
    file = stream.folder / "post.json"
    code, _, errors = await stream.command("labels", wicked, "--post", str(file))
    assert (code, file.read_bytes()) == (0, value), errors
    code, output, errors = await stream.command("labels", "nobody", "--from", "2040-01-01T00:00:00Z")
    assert (code, output, len(errors.strip().splitlines())) == (1, "", 1)
    assert "an earlier --from" in errors


def test_an_id_that_was_posted_twice_is_two_posts() -> None:
    """Whatever the order in which their labels were written: newest first, those of one post together.

    Labels of one second stand in the order of their topics, wherever its milliseconds lie.
    """

    def found(task: str, offset: int, timestamp: int) -> FoundLabel:
        source = {"topic": "posts", "partition": 0, "offset": offset}
        return FoundLabel(Position(f"labels.{task}", 0, offset), timestamp, {"task": task, "source": source})

    written = [found(task, offset, 1000 * second) for second, (task, offset) in enumerate(
        [("sarcasm", 1), ("sarcasm", 2), ("sentiment", 1), ("sentiment", 2), ("humour", 1)]
    )]  # fmt: skip
    ordered = [(one.post.offset if one.post else None, one.label["task"]) for one in by_post(written)]
    assert ordered == [(1, "humour"), (1, "sentiment"), (1, "sarcasm"), (2, "sentiment"), (2, "sarcasm")]
    at_once = [
        found(task, 1, timestamp) for task, timestamp in (("sarcasm", 7001), ("sentiment", 7000), ("humour", 7002))
    ]
    assert [one.label["task"] for one in by_post(at_once)] == ["sentiment", "sarcasm", "humour"]
