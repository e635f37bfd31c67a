"""The work of `moderate dead-letters replay`: connections, claims, and the count at the end."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import replace
from typing import Any

import click
from aiokafka import AIOKafkaConsumer, TopicPartition

from worker.broker.range_reader import connected_reader, partitions_of
from worker.broker.ranges import OffsetRange
from worker.broker.topics import max_message_bytes
from worker.commands.dead_letters.claim import ReplayClaim
from worker.commands.dead_letters.following import Aftermath, Marks, follow
from worker.commands.dead_letters.labelled import LabelledPosts
from worker.commands.dead_letters.ledger import create_ledger, ledger_topic
from worker.commands.dead_letters.question import Question, progress_over
from worker.commands.dead_letters.reading import DeadLetters
from worker.commands.dead_letters.replay import DryRun, Outcome, Reader, Terms, Writer, claimed, replay
from worker.commands.dead_letters.selecting import POISON
from worker.commands.dead_letters.verdicts import Verdict
from worker.commands.terminal import harmless
from worker.errors import FatalError
from worker.rate_limit import RateLimit

_OVERHEAD_BYTES = 1024  # of a batch
_WORDS = {
    Verdict.REPLAY: "replayed",
    Verdict.ALREADY: "replayed before",
    Verdict.TOO_MANY_ATTEMPTS: "refused: came back as often as --max-attempts allows",
    Verdict.UNREADABLE_ATTEMPTS: "refused: the header moderate.attempt is not a number",
    Verdict.TOO_LARGE: "refused: larger than the posts topic takes",
    Verdict.IS_POISON: "left out: they killed workers (--stage poison replays them)",
    Verdict.OTHER_TOPIC: "left out: their posts are of another topic",
    Verdict.UNREADABLE: "left out: the headers do not say which post they are of",
    Verdict.DELETION: "left out: deletions, which have no value",
    Verdict.NO_RECORD: "left out: bytes that could not be read as a record (`show --raw` has them)",
    Verdict.GONE: "left out: no longer in the posts topic",
    Verdict.OTHER_POST: "left out: another post stands where the label says",
}


async def replay_letters(
    question: Question,
    *,
    max_attempts: int,
    posts_per_second: float | None,
    dry_run: bool,
    wait_seconds: float | None,
    as_json: bool,
) -> bool:
    """Replay the letters, print what became of them, and return whether everything that was waited for came.

    Args:
        question: which letters.
        max_attempts: how often one post may be written again.
        posts_per_second: at most; None for as many as there are.
        dry_run: write nothing, and fence nobody.
        wait_seconds: for labels and new dead letters; None for not at all.
        as_json: print for a program.

    Raises:
        FatalError: a topic is missing, or another replay has taken over.
    """
    kafka = question.kafka
    terms = Terms(
        question.selection, kafka.posts_topic, max_attempts, POISON in question.selection.stages, question.limit
    )
    outcome, aftermath = Outcome(), None
    async with AsyncExitStack() as stack:
        consumer = await stack.enter_async_context(connected_reader(question.links))
        ranges = await question.ranges(consumer)
        await _check_partitions(question, ranges)
        if dry_run:
            writer_of = await _dry_run(question, consumer, ranges)
        else:
            marks = await _marks(question, consumer, ranges) if wait_seconds is not None else None
            terms, writer_of = await _claims(question, stack, terms)
        with progress_over(ranges) as progress:
            reader: Reader = DeadLetters(consumer, progress.update)
            if question.unavailable is not None:
                # Labels are read on while posts are.
                posts_reader = await stack.enter_async_context(connected_reader(question.links))
                reader = LabelledPosts(consumer, posts_reader, kafka.posts_topic, question.unavailable, progress.update)
            await replay(
                reader,
                ranges,
                terms,
                rate_limit=RateLimit(posts_per_second),
                writer_of=writer_of,
                outcome=outcome,
            )
        if not dry_run and marks is not None and outcome.replayed:
            posts, labels, dead = marks
            aftermath = await follow(
                consumer,
                replayed=outcome.replayed,
                posts=outcome.counts[Verdict.REPLAY],
                posts_from=posts,
                labels_from=labels,
                dead_letters_from=dead,
                seconds=wait_seconds or 0.0,
            )
    if as_json:
        click.echo(json.dumps(_summary(outcome, aftermath, dry_run=dry_run)))
    else:
        _print(outcome, aftermath, dry_run=dry_run)
    return aftermath is None or aftermath.complete


_WriterOf = Callable[[TopicPartition], AbstractAsyncContextManager[Writer]]


async def _check_partitions(question: Question, ranges: Mapping[TopicPartition, OffsetRange]) -> None:
    topic = question.kafka.posts_topic
    count = len(await partitions_of(question.links, topic))
    beyond = [source for source in ranges if source.partition >= count]
    if beyond:
        raise FatalError(f"{topic} has {count} partitions, fewer than {beyond[0].topic}: a post keeps its number")


async def _dry_run(
    question: Question, consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange]
) -> _WriterOf:
    ledger = await question.ledger(consumer, [source.partition for source in ranges])
    return lambda _: nullcontext(DryRun(ledger))


async def _claims(question: Question, stack: AsyncExitStack, terms: Terms) -> tuple[Terms, _WriterOf]:
    """Make the ledger, and return how claims are taken, and terms that fit what the posts topic takes."""
    kafka, links = question.kafka, question.links
    async with links.connected_admin() as admin:
        if await create_ledger(admin, kafka.dead_letter_topic):
            click.echo(f"created {ledger_topic(kafka.dead_letter_topic)}", err=True)
        limit = await max_message_bytes(admin, kafka.posts_topic)
    links = replace(links, max_batch_bytes=limit)
    # Its assignment changes while the letters are read, when a claim is taken again.
    ledger_reader = await stack.enter_async_context(connected_reader(links))
    if limit is not None:
        terms = replace(terms, max_bytes=max(1, min(terms.max_bytes, limit - _OVERHEAD_BYTES)))
    seconds = kafka.transaction_timeout_seconds

    def claim_of(source: TopicPartition) -> AbstractAsyncContextManager[Writer]:
        place = source
        if question.unavailable is not None:
            place = TopicPartition(kafka.posts_topic, source.partition)
        claim = ReplayClaim(place, kafka.dead_letter_topic, links, ledger_reader, timeout_seconds=seconds)
        return claimed(claim)

    return terms, claim_of


async def _marks(
    question: Question, consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange]
) -> tuple[Marks, Marks, Marks]:
    """Return where the posts, labels and dead letters of these partitions end."""
    kafka = question.kafka
    numbers = {source.partition for source in ranges}

    async def ends(*topics: str) -> Marks:
        sources = [at for topic in topics for at in await partitions_of(question.links, topic)]
        found: Marks = await consumer.end_offsets([at for at in sources if at.partition in numbers])
        return found

    labels = sorted(set(kafka.routes.values()))
    return await ends(kafka.posts_topic), await ends(*labels), await ends(kafka.dead_letter_topic)


def _summary(outcome: Outcome, aftermath: Aftermath | None, *, dry_run: bool) -> dict[str, Any]:
    counts = {verdict.value: outcome.counts[verdict] for verdict in Verdict}
    waited = aftermath and {
        "labelled": aftermath.labelled,
        "dead_lettered": aftermath.dead_lettered,
        "pending": aftermath.posts - aftermath.labelled - aftermath.dead_lettered,
    }
    return {
        "dry_run": dry_run,
        "selected": outcome.selected,
        **counts,
        "incomplete": outcome.incomplete,
        "too_large_at": [str(position) for position in outcome.too_large],
        "waited": waited,
    }


def _print(outcome: Outcome, aftermath: Aftermath | None, *, dry_run: bool) -> None:
    rows = [("selected", outcome.selected)]
    rows += [(_WORDS[verdict], outcome.counts[verdict]) for verdict in Verdict if outcome.counts[verdict]]
    if outcome.incomplete:
        rows.append(("left out: letters or parts of letters that lack other parts", outcome.incomplete))
    if aftermath is not None:
        rows += [("labelled since", aftermath.labelled), ("dead-lettered again", aftermath.dead_lettered)]
        if not aftermath.complete:
            rows.append(("pending", aftermath.posts - aftermath.labelled - aftermath.dead_lettered))
    for words, count in rows:
        click.echo(f"{count:>9,}  {'would be ' * (dry_run and words == 'replayed')}{words}")
    for position in outcome.too_large:
        click.echo(f"too large: {harmless(str(position))}")
