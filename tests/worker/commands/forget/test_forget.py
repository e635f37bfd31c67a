"""`moderate forget` on a real Kafka and Redis: what can be done is done, what cannot is said."""

import base64
import json

import pytest
from aiokafka.admin import NewTopic
from redis.asyncio import Redis

from tests.worker.commands.audit.seeds import OURS, Written, write_outputs
from tests.worker.commands.dead_letters.letters import Draft
from tests.worker.commands.dead_letters.letters import write as write_letters
from tests.worker.labelling.test_drawn_text import drawn_picture
from tests.worker.system import TASKS, Stream, administrator, post
from worker.commands.forget.command import Wanted, forget_posts
from worker.commands.forget.entries import Digests
from worker.errors import FatalError
from worker.labelling.cache.covering import cover, secret_of
from worker.labelling.cache.redis_cache import RedisCache, content_key
from worker.settings import RedisSettings, Settings

ID, TEXT, READ = "p-forget", "words to be forgotten", "HELLO"
DIGESTS = Digests("sha256:embedding", "sha256:reader")
PICTURE = drawn_picture(READ)


def settings(stream: Stream) -> Settings:
    """Return the workers' settings."""
    return Settings(kafka=stream.kafka_settings, redis=RedisSettings(url=stream.servers.redis))


def wanted(*ids: str, **changes: bool) -> Wanted:
    """Return what is to be forgotten."""
    fields = {"all_partitions": False, "whole_key": False, "dry_run": False} | changes
    return Wanted(ids, None, **fields)


async def prepared(stream: Stream, key: str = ID) -> set[bytes]:
    """Write a post with a text and a picture, its labels, a dead letter and cache entries; return the entries' keys."""
    async with administrator(stream) as admin:
        # Compacted, so that a tombstone takes a dead letter away.
        await admin.create_topics([NewTopic(stream.dead, 1, 1, topic_configs={"cleanup.policy": "compact"})])
    await stream.create_topics(1)
    media = [{"data": base64.b64encode(PICTURE).decode()}, {"url": "https://img.example/1.png"}]
    value = post(ID, text=TEXT, media=media)
    source = {"topic": stream.posts, "partition": 0, "offset": 0}
    label = json.dumps({"post_id": ID, "task": "x", "model": {"checkpoint": OURS}, "source": source}).encode()
    topics = [stream.posts, *map(stream.label_topic, TASKS)]
    values = [value, *[label] * len(TASKS)]
    records = [Written(topic, 0, key.encode(), said) for topic, said in zip(topics, values, strict=True)]
    other = [Written(topic, 0, b"other", post("other", text="x")) for topic in topics[:1]]
    await write_outputs(stream, [[*records, *other]])
    await write_letters(stream, [Draft(value, 0, key=key.encode())])
    covered = content_key(DIGESTS.reader or "", "covered", PICTURE)
    keys = {
        content_key(DIGESTS.embedding, "text", TEXT.encode()),
        content_key(DIGESTS.embedding, "text", READ.encode()),
        content_key(DIGESTS.embedding, "image", PICTURE),
        covered,
    }
    redis = Redis.from_url(stream.servers.redis)
    await redis.flushdb()
    await redis.mset(dict.fromkeys([*keys, b"mmorient:3:text:of-another"], b"x"))
    await redis.aclose()
    async with RedisCache(stream.servers.redis, ttl_seconds=60, timeout_seconds=5, retry_after_seconds=1) as cache:
        await cache.store_texts({covered: cover(READ, covered, secret_of(PICTURE))})
    return keys


async def entries(stream: Stream) -> set[bytes]:
    """Return the keys that are in Redis."""
    redis = Redis.from_url(stream.servers.redis)
    found = {key async for key in redis.scan_iter()}
    await redis.aclose()
    return found


async def test_a_post_is_forgotten_as_far_as_that_can_be_done(
    stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its entries are gone, those of others are not; tombstones stand under its key; what is left is said."""
    keys = await prepared(stream)
    assert keys <= await entries(stream)
    await forget_posts(settings(stream), wanted(ID, dry_run=True), DIGESTS)
    assert "4 entries would be deleted" in capsys.readouterr().out
    assert keys <= await entries(stream)
    await forget_posts(settings(stream), wanted(ID), DIGESTS)
    said = capsys.readouterr().out
    assert await entries(stream) == {b"mmorient:3:text:of-another"}
    for topic in (*map(stream.label_topic, TASKS), stream.dead):
        last = (await stream.read(topic))[topic][-1]
        assert (last.key, last.value) == (ID.encode(), None)
    for words in (
        "Redis: 4 entries deleted",
        "3 tombstones written",
        "3 labels until retention takes them",
        f"tombstone written for: dead letter {stream.dead}[0]@0",
        f"the post {stream.posts}[0]@0 itself",
        "entries of pictures by address",
        "what others have read",
    ):
        assert words in said
    assert TEXT not in said
    code, listed, _ = await stream.command("dead-letters", "list")
    assert (code, listed.splitlines()[-1]) == (0, "1 dead letters, 0 of them replayed")


async def test_a_key_that_others_share_is_left_alone(stream: Stream, capsys: pytest.CaptureFixture[str]) -> None:
    """A tombstone under an author's id would delete all that the author has; --whole-key says that it is meant."""
    await prepared(stream, key="author-7")
    await forget_posts(settings(stream), wanted(ID, all_partitions=True), DIGESTS)
    topic = stream.label_topic(TASKS[0])
    assert "--whole-key" in capsys.readouterr().out
    assert [record.value is None for record in (await stream.read(topic))[topic]] == [False]
    await forget_posts(settings(stream), wanted(ID, all_partitions=True, whole_key=True), DIGESTS)
    assert [record.key for record in (await stream.read(topic))[topic] if record.value is None] == [b"author-7"]


async def test_decisions_are_forgotten_with_the_labels(stream: Stream, capsys: pytest.CaptureFixture[str]) -> None:
    """Where they are on."""
    topic = f"{stream.name}.decisions"
    async with administrator(stream) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    await prepared(stream)
    own = settings(stream)
    own = own.model_copy(update={"kafka": own.kafka.model_copy(update={"decisions_topic": topic})})
    await forget_posts(own, wanted(ID), DIGESTS)
    assert f"4 tombstones written to {', '.join(map(stream.label_topic, TASKS))}, {topic}" in capsys.readouterr().out
    assert [(record.key, record.value) for record in (await stream.read(topic))[topic]] == [(ID.encode(), None)]


async def test_a_post_of_which_nothing_is_known_is_named(stream: Stream) -> None:
    """The others are forgotten all the same."""
    await prepared(stream)
    with pytest.raises(FatalError, match="nothing is known of 'nobody'"):
        await forget_posts(settings(stream), wanted("nobody", ID), DIGESTS)
    assert await entries(stream) == {b"mmorient:3:text:of-another"}
