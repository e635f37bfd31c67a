"""A lane's window: the worker's own `Window`, in every order of events, over a log with holes.

read     the position moves over the next offset: a record is accepted where there is room, a hole is passed
touch    a post that waits is worked on
finish   what is worked on is done, in any order
begin    a transaction begins with the first done posts; one at a time
answer   it is committed: the window settles these posts, and there is room again
cut      the lane is given up: nothing more is accepted, what nobody works on is dropped
leave    it is drained, and notes that nothing is in flight
end      a bounded run has read its range, and commits its end
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.protocol.search import Move, Numbered, Report, explore
from tests.worker.records import StandInRecord
from worker.intake.window import Window
from worker.items import Item
from worker.items import State as ItemState

_CREDIT = 2


class Rules(NamedTuple):
    """The rules, by default those of the worker.

    Args:
        log: of each offset of the range, whether it is a record.
        frees_at_begin: room is free when a transaction begins, not when it is answered.
        drained_when_idle: a lane is drained when nobody works on anything, not when its window is empty.
        ends_at_position: a range has ended where its end is read, whatever is in the window.
        skips_ahead: a transaction takes whatever is done, not the first posts alone.
    """

    log: tuple[bool, ...] = (True, False, True, True, False)
    frees_at_begin: bool = False
    drained_when_idle: bool = False
    ends_at_position: bool = False
    skips_ahead: bool = False


@dataclass(eq=False)
class Lane:
    """A lane with the worker's window, and what stands at the broker.

    `covered`: how far the standing note reaches. `left`: what the lane noted when it left: all in order.
    """

    rules: Rules
    window: Window = field(default_factory=Window)
    items: dict[int, Item] = field(default_factory=dict)
    position: int = 0
    committed: int = 0
    labelled: frozenset[int] = frozenset()
    transaction: tuple[int, ...] = ()
    cutting: bool = False
    left: bool = False
    ended: bool = False

    @property
    def room(self) -> int:
        """How many records may be accepted."""
        held = len(self.window) - (len(self.transaction) if self.rules.frees_at_begin else 0)
        return 0 if self.cutting else _CREDIT - held

    def events(self) -> Iterator[tuple[str, int]]:
        """Yield what may happen next."""
        rules = self.rules
        if self.left or self.ended:
            return
        if not self.cutting:
            yield "cut", 0
            if self.position < len(rules.log) and (self.room or not rules.log[self.position]):
                yield "read", self.position
        follows = {ItemState.ACCEPTED: "touch", ItemState.TOUCHED: "finish"}
        for offset, item in self.items.items():
            if item.state in follows:
                yield follows[item.state], offset
        if self.transaction:
            yield "answer", 0
            return
        if self._slice():
            yield "begin", 0
        if self.cutting and self._is_drained:
            yield "leave", 0
        elif self.position == len(rules.log) and not self.cutting and (rules.ends_at_position or not len(self.window)):
            yield "end", 0

    @property
    def _is_drained(self) -> bool:
        if self.rules.drained_when_idle:
            return all(item.state is not ItemState.TOUCHED for item in self.items.values())
        return not len(self.window)

    def do(self, kind: str, offset: int) -> None:
        """Let an event happen."""
        getattr(self, f"_{kind}")(offset)

    def _read(self, offset: int) -> None:
        if self.rules.log[offset]:
            item = self.items[offset] = Item(StandInRecord(b"x", offset=offset))
            self.window.add([item])
        self.position += 1

    def _touch(self, offset: int) -> None:
        self.items[offset].state = ItemState.TOUCHED

    def _finish(self, offset: int) -> None:
        self.window.finish([self.items[offset]])
        if self.cutting:
            self.window.cut()

    def _begin(self, _: int) -> None:
        self.transaction = self._slice()

    def _answer(self, _: int) -> None:
        self.labelled |= set(self.transaction)
        self.committed = self.transaction[-1] + 1
        if self.rules.skips_ahead:
            for one in self.transaction:
                self.items[one].state = ItemState.OVER
        else:
            self.window.settle(len(self.transaction))
        self.transaction = ()

    def _cut(self, _: int) -> None:
        self.cutting = True
        self.window.cut()

    def _leave(self, _: int) -> None:
        self.left = True

    def _end(self, _: int) -> None:
        self.ended = True
        self.committed = len(self.rules.log)

    def _slice(self) -> tuple[int, ...]:
        if self.rules.skips_ahead:
            return tuple(offset for offset, item in self.items.items() if item.state is ItemState.DONE)[:1]
        return tuple(item.record.offset for item in self.window.head(1))

    @property
    def key(self) -> tuple[object, ...]:
        """All that what follows depends on."""
        states = tuple((offset, item.state.value) for offset, item in sorted(self.items.items()))
        broker = (self.committed, self.labelled, self.transaction)
        return states, self.position, broker, self.cutting, self.left, self.ended, len(self.window)

    @property
    def fault(self) -> str | None:
        """The rule that is broken.

        "loss": an offset is committed beyond a record without labels. "hidden": more is in flight than the note of the
        committed offset covers, or the lane left in order while a touched record was not committed.
        """
        if any(self.rules.log[offset] and offset not in self.labelled for offset in range(self.committed)):
            return "loss"
        touched = [
            offset
            for offset, item in self.items.items()
            if item.state in {ItemState.TOUCHED, ItemState.DONE} and offset not in self.labelled
        ]
        in_flight = sum(self.rules.log[self.committed : self.position]) if not self.cutting else 0
        if in_flight > _CREDIT or (self.left and touched):
            return "hidden"
        return None


class State:
    """What has happened; equal to any other that leaves the same behind."""

    __slots__ = ("_hash", "events", "fault", "is_done", "key", "rules")

    def __init__(self, rules: Rules, events: tuple[tuple[str, int], ...] = ()) -> None:
        self.rules, self.events = rules, events
        lane = self.lane()
        self.key, self.fault = lane.key, lane.fault
        self.is_done = lane.left or lane.ended
        self._hash = hash(self.key)

    def lane(self) -> Lane:
        """Let all of it happen again."""
        lane = Lane(self.rules)
        for event in self.events:
            lane.do(*event)
        return lane

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.key == other.key


def _moves(state: State) -> Iterator[Move]:
    for event in state.lane().events():
        # To give the lane up is no work: a range must be able to end without it.
        yield Move(event, State(state.rules, (*state.events, event)), mishap=event[0] == "cut")


@dataclass(frozen=True)
class WindowCheck(Numbered):
    """One set of rules, and what is expected of it; `length` of the shortest counterexample."""

    name: str
    expected: str
    rules: Rules
    length: int = 0

    def check(self) -> Report:
        """Visit every state."""
        return explore([State(self.rules)], _moves, broken=lambda state: state.fault, done=lambda state: state.is_done)


CHECKS = (
    WindowCheck("a lane's window, a range with holes", "holds", Rules()),
    WindowCheck("a lane's window, a range that begins and ends in holes", "holds", Rules((False, True, True, False))),
)
BAD = (
    WindowCheck("room is free when a transaction begins", "hidden", Rules(frees_at_begin=True), 7),
    WindowCheck("drained is what nobody works on", "hidden", Rules(drained_when_idle=True), 5),
    WindowCheck("a range ends with posts in the window", "loss", Rules(ends_at_position=True), 10),
    WindowCheck("a transaction takes what is done behind what is not", "loss", Rules(skips_ahead=True), 7),
)
