"""`moderate dead-letters replay --unavailable` on a real Kafka: posts that were labelled without a picture."""

import json
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from schemas import UNAVAILABLE_REASONS
from tests.worker.commands.dead_letters.conftest import Replays
from tests.worker.commands.dead_letters.letters import replayed
from tests.worker.system import TASKS, Position, Stream, administrator, headers_of, post
from worker.commands.dead_letters.labelled import Unavailable, check_reasons
from worker.errors import SettingsError

_ROOT = Path(__file__).parents[4]


def label(stream: Stream, post_id: str, at: Position, reasons: Sequence[str], **fields: Any) -> bytes:
    """Return what of a label such a replay reads."""
    source = {"topic": stream.posts, "partition": at[0], "offset": at[1]}
    missing = [{"index": index, "reason": reason} for index, reason in enumerate(reasons)]
    return json.dumps({"post_id": post_id, "unavailable": missing, "source": source} | fields).encode()


async def write_labels(stream: Stream, labels: Sequence[tuple[int, bytes]], tasks: Sequence[str] = TASKS) -> None:
    """Write labels to the partitions of label topics."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka)
    await producer.start()
    try:
        for task in tasks:
            for partition, value in labels:
                await producer.send_and_wait(stream.label_topic(task), value, partition=partition)
    finally:
        await producer.stop()


async def test_each_post_that_lacks_its_picture_is_written_again_once(stream: Stream, replays: Replays) -> None:
    """Key, bytes, partition and headers are the post's; other reasons, other posts and second labels count nothing."""
    await stream.create_topics(2)
    values = [post(f"p-{n}", text="x", community="trains" if n < 4 else "gardening") for n in range(8)]
    positions = await stream.feed(values, 2)
    reasons = {0: ["fetch_failed"], 1: ["corrupt", "fetch_failed"], 2: ["http_status"], 4: ["fetch_failed"]}
    # `feed` writes the even posts to partition 0, and returns these first.
    at = dict(zip([0, 2, 4, 6, 1, 3, 5, 7], positions, strict=True))
    said = [
        (at[n][0], label(stream, f"p-{n}", at[n], reasons.get(n, []), community="trains" if n < 4 else "gardening"))
        for n in range(8)
    ]
    await write_labels(stream, [*said, *said[:2]])

    def wanted(*reasons: str, **only: Sequence[str]) -> Unavailable:
        return Unavailable(reasons, **only)

    failed = wanted("fetch_failed")
    assert await replays(unavailable=failed, dry_run=True) == {"dry_run": True, "selected": 3, "replayed": 3}
    assert await replayed(stream) == {}
    assert (await replays(unavailable=failed, limit=1))["replayed"] == 1
    assert await replays(unavailable=failed) == {"selected": 3, "replayed": 2, "already_replayed": 1}
    assert await replays(unavailable=failed) == {"selected": 3, "already_replayed": 3}
    assert await replays(unavailable=wanted("http_status", communities=["gardening"])) == {}
    assert await replays(unavailable=wanted("http_status", post_ids=["p-2"], communities=["trains"])) == {
        "selected": 1, "replayed": 1,
    }  # fmt: skip
    written = await replayed(stream)
    assert set(written) == {f"{stream.posts}[{at[n][0]}]@{at[n][1]}" for n in (0, 1, 2, 4)}
    for number in (0, 1, 2, 4):
        origin = f"{stream.posts}[{at[number][0]}]@{at[number][1]}"
        (record,) = written[origin]
        assert (record.value, record.partition, record.key) == (values[number], at[number][0], b"key-%d" % number)
        headers = headers_of(record)
        assert (headers["moderate.attempt"], headers["moderate.replay-of"]) == (b"1", origin.encode())
        assert headers["traceparent"].startswith(b"00-")
    # Dead letters know nothing of these entries.
    assert await replays() == {}


async def test_posts_that_are_gone_changed_or_came_back_too_often_are_left_out(
    stream: Stream, replays: Replays
) -> None:
    """Retention, a topic that was made anew, another posts topic and the count of attempts are told apart."""
    await stream.create_topics(1)
    await stream.feed([post(f"p-{n}", text="x") for n in range(6)], 1)
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka)
    await producer.start()
    try:
        often = [("moderate.attempt", b"3"), ("moderate.replay-of", b"z")]
        await producer.send_and_wait(stream.posts, post("p-6", text="x"), headers=often)
    finally:
        await producer.stop()
    async with administrator(stream) as admin:
        await admin.delete_records({TopicPartition(stream.posts, 0): RecordsToDelete(before_offset=2)})
    labels = [(0, label(stream, f"p-{n}", (0, n), ["fetch_timeout"])) for n in range(4)]
    labels.append((0, label(stream, "somebody", (0, 4), ["fetch_timeout"])))
    labels.append((0, label(stream, "p-6", (0, 6), ["fetch_timeout"])))
    elsewhere = {"topic": "other-posts", "partition": 0, "offset": 5}
    labels.append((0, label(stream, "p-5", (0, 5), ["fetch_timeout"], source=elsewhere)))
    labels.append((0, label(stream, "p-9", (0, 99), ["fetch_timeout"])))
    await write_labels(stream, labels)
    code, output, errors = await stream.command("dead-letters", "replay", "--unavailable", "fetch_timeout", "--dry-run")
    assert code == 0, errors
    assert re.search(r"^ +3  left out: no longer in the posts topic$", output, re.MULTILINE)
    assert await replays(unavailable=Unavailable(["fetch_timeout"])) == {
        "selected": 8, "replayed": 2, "gone": 3, "other_post": 1, "other_topic": 1, "too_many_attempts": 1,
    }  # fmt: skip
    assert set(await replayed(stream)) == {f"{stream.posts}[0]@{n}" for n in (2, 3)} | {"z"}


@pytest.mark.soak
async def test_kill_9_in_the_middle_replays_each_post_once(stream: Stream) -> None:
    """Killed while it writes and run once more, every post was written once."""
    count = 4000
    await stream.create_topics(1)
    await stream.feed([post(f"p-{n}", text="x") for n in range(count)], 1)
    labels = [(0, label(stream, f"p-{n}", (0, n), ["fetch_failed"])) for n in range(count)]
    await write_labels(stream, labels, TASKS[:1])
    topics = {"KAFKA__ROUTES": json.dumps({TASKS[0]: stream.label_topic(TASKS[0])})}
    command = ("dead-letters", "replay", "--unavailable", "fetch_failed")
    # So slow that it is not done before it is killed.
    process = await stream.spawn(*command, "--max-posts-per-second", "500", **topics)
    while not await replayed(stream):
        assert process.returncode is None
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    code, output, errors = await stream.command(*command, "--json", **topics)
    assert code == 0, errors
    answer = json.loads(output)
    assert answer["replayed"] > 0
    assert answer["already_replayed"] > 0
    assert answer["replayed"] + answer["already_replayed"] == count
    found = await replayed(stream)
    assert {len(records) for records in found.values()} == {1}
    assert len(found) == count


def test_every_reason_in_the_code_is_known() -> None:
    """What raises a reason code, or drops a picture with one, uses one that a replay can be asked for."""
    raised = re.compile(r'(?:MediumError|PictureError|_PassingError|drop_picture)\((?:index, )?"([a-z_0-9]+)"')
    code = [*(_ROOT / "worker").rglob("*.py"), *(_ROOT / "mmorient/input").rglob("*.py")]
    found = {reason for file in code for reason in raised.findall(file.read_text(encoding="utf-8"))}
    # Of the command `mmorient label` alone.
    assert found - {"no_such_file", "not_fetched"} <= UNAVAILABLE_REASONS
    assert len(found) >= 12


@pytest.mark.parametrize(("reason", "said"), [("fetch_faild", "did you mean 'fetch_failed'"), ("moon", "bad_base64")])
def test_a_reason_that_is_none_is_refused_with_the_nearest(reason: str, said: str) -> None:
    """A misspelt one would select nothing, and look as if all were well."""
    with pytest.raises(SettingsError, match=said):
        check_reasons([reason])
