"""The work of `moderate offsets`."""

import click
from aiokafka.errors import KafkaError

from worker.broker.clients import KafkaLinks
from worker.broker.group_offsets import committed_offsets
from worker.broker.history import last_outputs, set_offsets
from worker.broker.positions import name_of
from worker.broker.range_reader import connected_reader, partitions_of
from worker.errors import FatalError, SettingsError
from worker.output.sources import reads_outputs_of
from worker.settings import KafkaSettings


async def set_group(kafka: KafkaSettings, partitions: frozenset[int] | None, *, anew: bool) -> None:
    """Let the workers' group stand somewhere, and print where.

    Args:
        kafka: names of the group and the topics.
        partitions: numbers; None for those of which the group has no offset.
        anew: at the oldest post; behind the last labelled one otherwise, or at the oldest where none is labelled.

    Raises:
        FatalError: the broker does not answer, the group has members, or there is nothing to do.
        SettingsError: there is no such partition.
    """
    links = KafkaLinks(kafka.bootstrap_servers or "", kafka)
    sources = await partitions_of(links, kafka.posts_topic)
    unknown = (partitions or frozenset()) - {source.partition for source in sources}
    if unknown:
        raise SettingsError(f"--partitions: {kafka.posts_topic} has no partition {min(unknown)}; it has {len(sources)}")
    async with links.connected_admin() as admin, connected_reader(links) as reader:
        committed = await committed_offsets(admin, kafka.group_id, sources)
        wanted = [
            one for one in sources if (one not in committed if partitions is None else one.partition in partitions)
        ]
        if not wanted:
            raise FatalError(f"group {kafka.group_id} has an offset of every partition of {kafka.posts_topic}")
        offsets = dict(await reader.beginning_offsets(wanted))
        if not anew:
            reads = reads_outputs_of(kafka.group_id, kafka.posts_topic)
            lasts = await last_outputs(links, reader, wanted, reads)
            if not lasts:
                raise FatalError(f"group {kafka.group_id} has labelled nothing of {kafka.posts_topic}")
            offsets |= {source: max(last.source + 1, offsets[source]) for source, last in lasts.items()}
    try:
        await set_offsets(links, offsets)
    except KafkaError as error:
        raise FatalError(
            f"group {kafka.group_id} takes no offsets, most likely because workers run: stop them first ({error!r})"
        ) from error
    for source, offset in offsets.items():
        click.echo(f"{name_of(source)} goes on at offset {offset}")
