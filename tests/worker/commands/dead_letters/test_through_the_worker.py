"""Replayed posts in a real worker: what is repaired is labelled, what is not comes back until the guard refuses it."""

import json
from collections import Counter

from tests.worker.commands.dead_letters.conftest import Replays
from tests.worker.commands.dead_letters.letters import Draft, replayed, write
from tests.worker.system import TASKS, Stream, headers_of, post


async def test_a_repaired_post_is_labelled_and_a_broken_one_is_refused_at_last(
    stream: Stream, replays: Replays
) -> None:
    """A raised limit lets long posts through; truncated JSON comes back with attempts 1, 2, 3 and goes no further."""
    await stream.create_topics(2)
    long = [post(f"long-{n}", text="what a long day " * 3, community="trains") for n in range(4)]
    broken = [post(f"broken-{n}", text="never")[:-3] for n in range(2)]
    short = [post(f"short-{n}", text="what a day") for n in range(4)]
    strict = await stream.start("strict", BATCH__MAX_TEXT_CHARS="20")
    positions = await stream.feed([*long, *broken, *short], 2)
    await stream.settled(positions, 60)
    assert await strict.end() == 0
    dead = await stream.dead_letters()
    assert len(dead) == len(long) + len(broken)
    worker = await stream.start()

    first = await replays(wait=150)
    assert first["replayed"] == 6
    assert first["waited"] == {"labelled": 4, "dead_lettered": 2, "pending": 0}
    for already in (6, 8):
        answer = await replays(wait=60, stages=["decode"])
        assert (answer["already_replayed"], answer["replayed"]) == (already, 2)
        assert answer["waited"] == {"labelled": 0, "dead_lettered": 2, "pending": 0}
    last = await replays(wait=150)
    assert last == {"selected": 12, "already_replayed": 10, "too_many_attempts": 2}
    attempts = Counter(
        headers_of(record).get("moderate.attempt")
        for found in (await stream.dead_letters()).values()
        for record in found
    )
    assert attempts == {None: 6, b"1": 2, b"2": 2, b"3": 2}
    # Each label is of the position at which its post was written again, and has the bytes of any label.
    again = {(record.partition, record.offset) for found in (await replayed(stream)).values() for record in found}
    assert len(again) == 10
    labels = await stream.labels()
    for task in TASKS:
        of_task = labels.by_topic[stream.label_topic(task)]
        assert len(set(of_task) & again) == len(long)
        assert labels.counts(stream.label_topic(task)) == Counter({1: len(long) + len(short)})
        assert {json.loads(values[0])["post_id"] for values in of_task.values()} == {
            *(f"long-{n}" for n in range(4)), *(f"short-{n}" for n in range(4))
        }  # fmt: skip
    for record in (await stream.read(stream.label_topic("sarcasm")))[stream.label_topic("sarcasm")]:
        assert [name for name, _ in record.headers if name.startswith("moderate.")] == ["moderate.group"]
        assert headers_of(record)["traceparent"].startswith(b"00-")
    assert (await replays(max_attempts=4, dry_run=True))["replayed"] == 2
    assert await worker.end() == 0


async def test_waiting_for_nobody_ends(stream: Stream) -> None:
    """Without a worker the posts are pending when the time is over, and the exit code says so."""
    await stream.create_topics(1)
    await write(stream, [Draft(post("long", text="what a long day"), 3)])
    code, output, _ = await stream.command("dead-letters", "replay", "--wait", "0.5", "--json")
    assert code == 1
    assert json.loads(output)["waited"] == {"labelled": 0, "dead_lettered": 0, "pending": 1}
