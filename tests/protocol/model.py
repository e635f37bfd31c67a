"""The commit protocol: workers, the broker's transactions and offsets, and what may go wrong between two steps.

    claim    1 assigned: pause    2 fence    3 read the committed offset    4 note `open` in the journal
             5 seek    6 resume, the lane accepts
    slice    7 accept; refuse what lies behind a hole    8 wait for the slice before
             9 begin    10 write the labels    11 add the offset    12 commit
    release  13 revoked: stop accepting    14 bounded drain: 8 to 12 for what is left
             15 drop the rest; note `closed` in the journal if there was no rest

Nothing counts epochs: of one transactional id only the last to fence it holds the current epoch, so the broker's
side is who that is. This keeps the states finite however often a worker crashes, a partition moves, a transaction
times out or a request arrives late, and all of these may happen in every state. A worker paused beyond its session
needs no state of its own: any step may come any time after the one before it.

`Design` (in `state`) names what the known-bad variants do differently; its defaults are the protocol.
"""

from collections.abc import Iterable, Iterator

from tests.protocol.search import Move
from tests.protocol.state import ACCEPTING, ASSIGNED, IDLE, NOTING, STOPPED, Design, Lane, Partition, TxnId

_SLICES = 2
_SLICE_RECORDS = 2


class Protocol:
    """The moves of a design."""

    def __init__(self, design: Design) -> None:
        self._design = design
        # Of several partitions most stand still in any one move, and come up again in very many states.
        self._known: dict[Partition, tuple[Move, ...]] = {}

    def moves(self, state: tuple[Partition, ...]) -> Iterator[Move]:
        """Yield what may happen next: any step of any worker, or any mishap."""
        for index, part in enumerate(state):
            for said, after, mishap in self._of(part, keep=len(state) > 1):
                yield Move((index, *said), (*state[:index], after, *state[index + 1 :]), mishap)
        for worker in range(len(state[0].lanes)):
            after = tuple(_crash(part, worker) for part in state)
            if after != state:
                yield Move((None, "crash", worker), after, mishap=True)

    def _of(self, part: Partition, *, keep: bool) -> Iterable[Move]:
        if not keep:
            return self._partition_moves(part)
        if part not in self._known:
            self._known[part] = tuple(self._partition_moves(part))
        return self._known[part]

    def _partition_moves(self, part: Partition) -> Iterator[Move]:
        for worker, lane in enumerate(part.lanes):
            yield from self._claim(part, worker, lane)
            yield from self._fetch(part, worker, lane)
            yield from self._slice(part, worker, lane)
            yield from self._release(part, worker, lane)
        for worker in range(len(part.lanes)):
            if worker != part.owner:
                yield Move(("move", worker), part._replace(owner=worker), mishap=True)
        for index, txn in enumerate(part.ids):
            if txn.late is not None:
                worker, records, stage = txn.late
                yield Move(
                    ("late", worker, self._design.slice_steps[stage], records),
                    self._late(part, index, txn),
                    mishap=True,
                )
            if txn != TxnId():
                said = "time-out" if txn.open else "stray fence"
                yield Move((said, index), _with_txn(part, index, TxnId()), mishap=True)

    def _claim(self, part: Partition, worker: int, lane: Lane) -> Iterator[Move]:
        if lane.phase == IDLE:
            if part.owner == worker:
                yield Move(("assigned", worker), _with_lane(part, worker, Lane(ASSIGNED, held=lane.held)))
            return
        if lane.phase >= ACCEPTING:
            return
        step = self._design.claim[lane.phase - 1]
        index = self._id(worker)
        ahead = lane._replace(phase=lane.phase + 1)
        if step == "fence":
            after = _with_txn(part, index, TxnId(holder=worker))
        elif step == "read":
            ahead = ahead._replace(offset=part.committed)
            after = part
            if self._design.read_may_lie:
                yield Move(("lie", worker, 0), _with_lane(part, worker, ahead._replace(offset=0)), mishap=True)
        elif step == "note":
            if not self._design.plain_notes and part.ids[index].holder != worker:
                yield Move(("fenced", worker, step), self._broken_lane(part, worker))
                return
            after = part._replace(committed=lane.offset, closed=False)
        else:
            after = part
        yield Move((step, worker, ahead.offset), _with_lane(after, worker, ahead))

    def _fetch(self, part: Partition, worker: int, lane: Lane) -> Iterator[Move]:
        if lane.phase != ACCEPTING:
            return
        if lane.held is not None:
            first, end = max(lane.held[0], lane.offset), lane.held[1]
            if first >= end:
                yield Move(("skip", worker, lane.held), _with_lane(part, worker, lane._replace(held=None)))
            elif len(lane.slices) < _SLICES:
                after = lane._replace(held=None, offset=end, slices=(*lane.slices, (first, end)))
                yield Move(("accept", worker, (first, end)), _with_lane(part, worker, after))
            return
        if lane.lost and not self._design.accepts_holes:
            yield Move(("rewind", worker, lane.offset), _with_lane(part, worker, lane._replace(lost=0)))
            return
        first = lane.offset + lane.lost
        if self._design.fetches_fail and not lane.lost and first < len(part.labels):
            yield Move(("lose", worker, first), _with_lane(part, worker, lane._replace(lost=1)), mishap=True)
        for end in range(first + 1, min(first + _SLICE_RECORDS, len(part.labels)) + 1):
            records = (first, end)
            if self._design.late_accept:
                yield Move(("fetch", worker, records), _with_lane(part, worker, lane._replace(held=records)))
            elif len(lane.slices) < _SLICES:
                after = lane._replace(offset=end, slices=(*lane.slices, records), lost=0)
                yield Move(("accept", worker, records), _with_lane(part, worker, after))

    def _slice(self, part: Partition, worker: int, lane: Lane) -> Iterator[Move]:
        if not lane.slices:
            return
        if self._design.overtakes and lane.stage == 0 and len(lane.slices) == 2:
            swapped = lane._replace(slices=lane.slices[::-1])
            yield Move(("overtake", worker, lane.slices[1]), _with_lane(part, worker, swapped))
        yield from self._next_step(part, worker, lane)

    def _next_step(self, part: Partition, worker: int, lane: Lane) -> Iterator[Move]:
        records, steps = lane.slices[0], self._design.slice_steps
        step, index = steps[lane.stage], self._id(worker)
        current = part.ids[index].holder == worker
        after = _effect(part, index, step, records, current=current)
        if after is None:
            yield Move(("fenced", worker, step), self._broken_lane(part, worker))
        else:
            if lane.stage + 1 == len(steps):
                ahead = lane._replace(slices=lane.slices[1:], stage=0)
            else:
                ahead = lane._replace(stage=lane.stage + 1)
            yield Move((step, worker, records), _with_lane(after, worker, ahead))
        if self._design.failed_slice_only:
            txn = part.ids[index]._replace(open=None) if current else part.ids[index]
            without = _with_lane(part, worker, lane._replace(slices=lane.slices[1:], stage=0))
            yield Move(("slice fails", worker, records), _with_txn(without, index, txn), mishap=True)
        else:
            yield Move(("cut off", worker, records), self._broken_lane(part, worker), mishap=True)

    def _release(self, part: Partition, worker: int, lane: Lane) -> Iterator[Move]:
        kept = part.owner == worker  # A rebalance revokes everything first, whoever gets it afterwards.
        if ASSIGNED <= lane.phase < ACCEPTING:
            yield Move(("revoked", worker), self._given_up(part, worker), mishap=kept)
        elif lane.phase == ACCEPTING:
            yield Move(("revoked", worker), _with_lane(part, worker, lane._replace(phase=STOPPED)), mishap=kept)
        elif lane.phase == STOPPED:
            design, after = self._design, self._given_up(part, worker)
            current = part.ids[self._id(worker)].holder == worker
            may_note = (current or design.plain_notes) and not design.failed_slice_only
            if may_note and (design.notes_accepted or not lane.slices):
                yield Move(("closed", worker, lane.offset), after._replace(committed=lane.offset, closed=True))
            else:
                yield Move(("drop", worker, lane.slices), after, mishap=bool(lane.slices))
            if design.notes_stale and lane.stage and current:
                asked = lane._replace(phase=NOTING, offset=lane.slices[0][0], slices=lane.slices[:1])
                yield Move(("ask", worker, asked.offset), _with_lane(part, worker, asked), mishap=True)
        elif lane.phase == NOTING and not lane.slices:
            after = self._given_up(part, worker)
            if part.ids[self._id(worker)].holder == worker:
                after = after._replace(committed=lane.offset)
            yield Move(("stale", worker, lane.offset), after)

    def _id(self, worker: int) -> int:
        return worker if self._design.id_a_worker else 0

    def _late(self, part: Partition, index: int, txn: TxnId) -> Partition:
        """Let a given-up lane take one more step of the slice that it was sending."""
        assert txn.late is not None
        worker, records, stage = txn.late
        after = _effect(part, index, self._design.slice_steps[stage], records, current=True)
        over = after is None or stage + 1 == len(self._design.slice_steps)
        after = part if after is None else after
        late = None if over else (worker, records, stage + 1)
        return _with_txn(after, index, after.ids[index]._replace(late=late))

    def _given_up(self, part: Partition, worker: int, phase: int = IDLE) -> Partition:
        """Give the lane up; what it was sending may still arrive as long as its epoch is the current one."""
        lane, index = part.lanes[worker], self._id(worker)
        txn = part.ids[index]
        if txn.holder == worker:
            late = (worker, lane.slices[0], lane.stage) if lane.stage else None
            part = _with_txn(part, index, txn._replace(holder=None, late=late))
        return _with_lane(part, worker, Lane(phase, held=lane.held))

    def _broken_lane(self, part: Partition, worker: int) -> Partition:
        """Begin a new claim in place, unless the partition is being given up anyway."""
        return self._given_up(part, worker, IDLE if part.lanes[worker].phase >= STOPPED else ASSIGNED)


def _effect(part: Partition, index: int, step: str, records: tuple[int, int], *, current: bool) -> Partition | None:
    """Return the partition after one step of a slice; None where the broker refuses it."""
    first, end = records
    txn = part.ids[index]
    if step == "begin":
        return part
    if step == "plain":
        return part._replace(committed=end)
    if not current or (step != "write" and txn.open is None):
        return None
    if step == "write":
        return _with_txn(part, index, txn._replace(open=(first, end, None)))
    assert txn.open is not None
    if step == "offset":
        return _with_txn(part, index, txn._replace(open=(first, end, end)))
    added = txn.open[2]
    labels = tuple(count + (first <= record < end) for record, count in enumerate(part.labels))
    part = part._replace(labels=labels, committed=part.committed if added is None else added)
    return _with_txn(part, index, txn._replace(open=None))


def _crash(part: Partition, worker: int) -> Partition:
    """Lose what a worker knows; its open transaction stays at the broker."""
    for index, txn in enumerate(part.ids):
        if txn.holder == worker or (txn.late is not None and txn.late[0] == worker):
            part = _with_txn(part, index, TxnId(open=txn.open))
    return _with_lane(part, worker, Lane())


def _with_lane(part: Partition, worker: int, lane: Lane) -> Partition:
    return part._replace(lanes=(*part.lanes[:worker], lane, *part.lanes[worker + 1 :]))


def _with_txn(part: Partition, index: int, txn: TxnId) -> Partition:
    return part._replace(ids=(*part.ids[:index], txn, *part.ids[index + 1 :]))
