"""Archives fed into a topic, from outside: `moderate import` against a real broker."""

import asyncio
import base64
import gzip
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError
from pyarrow import parquet

from tests.worker.patience import within
from tests.worker.system import Stream, administrator, post

PARTITIONS = 3
NOW = datetime.now(UTC).replace(microsecond=0)


def posts(first: int, count: int) -> list[dict[str, Any]]:
    """Return posts a second apart, of the last hours."""
    return [
        {
            "id": f"p-{number}",
            "created_at": (NOW - timedelta(seconds=10_000 - number)).isoformat().replace("+00:00", "Z"),
            "author_id": f"u-{number % 17}",
            "text": f"grüße, number {number}",
            "unknown": [number],
        }
        for number in range(first, first + count)
    ]


def milliseconds(fields: Mapping[str, Any]) -> int:
    """Return when a post was made."""
    return round(datetime.fromisoformat(fields["created_at"]).timestamp() * 1000)


def write(path: Path, values: Sequence[Mapping[str, Any] | bytes]) -> Path:
    """Write JSON lines."""
    lines = [value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode() for value in values]
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


async def create_topic(stream: Stream) -> None:
    """Create the posts topic with a broker's usual limits, whatever the local stack has."""
    async with administrator(stream) as admin:
        limits = {"max.message.bytes": "1048588", "retention.ms": str(7 * 24 * 3600 * 1000)}
        await admin.create_topics([NewTopic(stream.posts, PARTITIONS, 1, topic_configs=limits)])


async def partitions_of(stream: Stream, keys: Sequence[bytes]) -> dict[bytes, int]:
    """Return where a plain producer puts keys, on a topic with as many partitions."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka)
    await producer.start()
    sent = [await producer.send(stream.dead, b"{}", key=key) for key in keys]
    found = {key: (await record).partition for key, record in zip(keys, sent, strict=True)}
    await producer.stop()
    return found


async def rows_done(stream: Stream, name: str) -> int:
    """Return the offset of an import's group."""
    async with administrator(stream) as admin:
        try:
            offsets = await admin.list_consumer_group_offsets(f"{stream.name}.import.{name}")
        except KafkaError:
            return -1  # the first group of a fresh broker waits for the offsets topic
        return max((entry.offset for entry in offsets.values()), default=-1)


@pytest.mark.soak
async def test_every_post_arrives_once_over_kill_9(stream: Stream, tmp_path: Path) -> None:
    """In the archive's order, with its bytes, key, time and partition; a second import of the name disturbs nothing."""
    await stream.create_topics(PARTITIONS)
    wanted = posts(0, 2700)
    write(tmp_path / "a.jsonl", wanted[:1000])
    write(tmp_path / "b.jsonl.gz", wanted[1000:2000])
    parquet.write_table(pa.Table.from_pylist(wanted[2000:]), tmp_path / "c.parquet", row_group_size=100)
    arguments = (str(tmp_path), "--name", "old", "--max-posts-per-second", "250")
    done = -1
    for extra in ((), ("--resume",)):
        process = await stream.spawn("import", *arguments, *extra)
        async with within(60):
            while (reached := await rows_done(stream, "old")) <= max(done, 0):
                assert process.returncode is None
                await asyncio.sleep(0.02)
        if not extra:
            code, _, errors = await stream.command("import", *arguments)
            assert (code, errors.count("\n")) == (2, 1)
            assert "--resume goes on with it" in errors
            assert process.returncode is None
        process.kill()
        await process.communicate()
        done = reached
    assert 0 < done < 2700
    code, output, errors = await stream.command("import", *arguments[:3], "--resume", "--json")
    assert code == 0, errors
    assert json.loads(output) == {
        "name": "old",
        "topic": stream.posts,
        "group_id": f"{stream.name}.import.old",
        "sent": 2700,
        "refused": 0,
        "complete_already": False,
    }
    records = (await stream.read(stream.posts))[stream.posts]
    by_id = {json.loads(record.value)["id"]: record for record in records}
    assert Counter(json.loads(record.value)["id"] for record in records) == Counter(one["id"] for one in wanted)
    where = await partitions_of(stream, [one["id"].encode() for one in wanted])
    for number, one in enumerate(wanted):
        record = by_id[one["id"]]
        assert record.timestamp == milliseconds(one)
        assert record.key == one["id"].encode()
        assert record.partition == where[record.key]
        if number < 2000:
            assert record.value == json.dumps(one, ensure_ascii=False).encode()
        else:
            assert json.loads(record.value) == {name: one[name] for name in one if name != "unknown"}
    for partition in range(PARTITIONS):
        times = [
            record.timestamp for record in sorted(records, key=lambda one: one.offset) if record.partition == partition
        ]
        assert times == sorted(times)
    for extra in ((), ("--resume",)):
        code, output, _ = await stream.command("import", *arguments, *extra)
        assert code == 0
        assert "is complete: 2700 posts sent" in output
    write(tmp_path / "d.jsonl", posts(5000, 1))
    code, _, errors = await stream.command("import", *arguments, "--resume")
    assert (code, errors.count("\n")) == (2, 1)
    assert "other inputs" in errors
    assert len((await stream.read(stream.posts))[stream.posts]) == 2700


async def test_what_cannot_be_sent_is_named(stream: Stream, tmp_path: Path) -> None:
    """By file and line, and counted; the rest arrives, with pictures that it names put in."""
    await create_topic(stream)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "secret").write_bytes(b"secret")
    lines = [
        b'{"id": "plain", "text": "x"}\r',
        b"not json",
        b'{"id": "empty"}',
        b'{"id": "path", "media": [{"path": "a.png", "ocr_text": "\xc3\xbc"}, {"url": "http://x.y/z"}], "more": 1}',
        b'{"id": "gone", "media": [{"path": "b.png"}]}',
        b'{"id": "outside", "media": [{"path": "../secret"}]}',
        b'{"id": "large", "text": "%s"}' % (b"x" * 1_100_000),
        b'{"id": "early", "text": "x", "created_at": "1969-12-31T23:59:59Z"}',
        b'{"id": "late", "text": "x", "created_at": "2126-01-01T00:00:00Z"}',
        b"",
        b'{"id": "no zone", "text": "x", "created_at": "%s"}' % NOW.strftime("%Y-%m-%dT%H:%M:%S.5").encode(),
    ]
    file = write(tmp_path / "in" / "a.jsonl", lines)
    before = datetime.now(UTC)
    code, _, errors = await stream.command("import", str(file), "--dry-run", "--json")
    assert code == 1, errors
    assert not (await stream.read(stream.posts))[stream.posts]
    code, output, errors = await stream.command("import", str(file))
    assert code == 1
    said = [line.removeprefix(f"moderate: {file}:") for line in errors.splitlines()]
    assert [line.split(":")[0] for line in said] == ["2", "3", "5", "6", "7", "8", "9", "moderate"]
    for line, reason in zip(
        said,
        ["Invalid JSON", "needs text or media", "No such file", "outside", "max.message.bytes", "1970", "after.max.ms"],
        strict=False,
    ):
        assert reason in line
    assert said[-1] == "moderate: 7 rows were refused"
    assert "sent 3 posts" in output
    records = {record.key: record for record in (await stream.read(stream.posts))[stream.posts]}
    assert set(records) == {b"plain", b"path", b"no zone"}
    assert records[b"plain"].value == lines[0].rstrip()
    assert before.timestamp() * 1000 - 1 <= records[b"plain"].timestamp <= datetime.now(UTC).timestamp() * 1000
    assert records[b"no zone"].timestamp == round(NOW.timestamp() * 1000) + 500
    assert json.loads(records[b"path"].value) == {
        "id": "path",
        "media": [{"ocr_text": "ü", "data": base64.b64encode(b"\x89PNG").decode()}, {"url": "http://x.y/z"}],
        "more": 1,
    }


async def test_malformed_rows_may_be_sent_as_they_are(stream: Stream, tmp_path: Path) -> None:
    """With the key and the time that they have; what the topic cannot take stays refused."""
    await create_topic(stream)
    lines = [b"not json", b'{"id": "empty"}', b'{"id": "path", "media": [{"path": "none"}]}', b"x" * 1_100_000]
    file = write(tmp_path / "a.jsonl", lines)
    code, _, errors = await stream.command("import", str(file), "--malformed", "send")
    assert code == 1
    assert [line.split(":")[2] for line in errors.splitlines()[:-1]] == ["4"]
    records = (await stream.read(stream.posts))[stream.posts]
    assert {record.value: record.key for record in records} == {lines[0]: None, lines[1]: b"empty", lines[2]: b"path"}


async def test_what_was_refused_is_sent_when_that_is_asked_for(stream: Stream, tmp_path: Path) -> None:
    """Once the import is complete: the refused rows alone, each once; nothing of the rest is sent again."""
    await create_topic(stream)
    lines = [b'{"id": "good", "text": "x"}', b"not json", b'{"id": "empty"}', b'{"id": "late", "text": "y"}']
    file = write(tmp_path / "a.jsonl", lines)
    assert (await stream.command("import", str(file)))[0] == 1
    code, output, _ = await stream.command("import", str(file))
    assert code == 0
    assert "2 posts sent, 2 rows refused" in output
    assert "--malformed send" in output
    code, output, errors = await stream.command("import", str(file), "--malformed", "send")
    assert (code, "sent 2 posts" in output) == (0, True), errors
    code, output, _ = await stream.command("import", str(file), "--malformed", "send")
    assert (code, "is complete: 2 posts sent" in output) == (0, True)
    records = (await stream.read(stream.posts))[stream.posts]
    assert Counter(record.value for record in records) == Counter(lines)
    with file.open("ab") as more:
        more.write(b'{"id": "more", "text": "z"}\n')
    code, _, errors = await stream.command("import", str(file))
    assert (code, errors.count("\n")) == (2, 1)
    assert f"({file} had {file.stat().st_size - 28} bytes, it has {file.stat().st_size})" in errors
    code, _, errors = await stream.command("import", str(file), "--name", "all", "--key", "author_id")
    code, _, errors = await stream.command("import", str(file), "--name", "all")
    assert (code, "was begun with --key author_id, not id" in errors) == (2, True)


async def test_another_topic_and_key(stream: Stream, tmp_path: Path) -> None:
    """Records without the field have no key and are spread; the archive's own name is a digest, and sends it once."""
    await stream.create_topics(PARTITIONS)
    values = [*posts(0, 30), *({"id": f"anonymous-{number}", "text": "x"} for number in range(6))]
    file = write(tmp_path / "a.jsonl", values)
    arguments = ("import", str(file), "--topic", stream.dead, "--key", "author_id")
    code, output, errors = await stream.command(*arguments)
    assert code == 0, errors
    records = (await stream.read(stream.dead))[stream.dead]
    assert Counter(record.key for record in records) == Counter(
        one["author_id"].encode() if "author_id" in one else None for one in values
    )
    assert Counter(record.partition for record in records if record.key is None) == {0: 2, 1: 2, 2: 2}
    assert "sent 36 posts" in output
    code, output, _ = await stream.command(*arguments, "--json")
    assert (code, json.loads(output)["complete_already"]) == (0, True)


async def test_a_dry_run_says_what_would_be_sent(stream: Stream, tmp_path: Path) -> None:
    """Posts, bytes, times, and that retention may be faster than the reader; nothing is sent and nothing begun."""
    await create_topic(stream)
    old = post("old", text="x", created_at="2019-01-02T03:04:05.678Z")
    file = write(tmp_path / "a.jsonl", [old, *posts(0, 3)])
    code, output, errors = await stream.command("import", str(file), "--dry-run", "--name", "dry", "--json")
    assert code == 0
    told = json.loads(output)
    assert (told["would_send"], told["refused"], told["without_key"]) == (4, 0, 0)
    assert told["oldest"] == "2019-01-02T03:04:05.678Z"
    assert errors.startswith(f"moderate: warning: {file}:1 is of 2019-01-02T03:04:05.678Z")
    assert "7 days" in errors
    assert await rows_done(stream, "dry") == -1
    assert not (await stream.read(stream.posts))[stream.posts]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.jsonl"], 2, "none.jsonl: no such file"),
        (["-"], 2, "standard input cannot be read twice"),
        (["a.jsonl", "--name", "a b"], 2, "'a b'"),
        (["a.jsonl", "--topic", "there.is.none"], 1, "--kafka-posts-topic there.is.none` makes it"),
        (["a.jsonl", "--kafka-bootstrap-servers", "127.0.0.1:1"], 1, "no answer from the broker"),
    ],
)
async def test_what_cannot_be_done_is_one_line(
    stream: Stream, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    """Exit code 2 for wrong usage, 1 for what is wrong with the broker."""
    file = str(write(tmp_path / "a.jsonl", posts(0, 1)))
    ended, _, errors = await stream.command("import", *(file if one == "a.jsonl" else one for one in arguments))
    assert ended == code
    assert said in errors
    assert len([line for line in errors.splitlines() if line.startswith("moderate: ")]) == 1
    assert "Traceback" not in errors


async def test_every_layout_arrives(stream: Stream, tmp_path: Path) -> None:
    """An array, lines under another name, a table of CSV and one of integers; refusals alike are counted after five."""
    await create_topic(stream)
    folder = tmp_path / "language=de"
    folder.mkdir()
    wanted = posts(0, 6)
    (folder / "a.json").write_text(
        json.dumps([*wanted[:2], *({"id": f"bad-{number}"} for number in range(20))], indent=1)
    )
    write(folder / "b.ndjson", wanted[2:4])
    (folder / "c.csv").write_text(f"ID;Text;Created_At\np-4;grüße, number 4;{wanted[4]['created_at']}\n", "utf-16")
    kinds = {"id": pa.array([5]), "media": pa.array([[b"\x89PNG\xff"]])}
    parquet.write_table(pa.table(kinds), folder / "d.parquet")
    (folder / "_SUCCESS").touch()
    (folder / "e.jsonl").touch()
    code, output, errors = await stream.command("import", str(tmp_path), f"{folder}/*.csv")
    assert code == 1
    assert "sent 6 posts" in output
    said = [line.removeprefix("moderate: ").replace(str(folder), "") for line in errors.splitlines()]
    assert said[0] == "/e.jsonl: is empty, passed over"
    assert [line.split(": ")[0] for line in said[1:6]] == [f"/a.json:{number}" for number in range(3, 8)]
    assert said[6].startswith("15 more rows like /a.json:3: ")
    assert said[7:] == ["20 rows were refused"]
    records = {record.key: record for record in (await stream.read(stream.posts))[stream.posts]}
    read = {key: json.loads(record.value) for key, record in records.items()}
    assert [read[f"p-{number}".encode()] for number in range(4)] == [one | {"language": "de"} for one in wanted[:4]]
    assert read[b"p-4"]["text"] == "grüße, number 4"
    assert records[b"p-4"].timestamp == milliseconds(wanted[4])
    picture = base64.b64encode(b"\x89PNG\xff").decode()
    assert read[b"5"] == {"id": "5", "language": "de", "media": [{"data": picture}]}
