"""What the model of the protocol consists of: designs, lanes, the broker's side, and the rules that all must keep."""

from typing import NamedTuple

IDLE, ASSIGNED, ACCEPTING, STOPPED, NOTING = 0, 1, 6, 7, 8


class Design(NamedTuple):
    """How labels and offsets are brought to the broker.

    Args:
        claim: steps from the assignment to an accepting lane.
        slice_steps: steps of one slice; `plain` commits its offset outside any transaction.
        id_a_worker: one transactional id a worker, in place of one a partition.
        late_accept: fetched records wait, and go to whatever lane there is when they are looked at.
        failed_slice_only: a slice that fails is dropped alone, the lane goes on. Its release notes nothing, so that
            the slices alone are judged.
        overtakes: a slice does not wait for the one before it.
        notes_accepted: the note of a release carries the offset behind all that was accepted.
        notes_stale: the note of a release takes the settled offset, then waits for the transaction that is under way.
        plain_notes: notes in the journal are offset commits outside any transaction.
        fetches_fail: an error of a fetch takes away records that it brought, though the consumer's position is behind
            them. A mishap, not a design: left out where it would only add states.
        accepts_holes: a lane takes what was fetched though something before it was fetched and lost.
        read_may_lie: the committed offset is sometimes read as none, which means the beginning.
    """

    claim: tuple[str, ...] = ("fence", "read", "note", "seek", "resume")
    slice_steps: tuple[str, ...] = ("begin", "write", "offset", "commit")
    id_a_worker: bool = False
    late_accept: bool = False
    failed_slice_only: bool = False
    overtakes: bool = False
    notes_accepted: bool = False
    notes_stale: bool = False
    plain_notes: bool = False
    read_may_lie: bool = False
    fetches_fail: bool = False
    accepts_holes: bool = False


class Lane(NamedTuple):
    """A worker's side of one partition.

    `phase`: 0 no claim, 1 to 5 so many steps of the claim are taken, 6 accepting, 7 stopped and draining,
    8 (where `notes_stale`) about to note `offset`.
    `offset`: as read, then behind the last accepted record. `stage`: steps taken for the first of `slices`.
    `held`: records fetched and not yet accepted, where the design does these apart.
    `lost`: records behind `offset` that a fetch brought and an error took away: the consumer's position is behind them.
    """

    phase: int = IDLE
    offset: int = 0
    slices: tuple[tuple[int, int], ...] = ()
    stage: int = 0
    held: tuple[int, int] | None = None
    lost: int = 0


class TxnId(NamedTuple):
    """A transactional id at the broker.

    `holder`: the worker whose lane has the current epoch. `open`: first record, end and added offset of the open
    transaction. `late`: worker, slice and stage of a given-up lane that has the current epoch and is still sending.
    """

    holder: int | None = None
    open: tuple[int, int, int | None] | None = None
    late: tuple[int, tuple[int, int], int] | None = None


class Partition(NamedTuple):
    """One input partition: the group's word, the broker's word, and each worker's lane."""

    owner: int
    committed: int
    closed: bool
    labels: tuple[int, ...]
    ids: tuple[TxnId, ...]
    lanes: tuple[Lane, ...]


def start(design: Design, *, records: int, partitions: int = 1, workers: int = 2) -> tuple[Partition, ...]:
    """Return the state in which nothing has been claimed yet; worker A owns every partition."""
    ids = (TxnId(),) * (workers if design.id_a_worker else 1)
    return (Partition(0, 0, True, (0,) * records, ids, (Lane(),) * workers),) * partitions  # noqa: FBT003 - a field


def harmed(state: tuple[Partition, ...]) -> str | None:
    """Tell a "duplicate", a second committed label of a record, or a "loss", an offset beyond a record without one."""
    for part in state:
        if max(part.labels) > 1:
            return "duplicate"
        if 0 in part.labels[: part.committed]:
            return "loss"
    return None


def broken(state: tuple[Partition, ...]) -> str | None:
    """Tell harm, or that the "journal" reads `closed` while the lane with the current epoch holds records."""
    harm = harmed(state)
    if harm is not None:
        return harm
    for part in state:
        if part.closed and any(txn.holder is not None and part.lanes[txn.holder].slices for txn in part.ids):
            return "journal"
    return None


def done(state: tuple[Partition, ...]) -> bool:
    """Tell whether every record is labelled once and the offset is behind all of them."""
    return all(part.committed == len(part.labels) and set(part.labels) == {1} for part in state)
