"""The posts that were labelled: community, language, length and text, from their topic or from a file."""

# ruff: noqa: S608 - queries are made of this package's own names and numbers, and of quoted literals

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from mmorient import ParsedPost, PostError, PostReader
from worker.broker.positions import Position
from worker.broker.range_reader import record_at
from worker.broker.ranges import OffsetRange
from worker.commands.diff.read.files import read_posts
from worker.commands.diff.read.lines import Intake, Tally
from worker.commands.diff.read.store import Store
from worker.commands.diff.read.topics import TopicReader

# Upper ends of the segments by length, characters.
_LENGTHS = ((20, "1-20"), (80, "21-80"), (280, "81-280"))
_LONGER = "over 280"
_NO_TEXT = "no text"
_FIELDS = ("id", "community", "language", "text")
# Names of the columns that hold pictures.
_MEDIA = ("media", "image", "images", "picture", "pictures")


def posts_from_files(intake: Intake, names: Sequence[str], tally: Tally) -> None:
    """Read posts from files.

    Raises:
        FatalError: a file cannot be read.
    """
    for records in read_posts(names, _FIELDS):
        intake.posts(records, tally)


async def posts_from_topics(
    store: Store, reader: TopicReader, intake: Intake, tally: Tally, read: dict[TopicPartition, OffsetRange]
) -> list[str]:
    """Read the posts that the joined labels name from their topics, as far as they still exist.

    Args:
        store: after the join.
        reader: of the topics.
        intake: puts them into the store.
        tally: counts what was read.
        read: the ranges that were read already; this function updates it.

    Returns:
        The topics that do not exist.
    """
    rows = store.rows(
        'SELECT topic, partition, min("offset"), max("offset") + 1 FROM joined WHERE topic IS NOT NULL GROUP BY ALL'
    )
    wanted: dict[TopicPartition, OffsetRange] = {}
    missing: set[str] = set()
    topics = await reader.topics()
    for topic, partition, first, end in rows:
        if topic not in topics:
            missing.add(topic)
            continue
        source = TopicPartition(topic, partition)
        before = read.get(source)
        # New posts usually follow those that were read. If older posts joined later, all are read again.
        since = first if before is None or first < before.since else before.until
        read[source] = (
            OffsetRange(first, end) if before is None else OffsetRange(min(first, before.since), max(end, before.until))
        )
        if since < end:
            wanted[source] = OffsetRange(since, end)
    there = await reader.still_there(wanted) if wanted else {}
    await reader.read(there, lambda records: intake.posts(records, tally), "posts")
    return sorted(missing)


def describe(store: Store, *, from_topics: bool) -> int:
    """Make the table `facet`, with a row for each joined post and its segments; return how many posts are known.

    Args:
        store: after the join.
        from_topics: whether posts are found by their place in Kafka, or by their id.
    """
    key = 'topic, partition, "offset"' if from_topics else "post_id"
    lengths = " ".join(f"WHEN characters <= {end} THEN '{name}'" for end, name in _LENGTHS)
    store.database.execute(
        f"""CREATE OR REPLACE TABLE facet AS
        WITH known AS (
            SELECT {key}, max_by(community, sequence) AS community, max_by(language, sequence) AS language,
                max_by(coalesce(characters, 0), sequence) AS characters, true AS known FROM post GROUP BY {key}
        )
        SELECT joined.post, community, language, modality, CASE WHEN known IS NULL THEN NULL
            WHEN characters = 0 THEN '{_NO_TEXT}' {lengths} ELSE '{_LONGER}' END AS length, known
        FROM joined LEFT JOIN known USING ({key})"""
    )
    return int(store.row("SELECT count(*) FROM facet WHERE known")[0])


def texts(
    store: Store, posts: Sequence[int], *, from_topics: bool
) -> dict[int, tuple[str | None, str | None, str | None]]:
    """Return text, community and language of joined posts, by number."""
    key = 'topic, partition, "offset"' if from_topics else "post_id"
    numbers = ", ".join(map(str, posts)) or "NULL"
    rows = store.rows(
        f"SELECT joined.post, text, community, language FROM joined JOIN post USING ({key}) "
        f"WHERE joined.post IN ({numbers}) ORDER BY sequence"
    )
    return {number: (text, community, language) for number, text, community, language in rows}


async def whole_from_topics(
    reader: TopicReader, places: Sequence[tuple[str, int, int]]
) -> dict[tuple[str, int, int], bytes]:
    """Return the posts at places (topic, partition, offset), as `mmorient` reads them.

    Only the fields of a Post are passed on, so that no other field can name a file on this machine.
    """
    topics, one_reader = await reader.topics(), PostReader()
    found: dict[tuple[str, int, int], bytes] = {}
    for topic, partition, offset in places:
        if topic not in topics:
            continue
        record = await record_at(reader.consumer, Position(topic, partition, offset))
        if record is None:
            continue
        try:
            post = one_reader.read(record.value or b"")
        except PostError:
            continue
        if isinstance(post, ParsedPost):
            found[topic, partition, offset] = post.as_json()
    return found


def whole_from_files(names: Sequence[str], wanted: Sequence[str]) -> dict[str, tuple[bytes, Path]]:
    """Return the posts of ids, each with the folder that its pictures' paths are relative to."""
    ids = set(wanted)
    found: dict[str, tuple[bytes, Path]] = {}
    for records in read_posts(names, (*_FIELDS, *_MEDIA)):
        for place, value in zip(records.places, records.values, strict=True):
            if value is None or not any(one in value for one in ids):
                continue
            post = str(_object(value).get("id"))
            if post in ids:
                found[post] = (value.encode(), Path(records.origins[place].name).parent)
    return found


def _object(value: str) -> Mapping[str, Any]:
    try:
        read = json.loads(value)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
