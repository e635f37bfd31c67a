"""A backfill's beginning: its ranges are frozen into the offsets of its group, or found there.

The first process writes them, with the offsets, in one transaction; all others, and every later start, read them.
So `latest` means the same for all of them, whenever they come.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from worker.broker.clients import KafkaLinks
from worker.broker.group_offsets import begin, committed_offsets
from worker.broker.positions import name_of
from worker.broker.range_reader import connected_reader
from worker.broker.ranges import OffsetRange, freeze
from worker.broker.topics import create_topics, no_such_topic, partition_counts, replication_factor
from worker.commands.backfill.request import Request
from worker.errors import FatalError, LaneError, SettingsError
from worker.intake.journal import Journal, Plan

log = structlog.get_logger(__name__)

_TRIES = 20
_PAUSE_SECONDS = 0.5
# Times may have to be searched for, a read at a time.
_FREEZE_SECONDS = 120.0
Plans = dict[TopicPartition, Plan]


@dataclass(frozen=True)
class Begun:
    """A backfill that its group knows of.

    Args:
        plans: of its partitions.
        done: offsets of the ranges that were done when it was looked at.
    """

    plans: Plans
    done: int


async def frozen_ranges(links: KafkaLinks, request: Request) -> dict[TopicPartition, OffsetRange]:
    """Return what the request means now, and write nothing.

    Raises:
        SettingsError: the posts topic or a partition of it does not exist.
        FatalError: the broker does not answer.
    """
    async with links.connected_admin() as admin, connected_reader(links) as reader:
        return await _ranges(reader, await _sources(admin, request), request)


async def start(links: KafkaLinks, request: Request, *, resume: bool) -> Begun:
    """Make the topics that are missing, and return the group's backfill: the one that it has, or a new one.

    Args:
        links: of the backfill's group.
        request: what is asked.
        resume: go on with a backfill that was begun, whatever its range.

    Raises:
        SettingsError: there is nothing to resume, the group is not a backfill's, or it is another one's.
        FatalError: the broker does not answer, or a topic cannot be used.
    """
    async with links.connected_admin() as admin:
        sources = await _sources(admin, request)
        found = await _retried(lambda: _begun(links, admin, request, sources, resume=resume))
        plans = _plans(links, found, request, resume=resume)
        factor = await replication_factor(admin, request.settings.kafka.posts_topic)
        await create_topics(admin, request.settings.kafka, partitions=1, replication_factor=factor)
        return Begun(plans, sum(plan.done(int(found[source].offset)) for source, plan in plans.items()))


async def _begun(
    links: KafkaLinks,
    admin: AIOKafkaAdminClient,
    request: Request,
    sources: list[TopicPartition],
    *,
    resume: bool,
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """Return the group's offsets, after writing them where there are none yet."""
    group = links.settings.group_id
    if found := await committed_offsets(admin, group, sources):
        return found
    if resume:
        raise SettingsError(f"--resume: group {group} has no backfill of {request.settings.kafka.posts_topic}")

    async def choose(reader: AIOKafkaConsumer) -> dict[TopicPartition, OffsetAndMetadata]:
        ranges = await _ranges(reader, sources, request)
        for source, part in ranges.items():
            if part.gone:
                log.warning("records_gone", partition=name_of(source), offsets=part.gone, oldest=part.since)
        return {
            source: OffsetAndMetadata(
                part.since,
                Journal("closed", "", plan=Plan(part.since, part.until, request.asked, request.labels)).dumps(),
            )
            for source, part in ranges.items()
        }

    return await begin(links, admin, sources, choose, timeout_seconds=_FREEZE_SECONDS)


async def _retried(
    ask: Callable[[], Awaitable[Mapping[TopicPartition, OffsetAndMetadata]]],
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """Ask until it is known what the group has: another process may be writing it."""
    for left in reversed(range(_TRIES)):
        try:
            return await ask()
        except (KafkaError, LaneError, TimeoutError) as error:
            if not left:
                raise FatalError(f"the backfill's ranges could not be written to its group: {error!r}") from error
            log.debug("begin_again", error=repr(error))
            await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError


def _plans(
    links: KafkaLinks, found: Mapping[TopicPartition, OffsetAndMetadata], request: Request, *, resume: bool
) -> Plans:
    group = links.settings.group_id
    plans: Plans = {}
    for source, entry in found.items():
        journal = Journal.loads(entry.metadata)
        if journal is not None and journal.is_unknown:
            raise SettingsError(f"--group-id: a later version of the worker writes group {group}: go on with that one")
        if journal is None or journal.plan is None:
            raise SettingsError(f"--group-id: group {group} reads {source.topic} already, and not as a backfill")
        plans[source] = journal.plan
    for plan in plans.values():
        if plan.labels != request.labels:
            raise SettingsError(
                f"--group-id: the backfill of group {group} writes other labels (checkpoint, tasks, output, precision, "
                "graph context or thresholds differ): give this one another group"
            )
        if plan.asked != request.asked and not resume:
            raise SettingsError(
                f"--group-id: the backfill of group {group} goes from {plan.asked}, not from {request.asked}: "
                "`--resume` goes on with it, another group begins a new one"
            )
    return plans


async def _sources(admin: AIOKafkaAdminClient, request: Request) -> list[TopicPartition]:
    topic = request.settings.kafka.posts_topic
    count = (await partition_counts(admin, [topic])).get(topic, 0)
    if not count:
        raise await no_such_topic(admin, topic, request.settings.kafka)
    beyond = sorted(number for number in request.partitions or () if number >= count)
    if beyond:
        raise SettingsError(f"--partitions: {topic} has no partition {beyond[0]}; it has {count}")
    return [TopicPartition(topic, partition) for partition in range(count)]


async def _ranges(
    reader: AIOKafkaConsumer, sources: list[TopicPartition], request: Request
) -> dict[TopicPartition, OffsetRange]:
    """Return every partition's range; an empty one where the partition is not asked for."""
    ranges = await freeze(reader, sources, request.start, request.end)
    wanted = request.partitions
    return {
        source: part if wanted is None or source.partition in wanted else OffsetRange(part.until, part.until)
        for source, part in ranges.items()
    }
