"""A claim on the dead letters of one partition: posts and ledger entries are written under it, all or nothing.

    1 fence: the producer starts under the transactional id of the partition; a replay before this one can write nothing
      any more, and what it had under way is settled
    2 read the ledger's partition to its end: all that was ever replayed
    3 begin, write posts and entries, commit; again and again

The order is that of the lanes (`docs/commit-protocol.md`), with the ledger in the place of the offset. Whatever breaks
a transaction ends the claim: whether it was committed is open until the next fence.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced

from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position, name_of
from worker.broker.transaction import BROKEN, commit, stop
from worker.commands.dead_letters.ledger import Ledger, entry_of, ledger_topic, read_ledger
from worker.commands.dead_letters.letters import Letter
from worker.errors import FatalError, InvalidRecordError
from worker.items import OutgoingRecord
from worker.output.records import ATTEMPT_HEADER, REPLAY_OF_HEADER


def _now() -> datetime:
    return datetime.now(UTC)


def post_again(letter: Letter, post: Position) -> OutgoingRecord:
    """Return the post of a letter as it is written to the posts topic again."""
    headers = [
        *letter.post_headers,
        (ATTEMPT_HEADER, str((letter.attempts or 0) + 1).encode()),
        (REPLAY_OF_HEADER, str(post).encode()),
    ]
    return OutgoingRecord(post.topic, letter.key, letter.value, headers)


class ReplayClaim:
    """The right to replay the letters or posts of `source`, until somebody else takes it.

    Args:
        source: a partition of the dead-letter topic, or of the posts topic where its posts were labelled without a
            picture: neither fences the other.
        dead_letter_topic: whose ledger it is.
        links: makes the producer.
        ledger_reader: a started consumer for the ledger alone.
        timeout_seconds: of one transaction, and of taking the claim.
        now: current time, for the ledger.
    """

    def __init__(
        self,
        source: TopicPartition,
        dead_letter_topic: str,
        links: KafkaLinks,
        ledger_reader: AIOKafkaConsumer,
        *,
        timeout_seconds: float,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self.source = source
        self.ledger = Ledger({})
        self._dead_letter_topic = dead_letter_topic
        self._links = links
        self._ledger_reader = ledger_reader
        self._timeout_seconds = timeout_seconds
        self._now = now
        self._producer: AIOKafkaProducer | None = None

    async def take(self) -> None:
        """Fence whoever had the claim, then read the ledger (1, 2).

        Raises:
            FatalError: the broker does not let us, or not in time.
        """
        await self.give_up()
        self._producer = self._links.replayer(self.source)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._producer.start()  # 1
                number = self.source.partition
                self.ledger = await read_ledger(self._ledger_reader, self._dead_letter_topic, [number])  # 2
        except BROKEN as error:
            raise FatalError(f"{name_of(self.source)} could not be claimed for a replay: {_said(error)}") from error

    async def write(self, letters: Sequence[Letter]) -> None:
        """Write the posts of some letters and their entries in the ledger as one (3).

        Raises:
            InvalidRecordError: the broker says that a record is too large; nothing was written, take the claim again.
            FatalError: nothing was written, or all of it; the claim is over.
        """
        assert self._producer is not None  # noqa: S101 - taken before
        ledger, now = ledger_topic(self._dead_letter_topic), self._now()
        records = [
            record
            for letter in letters
            if (post := letter.post) is not None
            for record in (
                post_again(letter, post),
                entry_of(ledger, letter, post, now),
            )
        ]
        try:
            await commit(
                self._producer,
                {self.source.partition: records},
                offset=None,
                timeout_seconds=self._timeout_seconds,
            )
        except MessageSizeTooLargeError as error:
            raise InvalidRecordError("replay", "larger than the topic takes") from error
        except BROKEN as error:
            raise FatalError(f"the replay of {name_of(self.source)} ended: {_said(error)}") from error

    async def give_up(self) -> None:
        """Let the producer go. What is not committed by now is dropped at the next fence, or by the broker."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop(producer)


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        reason = "a transaction took too long (MODERATE_KAFKA__TRANSACTION_TIMEOUT_SECONDS)"
    elif isinstance(error, ProducerFenced | AssertionError):
        reason = "another replay has taken over, or the broker has given a transaction up"
    else:
        reason = repr(error)
    return f"{reason}; the ledger knows what was replayed, so the same command goes on where this one ended"
