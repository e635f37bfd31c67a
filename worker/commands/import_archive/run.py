"""The import: rows that are gathered into transactions, each with the place behind its rows.

A killed import has its last transaction whole or not at all, and goes on at the place that the last whole one names.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, ProducerFenced

from mmorient import ArchiveError
from worker.broker.clients import KafkaLinks
from worker.broker.transaction import BROKEN, GroupOffset, commit, stop
from worker.commands.import_archive.progress import Progress, progress_of
from worker.commands.import_archive.records import ImportRecord, Outcome, RecordMaker
from worker.errors import FatalError, LaneError, SettingsError
from worker.items import OutgoingRecord
from worker.rate_limit import RateLimit

_TRANSACTION_ROWS = 1000
_TRANSACTION_BYTES = 8 * 1024 * 1024
# A fresh broker makes its topic of offsets when the first group asks.
_ASK_SECONDS = 20.0
_ASK_AGAIN_SECONDS = 0.2

Report = Callable[[Sequence[Outcome]], None]
"""Told of the rows of each transaction once it is committed."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import.

    Args:
        links: of the broker.
        topic: where the records go.
        name: tells this import from others into the topic.
        fresh: the progress of one that begins: its inputs, and how they are sent.
        difference: says what differs between the archive and the inputs of a progress; None where nothing does.
    """

    links: KafkaLinks
    topic: str
    name: str
    fresh: Progress
    difference: Callable[[Progress], str | None]

    @property
    def group_id(self) -> str:
        """The consumer group that holds the progress, and the transactional id of the producer."""
        return f"{self.links.settings.group_id}.import.{self.name}"

    @property
    def source(self) -> TopicPartition:
        """The partition whose offset stands for the progress."""
        return TopicPartition(self.topic, 0)

    async def progress(self, admin: AIOKafkaAdminClient) -> Progress | None:
        """Return how far it is; None where it has not begun.

        Raises:
            FatalError: the broker does not say.
            SettingsError: an import of this name was begun with another archive, or otherwise.
        """
        found = await self.written(admin)
        if found is not None:
            self._compare(found)
        return found

    async def written(self, admin: AIOKafkaAdminClient) -> Progress | None:
        """Return the progress of whatever import has this name; None where none has.

        Raises:
            FatalError: the broker does not say.
        """
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                return await self._asked(admin)
        except TimeoutError as error:
            raise FatalError(f"no answer from the broker about group {self.group_id}") from error

    def _compare(self, found: Progress) -> None:
        about = f"import {self.name} into {self.topic} was begun with"
        if differs := self.difference(found):
            raise SettingsError(
                f"{about} other inputs ({differs}): what was sent of them is not sent again; name the same ones, or "
                "send all with another --name"
            )
        if found.key not in {None, self.fresh.key}:
            raise SettingsError(f"{about} --key {found.key}, not {self.fresh.key}: take the same, or another --name")
        if not found.finished and found.malformed not in {None, self.fresh.malformed}:
            raise SettingsError(
                f"{about} --malformed {found.malformed}: go on with that; once it is complete, --malformed send sends "
                "what was refused"
            )

    def of_refused(self) -> "Import":
        """Return the import of the rows that this one refused, which has a progress of its own."""
        return replace(self, name=f"{self.name}.refused")

    async def _asked(self, admin: AIOKafkaAdminClient) -> Progress | None:
        while True:
            try:
                return await progress_of(admin, self.group_id, self.source)
            except (LaneError, KafkaError, OSError):
                await asyncio.sleep(_ASK_AGAIN_SECONDS)

    def check(self, found: Progress | None, *, resume: bool) -> None:
        """See whether an import that stands at `found` may go on.

        Raises:
            SettingsError: it was begun and is not to be resumed.
        """
        if found is not None and not found.finished and not resume:
            raise SettingsError(
                f"import {self.name} into {self.topic} was begun, {found.rows} rows are done; --resume goes on with it"
            )

    async def run(
        self,
        admin: AIOKafkaAdminClient,
        maker: RecordMaker,
        *,
        resume: bool,
        max_posts_per_second: float | None,
        report: Report,
    ) -> Progress:
        """Send what is left of the archive.

        Args:
            admin: client of the broker.
            maker: makes the records.
            resume: whether to go on where an import of this name was interrupted.
            max_posts_per_second: the limit; None for none.
            report: told of what is done.

        Raises:
            SettingsError: it was begun by another process meanwhile.
            FatalError: the broker or the archive failed; what is committed is kept.
        """
        progress = self.fresh
        rate_limit = RateLimit(max_posts_per_second)
        # A slow import commits the posts of one second at a time, not a burst and then a long pause.
        max_rows = rate_limit.at_once(_TRANSACTION_ROWS)
        try:
            async with self._producer() as producer:
                # Only now: the fence has settled the last transaction of a killed import.
                found = await self.progress(admin)
                self.check(found, resume=resume)
                if found is None:
                    # At once, so that a second one that starts now finds it begun.
                    await self._commit(producer, (), progress)
                else:
                    progress = found
                outcomes = maker.outcomes(progress.place, progress.rows)
                while piece := await asyncio.to_thread(gathered, outcomes, max_rows=max_rows):
                    await asyncio.sleep(rate_limit.wait_seconds)
                    progress = _after(progress, piece)
                    await self._commit(producer, [one.record for one in piece if one.record], progress)
                    rate_limit.took(len(piece))
                    report(piece)
                progress = progress.model_copy(update={"finished": True})
                await self._commit(producer, (), progress)
        except ProducerFenced as error:
            raise FatalError(f"another process took over import {self.name} into {self.topic}") from error
        except ArchiveError as error:
            raise FatalError(f"{error} (after {progress.rows} rows; --resume goes on)") from error
        except BROKEN as error:
            reason = str(error) or type(error).__name__
            raise FatalError(f"the broker failed: {reason} (--resume goes on at the last transaction)") from error
        return progress

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = self.links.importer(self.group_id)
        try:
            async with asyncio.timeout(self.links.settings.transaction_timeout_seconds):
                await producer.start()
            yield producer
        finally:
            await stop(producer)

    async def _commit(self, producer: AIOKafkaProducer, records: Sequence[ImportRecord], progress: Progress) -> None:
        by_partition: dict[int, list[OutgoingRecord]] = {}
        for record in records:
            written = OutgoingRecord(self.topic, record.key, record.value, (), record.timestamp_ms)
            by_partition.setdefault(record.partition, []).append(written)
        await commit(
            producer,
            by_partition,
            offset=GroupOffset(self.group_id, self.source, progress.rows, progress.model_dump_json()),
            timeout_seconds=self.links.settings.transaction_timeout_seconds,
        )


def gathered(
    outcomes: Iterator[Outcome], *, max_rows: int = _TRANSACTION_ROWS, max_bytes: int = _TRANSACTION_BYTES
) -> list[Outcome]:
    """Take the rows of one transaction; none where there are none left."""
    piece: list[Outcome] = []
    size = 0
    for outcome in outcomes:
        piece.append(outcome)
        size += outcome.record.size if outcome.record else 0
        if len(piece) >= max_rows or size >= max_bytes:
            break
    return piece


def _after(progress: Progress, piece: Sequence[Outcome]) -> Progress:
    sent = sum(one.record is not None for one in piece)
    end = piece[-1].end
    return progress.model_copy(
        update={
            "file": end.file,
            "row": end.row,
            "sent": progress.sent + sent,
            "refused": progress.refused + len(piece) - sent,
        }
    )
