"""`moderate verdicts export` against a real Kafka: verdicts and posts to a file that training and calibration read."""

import asyncio
import base64
import json
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from mmorient.training.data.posts_file import read_posts
from tests.worker.commands.verdicts.test_tally import said
from tests.worker.system import Stream, administrator, post

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def test_judged_posts_become_labelled_posts(stream: Stream, tmp_path: Path) -> None:
    """With the labels that people gave, with pictures that are within them; others are counted."""
    await stream.create_topics(1)
    inline = {"data": base64.b64encode(PIXEL).decode()}
    await stream.feed(
        [
            post("p-0", text="what a day"),
            post("p-1", text="look", media=[inline]),
            post("p-2", text="look", media=[{"url": "https://img.example/1.jpg"}]),
            post("p-3", text="disputed"),
            post("another", text="stands where p-4 stood"),
        ],
        1,
    )
    verdicts = [said("ana", "not_sarcastic", offset) for offset in (0, 1, 2, 3, 4, 99)]
    verdicts += [said("ben", "sarcastic", 3), said("ana", "negative", 0, "sentiment")]
    topic = f"{stream.name}.verdicts"
    async with administrator(stream) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, enable_idempotence=True)
    await producer.start()
    try:
        for one in verdicts:
            value = one.model_copy(update={"post": one.post.model_copy(update={"topic": stream.posts})})
            await producer.send_and_wait(topic, value.model_dump_json().encode(), partition=0)
        await producer.send_and_wait(topic, b"no verdict", partition=0)
    finally:
        await producer.stop()
    file = tmp_path / "verdicts.jsonl"
    code, output, errors = await stream.command("verdicts", "export", str(file), "--json", PAGE__VERDICTS_TOPIC=topic)
    assert code == 0, errors
    assert json.loads(output) == {
        "posts": 2, "labels": 3, "people": 2, "disputed_labels": 1,
        "gone_posts": 2, "elsewhere_posts": 1, "empty_posts": 0,
    }  # fmt: skip
    assert "1 records" in errors
    first, second = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert first == {
        "id": "p-0", "text": "what a day", "labels": {"sarcasm": "not_sarcastic", "sentiment": "negative"},
    }  # fmt: skip
    assert (tmp_path / second["picture"]).read_bytes() == PIXEL
    assert [example.targets for example in read_posts(file)] == [{"sarcasm": 0, "sentiment": 0}, {"sarcasm": 0}]


async def test_what_cannot_be_written_is_said(stream: Stream, tmp_path: Path) -> None:
    """In one line, before anything is written."""
    await stream.create_topics(1)
    for arguments, exit_code, words in (
        ((str(tmp_path / "a.csv"),), 2, "an export is written as .jsonl"),
        ((str(tmp_path / "no" / "a.jsonl"),), 2, "no such folder"),
        ((str(tmp_path / "a.jsonl"),), 1, "does not exist"),
    ):
        code, _, errors = await stream.command(
            "verdicts", "export", *arguments, PAGE__VERDICTS_TOPIC=f"{stream.name}.verdicts"
        )
        assert (code, words in errors, len(errors.splitlines())) == (exit_code, True, 1), errors
    assert await asyncio.to_thread(lambda: list(tmp_path.glob("*.jsonl"))) == []
