"""Dead letters through the worker again: selected, guarded, paced, each once."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aiokafka import TopicPartition

from worker.broker.positions import Position
from worker.broker.ranges import OffsetRange
from worker.commands.dead_letters.claim import ReplayClaim
from worker.commands.dead_letters.ledger import Ledger
from worker.commands.dead_letters.letters import Letter
from worker.commands.dead_letters.selecting import Selection, verdict
from worker.commands.dead_letters.verdicts import Verdict
from worker.errors import InvalidRecordError
from worker.rate_limit import RateLimit

_MAX_POSTS = 500
_SECONDS_AT_ONCE = 0.25
_MAX_BYTES = 1024 * 1024


@dataclass
class Outcome:
    """What became of the selected letters.

    Args:
        counts: letters by verdict.
        replayed: positions of the posts that were written again.
        too_large: letters whose posts the posts topic does not take.
        incomplete: letters, or parts of letters, whose other parts are not there.
    """

    counts: Counter[Verdict] = field(default_factory=Counter)
    replayed: set[Position] = field(default_factory=set)
    too_large: list[Position] = field(default_factory=list)
    incomplete: int = 0

    @property
    def selected(self) -> int:
        """Letters that were selected."""
        return self.counts.total()


class Reader(Protocol):
    """What gives the letters of one partition after the other."""

    @property
    def incomplete(self) -> int: ...  # noqa: D102
    def read(self, source: TopicPartition, part: OffsetRange) -> AsyncGenerator[Letter, None]: ...  # noqa: D102


class Writer(Protocol):
    """What writes the letters of one partition, and knows which it need not."""

    @property
    def ledger(self) -> Ledger: ...  # noqa: D102
    async def write(self, letters: Sequence[Letter]) -> None: ...  # noqa: D102
    async def take(self) -> None: ...  # noqa: D102


class DryRun:
    """Writes nothing.

    Args:
        ledger: as it is now; a replay that is under way may add to it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def write(self, letters: Sequence[Letter]) -> None:
        """Leave the letters where they are."""

    async def take(self) -> None:
        """Fence nobody."""


@asynccontextmanager
async def claimed(claim: ReplayClaim) -> AsyncIterator[Writer]:
    """Hold a claim within the block."""
    try:
        await claim.take()
        yield claim
    finally:
        await claim.give_up()


@dataclass(frozen=True)
class Terms:
    """What is replayed, and how.

    Args:
        selection: the letters that are meant.
        posts_topic: where their posts go.
        max_attempts: how often a post may be written again.
        poison: whether posts that killed workers are meant, too.
        limit: posts that are replayed at most; None for all.
        max_bytes: of the posts in one transaction; a larger one goes alone.
    """

    selection: Selection
    posts_topic: str
    max_attempts: int
    poison: bool = False
    limit: int | None = None
    max_bytes: int = _MAX_BYTES


async def replay(
    reader: Reader,
    ranges: Mapping[TopicPartition, OffsetRange],
    terms: Terms,
    *,
    rate_limit: RateLimit,
    writer_of: Callable[[TopicPartition], AbstractAsyncContextManager[Writer]],
    outcome: Outcome,
) -> None:
    """Replay what is selected of the ranges, one partition after the other.

    Args:
        reader: of dead letters, or of posts that were labelled without a picture.
        ranges: of its topic, as it was before the first post is written: what comes back is not read again.
        terms: what is replayed.
        rate_limit: how fast.
        writer_of: gives the writer of a partition.
        outcome: filled in.

    Raises:
        FatalError: a claim was lost; the same command goes on from there.
    """
    for source, part in ranges.items():
        if part.offsets == 0 or _done(terms, outcome):
            continue
        async with writer_of(source) as writer:
            work = _Partition(writer, terms, rate_limit, outcome)
            async with aclosing(reader.read(source, part)) as letters:
                async for letter in letters:
                    await work.take_in(letter)
                    if _done(terms, outcome, work.waiting):
                        break
            await work.write_waiting()
    outcome.incomplete = reader.incomplete


def _done(terms: Terms, outcome: Outcome, waiting: int = 0) -> bool:
    return terms.limit is not None and outcome.counts[Verdict.REPLAY] + waiting >= terms.limit


class _Partition:
    """The letters of one partition, on their way into transactions."""

    def __init__(self, writer: Writer, terms: Terms, rate_limit: RateLimit, outcome: Outcome) -> None:
        self._writer = writer
        self._terms = terms
        self._rate_limit = rate_limit
        self._outcome = outcome
        self._letters: list[Letter] = []
        self._bytes = 0

    @property
    def waiting(self) -> int:
        """Letters that are not written yet."""
        return len(self._letters)

    def _verdict(self, letter: Letter) -> Verdict:
        terms = self._terms
        return verdict(
            letter,
            replayed=self._writer.ledger.entry(letter) is not None,
            posts_topic=terms.posts_topic,
            max_attempts=terms.max_attempts,
            poison=terms.poison,
        )

    async def take_in(self, letter: Letter) -> None:
        """Count a letter, or write it with the next ones."""
        if not self._terms.selection.matches(letter):
            return
        found = self._verdict(letter)
        if found is not Verdict.REPLAY:
            self._outcome.counts[found] += 1
            return
        size = _size(letter)
        if self._letters and self._bytes + size > self._terms.max_bytes:
            await self.write_waiting()
        self._letters.append(letter)
        self._bytes += size
        if len(self._letters) >= self._rate_limit.at_once(_MAX_POSTS, seconds=_SECONDS_AT_ONCE):
            await self.write_waiting()

    async def write_waiting(self) -> None:
        """Write what waits."""
        letters, self._letters, self._bytes = self._letters, [], 0
        if letters:
            await asyncio.sleep(self._rate_limit.wait_seconds)
            self._rate_limit.took(len(letters))
            await self._write(letters)

    async def _write(self, letters: Sequence[Letter]) -> None:
        try:
            await self._writer.write(letters)
        except InvalidRecordError:
            # The producer's numbering has a gap now, so only a new one goes on; and whoever
            # was faster meanwhile has written to the ledger.
            await self._writer.take()
            if len(letters) > 1:
                for letter in letters:
                    await self._write_if_still_due(letter)
                return
            self._outcome.counts[Verdict.TOO_LARGE] += 1
            self._outcome.too_large.append(letters[0].position)
        else:
            self._outcome.counts[Verdict.REPLAY] += len(letters)
            self._outcome.replayed |= {letter.post for letter in letters if letter.post is not None}

    async def _write_if_still_due(self, letter: Letter) -> None:
        found = self._verdict(letter)
        if found is Verdict.REPLAY:
            await self._write([letter])
        else:
            self._outcome.counts[found] += 1


def _size(letter: Letter) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in letter.headers)
    return len(letter.value or b"") + len(letter.key or b"") + headers
