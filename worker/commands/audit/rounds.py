"""A round of an audit: what the group has committed by now is judged, partition by partition.

    1 read the group's committed offsets
    2 read the ends of the outputs, open transactions included
    3 read the outputs to these ends, the posts to the committed offsets, and judge

What was committed in 1 was written before the ends of 2, and a reader with `read_committed` gets to these ends only
when every transaction before them is decided. So nothing of it is missing because it is looked at too early.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from worker.broker.clients import KafkaLinks
from worker.broker.group_offsets import committed_offsets
from worker.broker.last_outputs import last_known
from worker.broker.ranges import Bound, freeze
from worker.broker.topics import check_counts, partition_counts, topic_configs
from worker.commands.audit.deciding import DecisionJudge
from worker.commands.audit.joining import Join
from worker.commands.audit.judging import Judge
from worker.commands.audit.outputs import Outputs, Reader
from worker.commands.audit.progress import Keeper, Progress, load
from worker.commands.audit.tally import Tally
from worker.commands.audit.terms import Terms
from worker.control.topic import ControlTopic
from worker.output.sources import read_label, source_in, source_of_letter
from worker.telemetry.audit_metrics import AUDIT_PENDING

# A label is written after its post; clocks of producers and workers differ.
_CLOCKS_MS = 3_600_000


@dataclass
class Topics:
    """The topics as the broker has them.

    Args:
        partitions: by topic.
        may_be_gone: by output topic, why an output may be gone whatever its offset.
        posts_compacted: whether compaction may have taken posts away.
    """

    partitions: dict[str, int]
    may_be_gone: dict[str, str | None]
    posts_compacted: bool


class Auditor:
    """Goes round after round.

    Args:
        links: of the broker.
        terms: what is expected.
        start: where it begins, where nothing is kept.
        tally: where it is counted.
        keeper: notes how far it is; None where nobody goes on with it.
    """

    def __init__(self, links: KafkaLinks, terms: Terms, start: Bound, tally: Tally, keeper: Keeper | None) -> None:
        self._links = links
        self._terms = terms
        self._kafka = terms.kafka
        self._start = start
        self._tally = tally
        self._keeper = keeper
        self._progress: Progress | None = None
        self._decisions = DecisionJudge(terms.policies, tally.decided)
        self._outputs = terms.outputs

    async def round(self) -> None:
        """Judge what is committed by now.

        Raises:
            FatalError, SettingsError: the broker does not answer, a topic is missing, or what is kept is another audit.
        """
        reader, ends = self._links.reader(), self._links.reader(committed=False)
        async with self._links.connected_admin() as admin:
            topics = await self._topics(admin)
            await self._learn(admin)
            try:
                await reader.start()
                await ends.start()
                if self._progress is None:
                    self._progress = await self._begin(admin, reader, topics)
                await self._judge(admin, reader, ends, topics, self._progress)
            finally:
                await reader.stop()
                await ends.stop()

    async def _topics(self, admin: AIOKafkaAdminClient) -> Topics:
        names = [self._kafka.posts_topic, *self._outputs]
        counts = await partition_counts(admin, names)
        check_counts(counts, self._kafka, growing=True)
        policies = {name: await topic_configs(admin, name, ["cleanup.policy"]) for name in names}
        compacted = {name for name, said in policies.items() if "compact" in said.get("cleanup.policy", "")}
        may_be_gone = {name: "compacted" if name in compacted else None for name in self._outputs}
        return Topics(counts, may_be_gone, self._kafka.posts_topic in compacted)

    async def _learn(self, admin: AIOKafkaAdminClient) -> None:
        """Read which policies were published, where decisions are audited and there is a control topic."""
        control = self._kafka.policies_topic
        if self._kafka.decisions_topic is not None and control in await admin.list_topics():
            self._decisions.learn(await ControlTopic(self._links, control).values())

    async def _begin(self, admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer, topics: Topics) -> Progress:
        """Return what is kept, with what is missing of it: all of it, or partitions that were added."""
        progress = Progress()
        places = [TopicPartition(name, number) for name, count in topics.partitions.items() for number in range(count)]
        if self._keeper is not None:
            progress = await load(
                admin,
                self._keeper.group_id,
                posts_topic=self._kafka.posts_topic,
                places=places,
                asked=self._terms.asked,
            )
            if progress.tally is not None:
                self._tally.loads(progress.tally)
        posts = [place for place in places if place.topic == self._kafka.posts_topic]
        new = [place for place in posts if place not in progress.positions]
        start = Bound("earliest") if progress.positions else self._start
        for place, part in (await freeze(reader, new, start, Bound("latest"))).items() if new else ():
            progress.positions[place] = progress.begins[place.partition] = part.since
        outputs = [place for place in places if place.topic != self._kafka.posts_topic]
        wanted = [place for place in outputs if place not in progress.positions]
        progress.positions |= await self._firsts(reader, wanted, start) if wanted else {}
        return progress

    async def _firsts(
        self, reader: AIOKafkaConsumer, places: list[TopicPartition], start: Bound
    ) -> Mapping[TopicPartition, int]:
        """Return where outputs are read from: 0 means all that there are, and that earlier ones may be gone."""
        if start.kind != "time":
            return dict.fromkeys(places, 0)
        found = await reader.offsets_for_times(dict.fromkeys(places, start.value - _CLOCKS_MS))
        ends = await reader.end_offsets(places)
        return {place: int(one.offset if (one := found.get(place)) is not None else ends[place]) for place in places}

    async def _judge(
        self,
        admin: AIOKafkaAdminClient,
        reader: AIOKafkaConsumer,
        ends: AIOKafkaConsumer,
        topics: Topics,
        progress: Progress,
    ) -> None:
        posts = [TopicPartition(self._kafka.posts_topic, number) for number in sorted(progress.begins)]
        settled = await self._settled(admin, reader, posts)  # 1
        numbers = range(max(topics.partitions[name] for name in self._outputs))
        outputs = [
            TopicPartition(name, number)
            for name in self._outputs
            for number in numbers
            if number < topics.partitions[name]
        ]
        until: Mapping[TopicPartition, int] = await ends.end_offsets(outputs)  # 2
        oldest: Mapping[TopicPartition, int] = await ends.beginning_offsets(outputs)
        posts_end: Mapping[TopicPartition, int] = await reader.end_offsets(posts)
        judge = Judge(self._terms, self._decisions, posts_compacted=topics.posts_compacted)
        pending = 0
        for number in numbers:  # 3
            source = TopicPartition(self._kafka.posts_topic, number)
            before = min(settled.get(source, 0), posts_end.get(source, 0))
            pending += max(0, posts_end.get(source, 0) - max(before, progress.positions.get(source, 0)))
            here = {name: place for name in self._outputs if (place := TopicPartition(name, number)) in until}
            since = {place: max(progress.positions.get(place, 0), oldest[place]) for place in here.values()}
            reader.assign([*([source] if source in settled else []), *here.values()])
            read = Reader(reader, source, progress.positions.get(source, 0), before)
            if source in settled:
                reader.seek(source, read.next_offset)
            for place, offset in since.items():
                reader.seek(place, offset)
            streams = {
                name: Outputs(
                    Reader(reader, place, since[place], until[place]),
                    self._terms,
                    progress.begins,
                    self._tally.fault,
                    lost=oldest[place] > progress.positions.get(place, 0),
                )
                for name, place in here.items()
            }
            join = Join(
                read,
                streams,
                judge,
                self._tally,
                begin=progress.begins.get(number, 0),
                may_be_gone=topics.may_be_gone,
            )
            save = self._saving(progress, read, streams, here, is_partition=source in settled)
            if source in settled:
                await join.run(before, save)
            else:
                await join.strangers()
            await save()
        self._tally.pending = pending
        AUDIT_PENDING.set(pending)

    def _saving(
        self,
        progress: Progress,
        read: Reader,
        streams: Mapping[str, Outputs],
        here: Mapping[str, TopicPartition],
        *,
        is_partition: bool,
    ) -> Callable[[], Awaitable[None]]:
        async def save() -> None:
            changed = {here[name]: stream.next_offset for name, stream in streams.items()}
            if is_partition:
                changed[read.source] = read.next_offset
            if self._keeper is None:
                progress.positions |= changed
                return
            progress.tally = self._tally.dumps()
            await self._keeper.save(self._kafka.posts_topic, progress, changed)

        return save

    async def _settled(
        self, admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer, posts: list[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Return up to where each partition is done, by the group, or where it has no offset, by the last output."""
        committed = await committed_offsets(admin, self._kafka.group_id, posts)
        settled: dict[TopicPartition, int] = {}
        for source in posts:
            if source in committed:
                settled[source] = int(committed[source].offset)
                continue
            lasts = [await self._last(reader, TopicPartition(name, source.partition)) for name in self._outputs]
            settled[source] = max(lasts) + 1
        return settled

    async def _last(self, reader: AIOKafkaConsumer, place: TopicPartition) -> int:
        """Return the offset of the last output's post; -1 where there is none."""

        def known(record: ConsumerRecord) -> int | None:
            if place.topic == self._kafka.dead_letter_topic:
                source = source_of_letter(record.headers)
            else:
                source = source_in(read_label(record.value) or {})
            ours = source is not None and (source.topic, source.partition) == (self._kafka.posts_topic, place.partition)
            return source.offset if source is not None and ours else None

        found = await last_known(reader, place, known)
        return -1 if found is None else found
