"""The work of `moderate forget`: where the posts are, what is deleted, and what is left."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import click
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord
from redis.exceptions import RedisError

from mmorient import ParsedPost, PostError, PostReader
from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position
from worker.broker.range_reader import connected_reader, read_ranges
from worker.broker.ranges import Bound, freeze
from worker.broker.topics import answer_topics, output_topics, partition_counts, topic_configs
from worker.broker.transaction import write
from worker.commands.dead_letters.letters import Letter
from worker.commands.forget.entries import Digests, keys_of
from worker.commands.labels.searching import partition_of, search
from worker.commands.terminal import harmless
from worker.errors import FatalError
from worker.items import OutgoingRecord
from worker.labelling.cache.redis_cache import NoCache, RedisCache
from worker.labelling.stages import load_moderator, open_cache
from worker.settings import Settings


@dataclass(frozen=True)
class Wanted:
    """What is to be forgotten.

    Args:
        post_ids: of the posts.
        key: of their records; None where that is their id.
        all_partitions: whether to search others than the key's.
        whole_key: whether tombstones are written under keys that are not the post's id.
        dry_run: whether nothing is written or deleted.
    """

    post_ids: Sequence[str]
    key: str | None
    all_partitions: bool
    whole_key: bool
    dry_run: bool


@dataclass
class Found:
    """What stands in the topics of one post.

    Args:
        posts: the posts themselves, by position; those that can be read with what they say.
        keys: keys of its records, by partition number.
        labels: positions of its labels.
        letters: its dead letters.
    """

    posts: dict[Position, ParsedPost] = field(default_factory=dict)
    keys: set[tuple[int, bytes]] = field(default_factory=set)
    labels: list[Position] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)


async def forget_posts(settings: Settings, wanted: Wanted, digests: Digests | None = None) -> None:
    """Forget posts, and print what was done and what is left.

    Args:
        settings: the workers'.
        wanted: which posts.
        digests: what the keys in the cache depend on; the model says it otherwise.

    Raises:
        FatalError: nothing is known of one of them; what was known of the others is done.
    """
    links = KafkaLinks(settings.kafka.bootstrap_servers or "", settings.kafka)
    unknown: list[str] = []
    async with AsyncExitStack() as stack:
        cache = await open_cache(stack, settings.redis)
        if digests is None and isinstance(cache, RedisCache):
            digests = Digests.of(await load_moderator(settings))
        consumer = await stack.enter_async_context(connected_reader(links))
        async with links.connected_admin() as admin:
            topics = output_topics(settings.kafka)
            counts = await partition_counts(admin, [settings.kafka.posts_topic, *topics])
            compacted = [
                topic
                for topic in topics
                if "compact" in (await topic_configs(admin, topic, ["cleanup.policy"])).get("cleanup.policy", "")
            ]
        for post_id in wanted.post_ids:
            found = await _find(settings, consumer, counts, post_id, wanted)
            own = {(number, key) for number, key in found.keys if wanted.whole_key or key == post_id.encode()}
            shared, found.keys = found.keys - own, own
            if not (found.posts or found.labels or found.letters):
                unknown.append(post_id)
                continue
            entries: set[bytes] = set()
            if isinstance(cache, RedisCache) and digests is not None:
                for post in found.posts.values():
                    entries |= await keys_of(post, digests, cache, max_bytes=settings.media.max_bytes)
            deleted = len(entries)
            if not wanted.dry_run:
                deleted = await _deleted(cache, entries)
                await _write_tombstones(links, settings, found, compacted)
            for line in _lines(settings, post_id, found, deleted, compacted, dry_run=wanted.dry_run):
                click.echo(line)
            if shared:
                click.echo("  left: labels under a key that is not the id, and may be other posts' too (--whole-key)")
    if unknown:
        named = ", ".join(repr(harmless(one, 80)) for one in unknown)
        raise FatalError(f"nothing is known of {named}: --key (where the key is not the id), --all-partitions")


async def _deleted(cache: NoCache | RedisCache, entries: set[bytes]) -> int:
    try:
        return await cache.delete(list(entries)) if isinstance(cache, RedisCache) else 0
    except RedisError as error:
        raise FatalError(f"Redis: {error}; nothing else was done for this post") from error


async def _find(
    settings: Settings, consumer: AIOKafkaConsumer, counts: Mapping[str, int], post_id: str, wanted: Wanted
) -> Found:
    kafka, found = settings.kafka, Found()
    key = post_id if wanted.key is None else wanted.key
    number = partition_of(key.encode(errors="surrogateescape"), counts.get(kafka.posts_topic, 1))
    places = [
        TopicPartition(topic, partition)
        for topic, count in counts.items()
        for partition in range(count)
        if wanted.all_partitions or partition == number
    ]
    ranges = await freeze(consumer, places, Bound("earliest"), Bound("latest"))
    reader = PostReader(kafka.text_format, kafka.post_fields)
    posts = {place: part for place, part in ranges.items() if place.topic == kafka.posts_topic}
    async for records in read_ranges(consumer, posts):
        for record in records:
            if (post := _post(record, reader)) is not None and post.id == post_id:
                found.posts[Position.of(record)] = post
                if record.key is not None:
                    found.keys.add((record.partition, record.key))
    outputs = {place: part for place, part in ranges.items() if place.topic != kafka.posts_topic}
    async for _, window in search(consumer, outputs, post_id, dead_letter_topic=kafka.dead_letter_topic):
        for one in window:
            if isinstance(one, Letter):
                found.letters.append(one)
                if one.key is not None:
                    found.keys.add((one.position.partition, one.key))
            else:
                found.labels.append(one.position)
    if not found.keys and found.labels:
        # The post is gone; its labels are under the key that was searched for.
        found.keys.update({(place.partition, key.encode(errors="surrogateescape")) for place in found.labels})
    return found


def _post(record: ConsumerRecord, reader: PostReader) -> ParsedPost | None:
    try:
        found = reader.read(record.value or b"")
    except PostError:
        return None
    return found if isinstance(found, ParsedPost) else None


async def _write_tombstones(links: KafkaLinks, settings: Settings, found: Found, compacted: Sequence[str]) -> None:
    """Write one to each topic of labels and decisions; to the dead letters' where compaction then takes the letter."""
    topics = answer_topics(settings.kafka)
    if found.letters and settings.kafka.dead_letter_topic in compacted:
        topics.append(settings.kafka.dead_letter_topic)
    records: dict[int, list[OutgoingRecord]] = {}
    for partition, key in sorted(found.keys):
        records.setdefault(partition, []).extend(OutgoingRecord(topic, key, None, []) for topic in topics)
    if not records:
        return
    producer = links.plain_producer()
    await producer.start()
    try:
        await write(producer, records)
    finally:
        await producer.stop()


def _lines(
    settings: Settings, post_id: str, found: Found, deleted: int, compacted: Sequence[str], *, dry_run: bool
) -> Iterator[str]:
    kafka, would = settings.kafka, "would be " if dry_run else ""
    topics = answer_topics(kafka)
    yield harmless(post_id, 80)
    yield f"  Redis: {deleted} entries {would}deleted"
    tombstones = len(found.keys) * len(topics)
    yield f"  labels: {tombstones} tombstones {would}written to {', '.join(topics)}, under {len(found.keys)} keys"
    kept = [topic for topic in topics if topic not in compacted]
    if kept and found.labels:
        yield f"  left: {len(found.labels)} labels until retention takes them: not compacted are {', '.join(kept)}"
    for letter in found.letters:
        gone = kafka.dead_letter_topic in compacted and letter.key is not None
        yield f"  {f'tombstone {would}written for' if gone else 'left until retention'}: dead letter {letter.position}"
    for position in found.posts:
        yield f"  left: the post {position} itself; who wrote it deletes it, by a record without a value under its key"
    if any(medium.url for post in found.posts.values() for medium in post.media):
        yield f"  left: entries of pictures by address in Redis, for {settings.redis.ttl_seconds:g} s at most"
    yield "  left: what others have read from the topics before"
