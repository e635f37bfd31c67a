"""`moderate dead-letters replay` on a real Kafka: each selected letter once, whatever happens."""

import asyncio
import json
import random
import signal
from unittest.mock import AsyncMock

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.worker.commands.dead_letters.conftest import Replays
from tests.worker.commands.dead_letters.letters import Draft, replayed, write
from tests.worker.system import Stream, administrator, headers_of, post
from worker.commands.dead_letters import replay_command
from worker.commands.dead_letters.claim import ReplayClaim
from worker.errors import FatalError


async def posts_written(stream: Stream) -> int:
    """Return how far the posts topic reaches, with what is not committed."""
    async with stream._reader("read_uncommitted", [stream.posts]) as (_, ends):
        return sum(ends.values())


async def test_what_is_replayed_is_the_post(stream: Stream, replays: Replays) -> None:
    """Bytes, key, partition and own headers are the post's; an attempt is counted, and nothing is replayed twice."""
    await stream.create_topics(2)
    own = [("traceparent", b"00-1"), ("twice", b"1"), ("twice", b"2")]
    whole = Draft(post("a", text="x"), 5, 1, own=own, key=None)
    parts = Draft(bytes(range(256)) * 8, 6, 1, parts=3, own=[("moderate.attempt", b"1"), ("moderate.replay-of", b"z")])
    await write(stream, [whole, parts])
    assert await replays(dry_run=True) == {"dry_run": True, "selected": 2, "replayed": 2}
    assert await replayed(stream) == {}
    assert (await replays.listed())["replayed"] == 0
    assert await replays() == {"selected": 2, "replayed": 2}
    assert await replays() == {"selected": 2, "already_replayed": 2}
    written = {origin: record for origin, (record,) in (await replayed(stream)).items()}
    for draft, attempt in ((whole, b"1"), (parts, b"2")):
        origin = f"{stream.posts}[{draft.partition}]@{draft.offset}"
        record = written[origin]
        assert (record.key, record.value, record.partition) == (draft.key, draft.value, draft.partition)
        carried = [(name, value) for name, value in draft.own if not name.startswith("moderate.")]
        added = [("moderate.attempt", attempt), ("moderate.replay-of", origin.encode())]
        assert list(record.headers) == carried + added
    listing = await replays.listed()
    assert (listing["letters"], listing["replayed"]) == (2, 2)


async def test_deletions_and_what_is_no_record_are_never_written_again(stream: Stream, replays: Replays) -> None:
    """A letter without a value, of a worker before this rule, and bytes that were no record are left out and said."""
    await stream.create_topics(1)
    empty = [("moderate.attempt", None), ("moderate.part", None), ("moderate.replay-of", None), ("traceparent", None)]
    drafts = [
        Draft(None, 7, message="the record has no value"),
        Draft(b"\x02torn", 8, stage="fetch", message="no record can be read"),
        Draft(post("a", text="x"), 9, own=empty),
        Draft(b"", 10, message="the record is empty"),
    ]
    await write(stream, drafts)
    # As the command says it, too.
    code, output, errors = await stream.command("dead-letters", "replay", "--dry-run")
    assert code == 0, errors
    assert "left out: deletions, which have no value" in output
    assert await replays() == {"selected": 4, "replayed": 2, "deletion": 1, "no_record": 1}
    written = await replayed(stream)
    assert {record.value for records in written.values() for record in records} == {b"", post("a", text="x")}
    listing = await replays.listed()
    assert (listing["letters"], listing["replayed"]) == (4, 2)


async def test_only_what_is_selected_and_allowed_is_replayed(stream: Stream, replays: Replays) -> None:
    """Poison needs to be named; too many or unreadable attempts, and posts of other topics stay where they are."""
    await stream.create_topics(2)
    drafts = [
        *(Draft(post(f"p-{n}", text="x", community="trains" if n % 2 else "gardening"), n) for n in range(6)),
        Draft(b"?", 10, stage="poison", name="worker.errors.PoisonError"),
        Draft(b"?", 11, own=[("moderate.attempt", b"3")]),
        Draft(b"?", 12, own=[("moderate.attempt", b"many")]),
        Draft(b"?", 13, own=[("moderate.attempt", b"1"), ("moderate.attempt", b"7")]),
        Draft(b"?", 14, topic="other-posts"),
        Draft(b"?", 15, stage="\xff"),
    ]
    await write(stream, drafts)
    assert await replays(communities=["trains"], limit=2) == {"selected": 2, "replayed": 2}
    assert await replays(communities=["trains"], limit=2) == {"selected": 3, "replayed": 1, "already_replayed": 2}
    assert await replays() == {
        "selected": 12, "replayed": 4, "already_replayed": 3, "poison": 1,
        "too_many_attempts": 2, "unreadable_attempts": 1, "other_topic": 1,
    }  # fmt: skip
    assert await replays(stages=["poison"]) == {"selected": 1, "replayed": 1}
    assert await replays(max_attempts=4, partitions=[0]) == {
        "selected": 12, "replayed": 1, "already_replayed": 8,
        "too_many_attempts": 1, "unreadable_attempts": 1, "other_topic": 1,
    }  # fmt: skip
    found = await replayed(stream)
    assert {len(records) for records in found.values()} == {1}
    assert len(found) == 9


@pytest.mark.soak
async def test_kill_9_in_the_middle_replays_each_once(stream: Stream) -> None:
    """Killed at five random moments and run once more, every letter's post was written once."""
    await stream.create_topics(2)
    count = 12_000
    await write(stream, [Draft(b"?", n, n % 2) for n in range(count)])
    chance = random.Random(7)
    killed_amid: list[int] = []
    for _ in range(5):
        before = await posts_written(stream)
        process = await stream.spawn("dead-letters", "replay")
        while process.returncode is None and await posts_written(stream) == before:
            await asyncio.sleep(0.005)
        await asyncio.sleep(chance.random() * 0.15)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()
        killed_amid.append(process.returncode or 0)
    code, output, errors = await stream.command("dead-letters", "replay", "--json")
    assert code == 0, errors
    answer = json.loads(output)
    assert answer["replayed"] + answer["already_replayed"] == count
    assert killed_amid.count(-signal.SIGKILL) >= 3
    assert answer["already_replayed"] > 0
    found = await replayed(stream)
    assert {len(records) for records in found.values()} == {1}
    assert set(found) == {f"{stream.posts}[{n % 2}]@{n}" for n in range(count)}


async def test_of_two_replays_at_once_the_older_ends(stream: Stream) -> None:
    """It is fenced, says so in one line with exit code 1, and every letter's post was written once by either."""
    await stream.create_topics(1)
    count = 300
    await write(stream, [Draft(b"?", n) for n in range(count)])
    older = await stream.spawn("dead-letters", "replay", "--max-posts-per-second", "10")
    while not await posts_written(stream):
        assert older.returncode is None
        await asyncio.sleep(0.05)
    code, output, errors = await stream.command("dead-letters", "replay", "--json")
    assert code == 0, errors
    answer = json.loads(output)
    assert answer["already_replayed"] > 0
    assert answer["replayed"] > 0
    _, said = await older.communicate()
    assert older.returncode == 1
    lines = [line for line in said.decode().splitlines() if line.startswith("moderate: ")]
    assert len(lines) == 1
    assert "another replay has taken over" in lines[0]
    found = await replayed(stream)
    assert sorted(len(records) for records in found.values()) == [1] * count


@pytest.mark.parametrize("committed", [True, False])
async def test_a_transaction_that_does_not_end_is_not_repeated(
    stream: Stream, replays: Replays, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    """Whether it was committed is open: the replay ends, and the next one asks the ledger behind a new fence."""
    await stream.create_topics(1)
    await write(stream, [Draft(b"?", n) for n in range(3)])
    original = ReplayClaim.take

    async def take(claim: ReplayClaim) -> None:
        await original(claim)
        producer = claim._producer
        assert producer is not None
        commit = producer.commit_transaction

        async def says_nothing() -> None:
            if committed:
                await commit()
            await asyncio.sleep(60)

        monkeypatch.setattr(producer, "commit_transaction", says_nothing)
        monkeypatch.setattr(claim, "_timeout_seconds", 1.0)

    monkeypatch.setattr(ReplayClaim, "take", take)
    with pytest.raises(FatalError, match="took too long"):
        await replays()
    monkeypatch.setattr(ReplayClaim, "take", original)
    assert await replays() == {"selected": 3, "already_replayed" if committed else "replayed": 3}
    assert sorted(len(records) for records in (await replayed(stream)).values()) == [1, 1, 1]


@pytest.mark.parametrize("limit_is_known", [True, False])
async def test_what_the_posts_topic_does_not_take_is_refused_by_name(
    stream: Stream, replays: Replays, monkeypatch: pytest.MonkeyPatch, *, limit_is_known: bool
) -> None:
    """A post that became too large stays a dead letter, its neighbours are replayed, whoever knows the limit."""
    await stream.create_topics(1)
    if not limit_is_known:
        # As for one who may not describe topics.
        monkeypatch.setattr(replay_command, "max_message_bytes", AsyncMock(return_value=None))
    async with administrator(stream) as admin:
        limit = {"max.message.bytes": "20000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, stream.posts, configs=limit)])
    sizes = [100, 15_000, 40_000, 200, 15_000, 300]
    positions = await write(stream, [Draft(random.Random(n).randbytes(size), n) for n, size in enumerate(sizes)])
    answer = await replays()
    assert answer == {"selected": 6, "replayed": 5, "too_large": 1, "too_large_at": [positions[2]]}
    found = await replayed(stream)
    assert set(found) == {f"{stream.posts}[0]@{n}" for n in (0, 1, 3, 4, 5)}
    assert all(headers_of(record)["moderate.attempt"] == b"1" for (record,) in found.values())


async def test_a_topic_that_was_made_anew_has_no_replays(stream: Stream, replays: Replays) -> None:
    """The same offsets of a new dead-letter topic are other letters; added partitions are added to the ledger."""
    await stream.create_topics(1)
    await write(stream, [Draft(b"?", 1)])
    assert await replays() == {"selected": 1, "replayed": 1}
    async with administrator(stream) as admin:
        described = await admin.describe_topics([stream.dead, f"{stream.dead}.replays"])
        assert [len(topic["partitions"][0]["replicas"]) for topic in described] == [1, 1]
        await admin.delete_topics([stream.dead, stream.posts, *map(stream.label_topic, ("sentiment", "sarcasm"))])
        await admin.delete_topics([stream.label_topic("offensiveness")])
        gone = {stream.dead, stream.posts, *map(stream.label_topic, ("sentiment", "sarcasm", "offensiveness"))}
        while set(await admin.list_topics()) & gone:
            await asyncio.sleep(0.05)
    await stream.create_topics(2)
    await write(stream, [Draft(b"?", 2), Draft(b"?", 3, 1)])
    assert await replays() == {"selected": 2, "replayed": 2}
    assert set(await replayed(stream)) == {f"{stream.posts}[0]@2", f"{stream.posts}[1]@3"}


async def test_the_rate_is_kept(stream: Stream) -> None:
    """40 posts at 20 a second take two seconds less the first batch, of a quarter of a second."""
    await stream.create_topics(1)
    await write(stream, [Draft(b"?", n) for n in range(40)])
    code, _, errors = await stream.command("dead-letters", "replay", "--max-posts-per-second", "20")
    assert code == 0, errors
    stamps = sorted(record.timestamp for (record,) in (await replayed(stream)).values())
    assert len(stamps) == 40
    assert 1.7 <= (stamps[-1] - stamps[0]) / 1000 < 6
    # In any second there are 20 and one batch at most.
    assert all(sum(at <= other < at + 1000 for other in stamps) <= 26 for at in stamps)
