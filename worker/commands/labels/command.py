"""The work of `moderate labels`: where to look, what to print while it is found, and what to say at the end."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import click
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord
from tqdm import tqdm

from mmorient import PostReader
from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position, name_of
from worker.broker.range_reader import connected_reader, record_at
from worker.broker.ranges import Bound, OffsetRange, freeze
from worker.broker.topics import answer_topics, partition_counts
from worker.commands.dead_letters.ledger import ledger_topic
from worker.commands.dead_letters.letters import Letter
from worker.commands.labels.searching import Found, partition_of, search
from worker.commands.labels.showing import as_json as found_as_json
from worker.commands.labels.showing import is_post, lines_of, post_json, post_line
from worker.commands.terminal import harmless
from worker.errors import FatalError
from worker.settings import KafkaSettings

_ID_CHARS = 80


@dataclass(frozen=True)
class Wanted:
    """What is looked for, and where.

    Args:
        post_id: the post's id.
        key: of the post's record.
        all_partitions: whether to look at others than the key's.
        patterns: of the names of topics; empty for those of labels and decisions.
        start, end: by time of writing or offset.
        newest: stop where the first was found.
    """

    post_id: str
    key: str
    all_partitions: bool
    patterns: Sequence[str]
    start: Bound
    end: Bound
    newest: bool


async def find_labels(kafka: KafkaSettings, wanted: Wanted, *, post_file: Path | None, as_json: bool) -> None:
    """Print what the topics say of a post, as it is found.

    Args:
        kafka: where the topics are.
        wanted: what is looked for.
        post_file: where to write the post's bytes; `-` is standard output, and what was found goes to standard error.
        as_json: print for a program.

    Raises:
        FatalError: there is nothing, or the post is not there any more where its bytes are wanted.
    """
    links = KafkaLinks(kafka.bootstrap_servers or "", kafka)
    aside = post_file is not None and str(post_file) == "-"
    async with connected_reader(links) as consumer:
        sources = await _places(links, kafka, wanted)
        ranges = await freeze(consumer, sources, wanted.start, wanted.end)
        reads = PostReader(kafka.text_format, kafka.post_fields)
        printer = _Printer(links, wanted.post_id, reads, as_json=as_json, aside=aside)
        looked_at: dict[TopicPartition, OffsetRange] = {}
        total = sum(part.offsets for part in ranges.values())
        async with connected_reader(links) as post_reader:
            with tqdm(total=total, unit=" records", leave=False, disable=not sys.stderr.isatty()) as progress:
                async with aclosing(
                    search(consumer, ranges, wanted.post_id, dead_letter_topic=kafka.dead_letter_topic)
                ) as windows:
                    async for window, found in windows:
                        progress.update(sum(part.offsets for part in window.values()))
                        for source, part in window.items():
                            looked_at[source] = OffsetRange(part.since, ranges[source].until)
                        if found:
                            progress.clear()
                        for one in found:
                            await printer.show(one, post_reader)
                        if found and wanted.newest:
                            break
    where = _looked_at(looked_at or ranges, all_partitions=wanted.all_partitions)
    if not printer.found:
        raise FatalError(f"no label of {harmless(wanted.post_id, _ID_CHARS)!r} {where}; {_widen(wanted)}")
    if post_file is not None:
        printer.write_post(post_file)
    if not as_json:
        click.echo(f"looked {where}{', no further back' * wanted.newest}", err=True)
        if post_file is None:
            click.echo("why: add --post post.json, then `mmorient explain post.json`", err=True)


async def _places(links: KafkaLinks, kafka: KafkaSettings, wanted: Wanted) -> list[TopicPartition]:
    """Return the partitions to look at.

    Raises:
        FatalError: none of the topics exist.
    """
    async with links.connected_admin() as admin:
        topics = sorted(answer_topics(kafka))
        if wanted.patterns:
            others = {
                kafka.posts_topic,
                kafka.dead_letter_topic,
                ledger_topic(kafka.dead_letter_topic),
                kafka.policies_topic,
            }
            topics = sorted(
                topic
                for topic in await admin.list_topics()
                if any(fnmatchcase(topic, pattern) for pattern in wanted.patterns) and topic not in others
            )
            if not topics:
                raise FatalError(f"no topic is called {' or '.join(map(harmless, wanted.patterns))}")
        counts = await partition_counts(admin, [*topics, kafka.dead_letter_topic, kafka.posts_topic])
    there = {topic: counts[topic] for topic in (*topics, kafka.dead_letter_topic) if topic in counts}
    if not there:
        raise FatalError(f"topic {topics[0]} does not exist")
    # A label lands in the partition number of its post.
    number = partition_of(
        wanted.key.encode(errors="surrogateescape"), counts.get(kafka.posts_topic, max(there.values()))
    )
    return [
        TopicPartition(topic, partition)
        for topic, count in there.items()
        for partition in range(count)
        if wanted.all_partitions or partition == number
    ]


@dataclass
class _Printer:
    """Prints what is found, and each post before its first finding.

    Args:
        links: for what is known of topics.
        post_id: whose labels.
        reads: posts, as the worker does.
        as_json: for a program.
        aside: on standard error.
        found: how much it was.
        posts: bytes of the posts that are still there, by position; None of those that are not.
    """

    links: KafkaLinks
    post_id: str
    reads: PostReader
    as_json: bool
    aside: bool
    found: int = 0
    posts: dict[Position, bytes | None] = field(default_factory=dict)
    _last: Position | None = None

    async def show(self, one: Found, reader: AIOKafkaConsumer) -> None:
        """Print a finding."""
        self.found += 1
        post = one.post
        if post is not None and post not in self.posts:
            record = await _record_if_there(self.links, reader, post)
            value = record.value if record is not None and is_post(record, self.post_id, self.reads) else None
            # A dead letter has the bytes of a post that is gone.
            self.posts[post] = one.value if value is None and isinstance(one, Letter) else value
            self._say(post_json(post, record) if self.as_json else post_line(post, record, self.post_id, self.reads))
        elif post != self._last and post is not None and not self.as_json:
            self._say(harmless(str(post)))
        self._last = post
        if self.as_json:
            self._say(found_as_json(one))
        else:
            for line in lines_of(one):
                self._say(line)

    def write_post(self, file: Path) -> None:
        """Write the bytes of the newest post that is still there.

        Raises:
            FatalError: none is.
        """
        value = next((value for value in self.posts.values() if value is not None), None)
        if value is None:
            raise FatalError(f"the post {harmless(self.post_id, _ID_CHARS)!r} is no longer in the topic")
        if self.aside:
            sys.stdout.buffer.write(value)
            sys.stdout.buffer.flush()
        else:
            file.write_bytes(value)

    def _say(self, line: str) -> None:
        click.echo(line, err=self.aside)


async def _record_if_there(links: KafkaLinks, reader: AIOKafkaConsumer, position: Position) -> ConsumerRecord | None:
    """Return the record at a position; None where it is gone, or the topic is."""
    async with links.connected_admin() as admin:
        if (await partition_counts(admin, [position.topic])).get(position.topic, 0) <= position.partition:
            return None
    return await record_at(reader, position)


def _looked_at(ranges: Mapping[TopicPartition, OffsetRange], *, all_partitions: bool) -> str:
    if all_partitions:
        topics = sorted({source.topic for source in ranges})
        records = sum(part.offsets for part in ranges.values())
        return f"in all partitions of {', '.join(topics)} ({records:,} offsets)"
    places = (f"{name_of(source)} from {part.since} to {part.until}" for source, part in ranges.items())
    return f"in {', '.join(places)}"


def _widen(wanted: Wanted) -> str:
    options = [] if wanted.all_partitions else ["--key (where the key is not the id)", "--all-partitions"]
    options += [] if wanted.start.kind == "earliest" else ["an earlier --from"]
    return f"to look further: {', '.join([*options, '--topics PATTERN'])}"
