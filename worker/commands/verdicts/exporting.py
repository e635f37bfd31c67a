"""The work of `moderate verdicts export`: verdicts from their topic, posts from theirs, and a file of both."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from aiokafka import AIOKafkaConsumer
from pydantic import ValidationError
from tqdm import tqdm

from mmorient import ParsedPost, PictureError, PostError, PostReader, inline_bytes, post_text
from schemas import Verdict
from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position
from worker.broker.range_reader import connected_reader, partitions_of, read_ranges, record_at
from worker.broker.ranges import Bound, freeze
from worker.broker.topics import partition_counts
from worker.commands.verdicts.tally import Judged, Tally, tally
from worker.errors import FatalError
from worker.settings import KafkaSettings


@dataclass
class Left:
    """Posts that are not in the file, by why.

    Args:
        gone: no longer in their topic, or another post stands there now.
        elsewhere: their pictures are not in them, or they have several.
        empty: neither a text nor a picture can be read of them.
    """

    gone: int = 0
    elsewhere: int = 0
    empty: int = 0


async def export_verdicts(
    kafka: KafkaSettings, topic: str, file: Path, start: Bound, end: Bound, *, as_json: bool
) -> None:
    """Write the posts that people judged, and what they say, to a file.

    Args:
        kafka: where the topics are.
        topic: of the verdicts.
        file: to write; pictures go to a folder beside it.
        start, end: of the verdicts, by time of writing or offset.
        as_json: whether what was done is said as JSON.

    Raises:
        FatalError: there is no verdict, or none of a post that is still there.
    """
    links = KafkaLinks(kafka.bootstrap_servers or "", kafka)
    async with connected_reader(links) as consumer:
        counted = tally(await _verdicts(links, consumer, topic, start, end))
        if not counted.verdicts:
            raise FatalError(f"topic {topic} holds no verdict in that range")
        rows, left = await _rows(links, consumer, kafka, counted, file)
    if not rows:
        raise FatalError(f"of {len(counted.posts)} judged posts none can be written: {_why(left, counted)}")
    part = file.with_name(f"{file.name}.part")
    part.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    part.replace(file)
    labels = sum(len(row["labels"]) for row in rows)
    if as_json:
        said = {"posts": len(rows), "labels": labels, "people": counted.people, "disputed_labels": counted.disputed}
        click.echo(json.dumps(said | {f"{name}_posts": count for name, count in asdict(left).items()}))
        return
    click.echo(f"wrote {len(rows)} posts with {labels} labels, by {counted.people} people, to {file}", err=True)
    if why := _why(left, counted):
        click.echo(f"left out: {why}", err=True)


async def _verdicts(
    links: KafkaLinks, consumer: AIOKafkaConsumer, topic: str, start: Bound, end: Bound
) -> list[Verdict]:
    found, unreadable = [], 0
    ranges = await freeze(consumer, await partitions_of(links, topic), start, end)
    async for records in read_ranges(consumer, ranges):
        for record in records:
            try:
                found.append(Verdict.model_validate_json(record.value or b""))
            except ValidationError:
                unreadable += 1
    if unreadable:
        click.echo(f"{unreadable} records of {topic} are not verdicts, or are of a later version", err=True)
    return found


async def _rows(
    links: KafkaLinks, consumer: AIOKafkaConsumer, kafka: KafkaSettings, counted: Tally, file: Path
) -> tuple[list[dict[str, Any]], Left]:
    reader, left = PostReader(kafka.text_format, kafka.post_fields), Left()
    rows: list[dict[str, Any]] = []
    async with links.connected_admin() as admin:
        counts = await partition_counts(admin, sorted({position.topic for position in counted.posts}))
    for position, judged in tqdm(
        sorted(counted.posts.items()), unit=" posts", leave=False, disable=not sys.stderr.isatty()
    ):
        post = await _post(consumer, position, judged, reader, counts)
        if post is None:
            left.gone += 1
        elif (row := _row(post, judged, file, left)) is not None:
            rows.append(row)
    return rows, left


async def _post(
    consumer: AIOKafkaConsumer, position: Position, judged: Judged, reader: PostReader, counts: Mapping[str, int]
) -> ParsedPost | None:
    if counts.get(position.topic, 0) <= position.partition:
        return None
    record = await record_at(consumer, position)
    try:
        post = None if record is None else reader.read(record.value or b"")
    except PostError:
        return None
    return post if isinstance(post, ParsedPost) and post.id == judged.post_id else None


def _row(post: ParsedPost, judged: Judged, file: Path, left: Left) -> dict[str, Any] | None:
    row: dict[str, Any] = {"id": post.id}
    if (text := post_text(post.text, [one.ocr_text for one in post.media])) is not None:
        row["text"] = text
    if post.media or post.media_left_out:
        # People judged what the post shows, too: without its picture the row would say something else.
        content = _only_picture(post)
        if content is None:
            left.elsewhere += 1
            return None
        row["picture"] = _written(content, file)
    if len(row) == 1:
        left.empty += 1
        return None
    return row | {"labels": dict(judged.labels)}


def _only_picture(post: ParsedPost) -> bytes | None:
    if len(post.media) != 1 or post.media_left_out or post.media[0].data is None:
        return None
    try:
        return inline_bytes(post.media[0].data)
    except PictureError:
        return None


def _written(content: bytes, file: Path) -> str:
    """Write a picture beside the file, and return its path from there."""
    folder = file.with_suffix(".pictures")
    folder.mkdir(exist_ok=True)
    picture = folder / hashlib.sha256(content).hexdigest()[:32]
    picture.write_bytes(content)
    return f"{folder.name}/{picture.name}"


def _why(left: Left, counted: Tally) -> str:
    said = [
        (left.gone, "posts that are no longer in their topic"),
        (left.elsewhere, "posts with several pictures, or one that is not within them"),
        (left.empty, "posts of which nothing can be read"),
        (counted.disputed, "labels on which people differ"),
    ]
    return ", ".join(f"{count} {what}" for count, what in said if count)
