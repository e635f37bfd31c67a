"""What a group has written, held against its offsets and the posts topic, before a worker joins.

Kafka drops the offsets of a group that has had no members for a week. Without them a worker would begin at the oldest
post, and label all that retention has kept once more. And a posts topic that lost its newest records and has grown
again, or that was made anew, holds other posts at offsets that are labelled. Outputs say both: each names its group and
the offset of its post, and has its post's key.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from worker.broker.clients import KafkaLinks
from worker.broker.group_offsets import committed_offsets
from worker.broker.last_outputs import last_known
from worker.broker.positions import Position, name_of
from worker.broker.range_reader import record_at
from worker.errors import FatalError

log = structlog.get_logger(__name__)

# Behind so many records of others, in one partition, ours are not looked for: a new group has none.
SEARCHED = 2_000
# Another worker of the group may be about to commit: labels may be seen some moments before their offset is.
_TRIES = 5
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class LastOutput:
    """The newest output of a group in one partition.

    Args:
        source: offset of its post.
        key: the post's; None where it may have been left out.
        at: where it stands.
    """

    source: int
    key: bytes | None
    at: Position


# Returns the offset of the post of one of the group's outputs; None of any other record.
Reads = Callable[[ConsumerRecord], int | None]


async def check_history(
    links: KafkaLinks, admin: AIOKafkaAdminClient, sources: Sequence[TopicPartition], reads: Reads
) -> None:
    """Refuse to begin anew where the group has labelled, and to go on in another log than the labelled one.

    Args:
        links: of the broker; its settings name group and topics.
        admin: client of the broker.
        sources: the partitions of the posts topic.
        reads: what an output of the group says.

    Raises:
        FatalError: one line that says which commands settle it.
        LaneError, KafkaError: the broker did not say; ask again.
    """
    consumer = links.reader()
    await consumer.start()
    try:
        lasts = await last_outputs(links, consumer, sources, reads)
        without = await _without_offset(admin, links.settings.group_id, [one for one in sources if one in lasts])
        if without:
            raise FatalError(_offsets_gone(links.settings.group_id, without, lasts))
        await _refuse_another_log(links, admin, consumer, lasts)
    finally:
        await consumer.stop()


async def last_outputs(
    links: KafkaLinks, consumer: AIOKafkaConsumer, sources: Sequence[TopicPartition], reads: Reads
) -> dict[TopicPartition, LastOutput]:
    """Return the group's newest output of each partition of posts, by the offset of its post.

    Args:
        links: whose settings name the topics.
        consumer: a started one with `read_committed`, of whose assignment this disposes.
        sources: the partitions of the posts topic.
        reads: what an output of the group says.
    """

    def known(record: ConsumerRecord) -> LastOutput | None:
        source = reads(record)
        return None if source is None else LastOutput(source, record.key, Position.of(record))

    found: dict[TopicPartition, LastOutput] = {}
    for source in sources:
        # What a post has on one label topic it has on all of them.
        for topic in (next(iter(links.settings.routes.values())), links.settings.dead_letter_topic):
            last = await last_known(consumer, TopicPartition(topic, source.partition), known, most=SEARCHED)
            if last is not None and (source not in found or last.source > found[source].source):
                found[source] = last
    return found


async def _without_offset(
    admin: AIOKafkaAdminClient, group_id: str, sources: list[TopicPartition]
) -> list[TopicPartition]:
    without = sources
    for left in reversed(range(_TRIES)):
        committed = await committed_offsets(admin, group_id, without) if without else {}
        without = [source for source in without if source not in committed]
        if not without or not left:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return without


def _offsets_gone(group_id: str, without: list[TopicPartition], lasts: Mapping[TopicPartition, LastOutput]) -> str:
    first = without[0]
    more = f" and {len(without) - 1} more" if len(without) > 1 else ""
    return (
        f"group {group_id} has no offset of {name_of(first)}{more}, and has labelled it up to offset "
        f"{lasts[first].source} ({lasts[first].at}): `moderate offsets go-on` goes on behind that, `moderate offsets "
        "begin-anew` labels all that is there again"
    )


async def _refuse_another_log(
    links: KafkaLinks,
    admin: AIOKafkaAdminClient,
    consumer: AIOKafkaConsumer,
    lasts: Mapping[TopicPartition, LastOutput],
) -> None:
    committed = await committed_offsets(admin, links.settings.group_id, list(lasts)) if lasts else {}
    ends = await consumer.end_offsets(list(lasts)) if lasts else {}
    for source, last in lasts.items():
        if source not in committed or committed[source].offset <= last.source:
            # Whoever has set the group's offset back knows of it.
            continue
        settle = f"`moderate offsets begin-anew --partitions {source.partition}` labels all that is there again"
        if last.source >= ends[source]:
            raise FatalError(
                f"{name_of(source)} ends at offset {ends[source]} and its post at {last.source} is labelled "
                f"({last.at}): the topic was made anew or lost records; {settle}"
            )
        record = await record_at(consumer, Position(source.topic, source.partition, last.source))
        if record is not None and record.key != last.key and last.key is not None:
            raise FatalError(
                f"{name_of(source)} holds another post at offset {last.source} than the one that is labelled "
                f"({last.at}): the topic lost records and has grown again, or was made anew; {settle}"
            )


async def set_offsets(links: KafkaLinks, offsets: Mapping[TopicPartition, int]) -> None:
    """Let a group without members stand at offsets.

    Raises:
        aiokafka.errors.KafkaError: the broker refuses, such as where the group has members.
    """
    keeper = links.keeper(links.settings.group_id)
    await keeper.start()
    try:
        keeper.assign(list(offsets))
        await keeper.commit(dict(offsets))
    finally:
        await keeper.stop()
