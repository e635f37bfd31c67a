"""The protocol as it is, the variants that are known to be wrong, and their traces in words."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.protocol.model import Protocol
from tests.protocol.search import Report, explore, within
from tests.protocol.state import Design, broken, done, harmed, start

_WORDS = {
    "assigned": "1 hears that it owns the partition, pauses it",
    "fence": "2 fences: its epoch is the current one, a transaction that was open is aborted",
    "read": "3 reads the committed offset: {}",
    "lie": "3 is told that there is no committed offset, begins at {}",
    "note": "4 notes `open` in the journal, beside offset {}",
    "seek": "5 seeks to {}",
    "resume": "6 resumes, accepts records",
    "fetch": "7 fetches records {}, looks at them later",
    "accept": "7 accepts records {}",
    "lose": "7 fetches record {}, which an error of the same fetch takes away",
    "rewind": "7 refuses what lies behind the hole, seeks back to {}",
    "skip": "7 drops records {}: they are behind its lane",
    "overtake": "8 takes records {} before the slice before them",
    "begin": "9 begins a transaction for records {}",
    "write": "10 writes the labels of records {}",
    "offset": "11 adds the offset behind records {} to the transaction",
    "commit": "12 commits the transaction of records {}",
    "plain": "commits the offset behind records {}, outside any transaction",
    "revoked": "13 hears that the partition is revoked, stops accepting",
    "drop": "15 gives the lane up, dropping records {}",
    "closed": "15 gives the lane up and notes `closed` in the journal, beside offset {}",
    "ask": "15 drains no longer; asks for a note beside offset {}, which waits for the transaction under way",
    "stale": "15 notes beside offset {} and gives the lane up",
    "fenced": "is refused at `{}`: its epoch is old; begins a new claim",
    "cut off": "hears no answer about records {} in time, drops the lane, begins a new claim",
    "slice fails": "fails over records {} and drops them alone",
    "crash": "crashes and starts again",
}
_GROUP_WORDS = {
    "move": "the group gives the partition to worker {}, whose former owner does not know yet",
    "time-out": "the broker aborts an open transaction that took too long, and fences its producer",
    "stray fence": "a fence that a given-up lane had asked for arrives late",
}


AS_IT_IS = Design()


@dataclass(frozen=True)
class Variant:
    """One design at one size.

    Args:
        name: what is done.
        expected: "holds", or the harm that must be found.
        design: the steps.
        records, partitions, workers: the size.
        mishaps: how many at most; None is any number.
        length: of the shortest counterexample, in steps.
        key: the letter of a known-bad variant; empty for the protocol itself.
    """

    name: str
    expected: str
    design: Design = AS_IT_IS
    records: int = 2
    partitions: int = 1
    workers: int = 2
    mishaps: int | None = None
    length: int = 0
    key: str = ""

    def steps(self, report: Report) -> list[str]:
        """Return the counterexample of a report as numbered sentences."""
        return steps(report.trace)

    @cache  # noqa: B019 -- a variant is a constant
    def check(self) -> Report:
        """Visit every state. The protocol answers to all rules, a known-bad variant is searched for harm alone."""
        rule = harmed if self.key else broken
        first = start(self.design, records=self.records, partitions=self.partitions, workers=self.workers)
        moves = Protocol(self.design).moves
        if self.mishaps is None:
            return explore([first], moves, broken=rule, done=done)
        return explore(
            [(self.mishaps, first)],
            within(moves),
            broken=lambda state: rule(state[1]),
            done=lambda state: done(state[1]),
        )


PROTOCOL = (
    Variant("the protocol, 3 records, 2 workers", "holds", records=3),
    Variant("the protocol, 1 record in each of 2 partitions, 1 mishap", "holds", records=1, partitions=2, mishaps=1),
    Variant("the protocol, 2 records, 2 workers, fetches that fail", "holds", Design(fetches_fail=True)),
)
# Too large for the tests (half a minute together): `python -m tests.protocol` checks them.
LARGE = (
    Variant("the protocol, 1 record, 3 workers", "holds", records=1, workers=3),
    Variant("the protocol, 2 records in each of 2 partitions, 1 mishap", "holds", partitions=2, mishaps=1),
    Variant("the protocol, 1 record in each of 2 partitions, 2 mishaps", "holds", records=1, partitions=2, mishaps=2),
)
_HOLES = Design(fetches_fail=True, accepts_holes=True)
_READ_FIRST = Design(claim=("read", "fence", "note", "seek", "resume"))
_OFFSET_AFTER = Design(slice_steps=("begin", "write", "commit", "plain"))
_OFFSET_BEFORE = Design(slice_steps=("begin", "plain", "write", "commit"))
BAD = (
    Variant("one transactional producer a worker", "duplicate", Design(id_a_worker=True), length=23, key="a"),
    Variant("committed offset read before the fence", "duplicate", _READ_FIRST, length=22, key="b"),
    Variant("offset committed after the transaction", "duplicate", _OFFSET_AFTER, length=20, key="c"),
    Variant("offset committed before the labels", "loss", _OFFSET_BEFORE, length=9, key="d"),
    Variant("records of an old lane accepted by a new one", "loss", Design(late_accept=True), length=20, key="e"),
    Variant("a slice commits after one that was dropped", "loss", Design(failed_slice_only=True), length=13, key="f"),
    Variant("a slice does not wait for the one before", "loss", Design(overtakes=True), length=13, key="g"),
    Variant(
        "release notes the accepted offset, not the settled", "loss", Design(notes_accepted=True), length=9, key="h"
    ),
    Variant("journal noted outside a transaction", "duplicate", Design(plain_notes=True), length=27, key="i"),
    Variant("release notes an offset taken before its turn", "duplicate", Design(notes_stale=True), length=25, key="k"),
    Variant("what lies behind a lost fetch is accepted", "loss", _HOLES, length=12, key="l"),
    Variant(
        "a coordinator that loads is taken for no offset", "duplicate", Design(read_may_lie=True), length=22, key="j"
    ),
)


def steps(trace: tuple[tuple[Any, ...], ...]) -> list[str]:
    """Return a trace as numbered sentences."""
    several = any(said[0] for said in trace)
    return [f"{number:2}. {_sentence(said, several=several)}" for number, said in enumerate(trace, start=1)]


def _sentence(said: tuple[Any, ...], *, several: bool) -> str:
    partition, kind, *about = said
    if kind == "move":
        words = _GROUP_WORDS[kind].format(_letter(about[0]))
    elif kind in _GROUP_WORDS:
        words = _GROUP_WORDS[kind]
    elif kind == "late":
        worker, step, records = about
        words = (
            f"a request of a lane that worker {_letter(worker)} gave up arrives: {_WORDS[step].format(_range(records))}"
        )
    else:
        worker, *rest = about
        words = f"worker {_letter(worker)}: {_WORDS[kind].format(*map(_range, rest))}"
    return f"partition {partition}: {words}" if several and partition is not None else words


def _letter(worker: int) -> str:
    return "ABC"[worker]


def _range(value: Any) -> str:
    """Say which records: `(0, 2)` is "0 to 1"; a lane's slices are listed; anything else is itself."""
    if not isinstance(value, tuple):
        return str(value)
    if not value:
        return "none"
    if isinstance(value[0], tuple):
        return " and ".join(map(_range, value))
    first, end = value
    return str(first) if end == first + 1 else f"{first} to {end - 1}"
