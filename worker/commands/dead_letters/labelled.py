"""Posts that were labelled without one of their pictures: found by their labels, read where they stand.

All labels of a post name the same media, so one label topic is enough. A post is replayed once, however many labels
say so: in the ledger it stands under its own position.
"""

import json
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from schemas import UNAVAILABLE_REASONS, DeadLetter
from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position
from worker.broker.range_reader import partitions_of, read_ranges
from worker.broker.ranges import OffsetRange
from worker.commands.dead_letters.letters import Letter
from worker.commands.dead_letters.verdicts import Verdict
from worker.errors import FatalError, SettingsError
from worker.settings import KafkaSettings
from worker.variables import nearest_of

# Reading over posts that are not wanted costs less than asking for the next wanted one by itself.
_NEAR_OFFSETS = 100


@dataclass(frozen=True)
class LabelledPost(Letter):
    """A post that was labelled without one of its pictures, in the place of a letter.

    Args:
        absent: why it cannot be replayed; None where its record was read.
    """

    absent: Verdict | None = None

    @property
    def reason(self) -> DeadLetter | None:
        """None: it is no dead letter."""
        return None

    @property
    def post(self) -> Position | None:
        """Where it stands."""
        return self.position

    def left_out(self, posts_topic: str) -> Verdict | None:
        """Return why it cannot be written to the posts topic again; None where it can."""
        del posts_topic  # it stands there
        return Verdict.DELETION if self.absent is None and self.value is None else self.absent


class _Wanted(NamedTuple):
    """What a label says of a post."""

    post: Position
    post_id: str


@dataclass(frozen=True)
class Unavailable:
    """Which labels are meant.

    Args:
        reasons: one of a post's media was left out for one of these.
        communities: the post is of one of these; empty for any.
        post_ids: it is one of these; empty for any.
    """

    reasons: Collection[str]
    communities: Collection[str] = ()
    post_ids: Collection[str] = ()

    def found_in(self, record: ConsumerRecord) -> _Wanted | None:
        """Return the post of a label that is meant; None of any other record."""
        value = record.value or b""
        # Most labels name no such medium, and are not parsed.
        if not any(reason.encode() in value for reason in self.reasons):
            return None
        try:
            label: Mapping[str, Any] = json.loads(value)
            source, post_id = label["source"], str(label["post_id"])
            left_out = {entry["reason"] for entry in label["unavailable"]}
            post = Position(str(source["topic"]), int(source["partition"]), int(source["offset"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        if left_out.isdisjoint(self.reasons) or post.partition != record.partition:
            return None
        if self.communities and label.get("community") not in self.communities:
            return None
        return None if self.post_ids and post_id not in self.post_ids else _Wanted(post, post_id)


def check_reasons(reasons: Iterable[str]) -> None:
    """Look at reason codes that somebody wrote.

    Raises:
        SettingsError: one is none.
    """
    for reason in reasons:
        if reason not in UNAVAILABLE_REASONS:
            near = nearest_of(reason, UNAVAILABLE_REASONS)
            meant = f"did you mean {near!r}?" if near else f"reasons are {', '.join(sorted(UNAVAILABLE_REASONS))}"
            raise SettingsError(f"--unavailable {reason!r} is not a reason that a label names; {meant}")


async def label_topic_of(links: KafkaLinks, kafka: KafkaSettings) -> str:
    """Return the first label topic that is there.

    Raises:
        FatalError: none is.
    """
    error: FatalError | None = None
    for topic in sorted(set(kafka.routes.values())):
        try:
            await partitions_of(links, topic)
        except FatalError as missing:
            error = error or missing
        else:
            return topic
    raise error or FatalError("there are no label topics")


class LabelledPosts:
    """Reads posts by their labels.

    Args:
        consumer: a started one with `read_committed`, of whose assignment this disposes; reads labels.
        posts: likewise; reads posts.
        posts_topic: where these stand; it has every partition that the label topic has.
        wanted: which labels are meant.
        on_progress: told how many labels were looked at.
    """

    incomplete = 0

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        posts: AIOKafkaConsumer,
        posts_topic: str,
        wanted: Unavailable,
        on_progress: Callable[[int], object],
    ) -> None:
        self._consumer = consumer
        self._posts = posts
        self._posts_topic = posts_topic
        self._wanted = wanted
        self._on_progress = on_progress

    async def read(self, source: TopicPartition, part: OffsetRange) -> AsyncGenerator[Letter, None]:
        """Yield each post once that the labels of a range name.

        Args:
            source: a partition of a label topic.
            part: its offsets.
        """
        seen: set[Position] = set()
        async for records in read_ranges(self._consumer, {source: part}):
            self._on_progress(len(records))
            found = [one for record in records if (one := self._wanted.found_in(record)) is not None]
            due = {one.post: one.post_id for one in found if one.post not in seen}
            seen |= due.keys()
            here = {post: post_id for post, post_id in due.items() if post.topic == self._posts_topic}
            there = await self._records(TopicPartition(self._posts_topic, source.partition), here)
            for post, post_id in sorted(due.items()):
                if post in here:
                    yield _letter(post, there.get(post), post_id)
                else:
                    yield LabelledPost(post, 0, None, None, [], (), Verdict.OTHER_TOPIC)

    async def _records(self, place: TopicPartition, wanted: Collection[Position]) -> Mapping[Position, ConsumerRecord]:
        """Return what stands at some positions of a partition; what is gone is not among it."""
        found: dict[Position, ConsumerRecord] = {}
        if wanted:
            oldest = (await self._posts.beginning_offsets([place]))[place]
            end = (await self._posts.end_offsets([place]))[place]
            for part in _runs(sorted(post.offset for post in wanted if oldest <= post.offset < end)):
                async for records in read_ranges(self._posts, {place: part}):
                    found |= {at: record for record in records if (at := Position.of(record)) in wanted}
        return found


def _runs(offsets: Iterable[int]) -> Iterator[OffsetRange]:
    """Yield few ranges that hold some offsets, which are in order."""
    since = until = -1
    for offset in offsets:
        if since >= 0 and offset - until > _NEAR_OFFSETS:
            yield OffsetRange(since, until)
            since = -1
        since, until = (offset if since < 0 else since), offset + 1
    if since >= 0:
        yield OffsetRange(since, until)


def _letter(post: Position, record: ConsumerRecord | None, post_id: str) -> LabelledPost:
    if record is None:
        return LabelledPost(post, 0, None, None, [], (), Verdict.GONE)
    # A topic that was made anew has the same offsets again.
    absent = None if _speaks_of(record, post_id) else Verdict.OTHER_POST
    return LabelledPost(post, record.timestamp, record.key, record.value, list(record.headers), (), absent)


def _speaks_of(record: ConsumerRecord, post_id: str) -> bool:
    """Return whether a post's id is in its record, in whatever format."""
    spellings = {json.dumps(post_id, ensure_ascii=plain)[1:-1].encode(errors="replace") for plain in (True, False)}
    return any(one in (record.value or b"") or one == record.key for one in spellings)
