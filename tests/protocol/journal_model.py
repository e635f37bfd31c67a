"""The journal that finds the record which kills the process, and what may go wrong between two of its steps.

The journal lies beside the committed offset and is written with it, or alone, in a transaction of the lane.

    closed                   nothing is in flight: go on, note `open`
    open                     some of the next `WINDOW` records may be in flight. Found by another process: the one that
                             wrote it died or was cut off, so these records go in steps
    step [a, b) deaths=d     these records alone are in flight, named before they are touched. Found by another
                             process: it died over them; note `idle` with deaths=d + 1, then try each in a child
                             process first, named alone. A child that dies twice over a record proves it poison:
                             a dead letter. A child that survives clears it, and the worker labels it
    idle [a, b) deaths=d     nothing is in flight, and the records up to `until` are still to go in steps, or in trials
                             if d > 0: what a commit between two steps notes, and what an orderly stop leaves behind

One worker at a time: the model of the protocol shows that only the lane with the current epoch moves offset and
journal. A worker that is expelled, or whose last note is cut off, counts as killed by chance.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.protocol.search import Move

RECORDS = 5
STEP = 2
WINDOW = 3
_PROOF = 2


class Rules(NamedTuple):
    """The rules, by default those above, and what may happen.

    Args:
        trials: a child goes first; otherwise the worker itself touches the record that it named alone.
        condemns_at: a record that was named alone is condemned at so many noted deaths; 0 is never.
        stop_leaves_step: an orderly stop amid a step leaves the journal as it is.
        stop_forgets: an orderly stop between two steps notes `closed`.
        child_alone: a chance kill may hit the child alone.
        chance: chance kills happen, any number of them.
        stops: orderly stops and rebalances happen, any number of them.
        max_deaths: of the worker by the killing record, where chance kills nothing.
    """

    trials: bool = True
    condemns_at: int = 0
    stop_leaves_step: bool = False
    stop_forgets: bool = False
    child_alone: bool = False
    chance: bool = True
    stops: bool = True
    max_deaths: int = 2


class Journal(NamedTuple):
    """`kind` is one of the four above; [`first`, `end`) and `deaths` as written; `until`: where the steps end."""

    kind: str = "closed"
    first: int = 0
    end: int = 0
    deaths: int = 0
    until: int = 0


class Worker(NamedTuple):
    """`mode`: "plain", "steps" or "trial". `flight`: (first, end, touched) of what it was handed.

    Of a trial: where it `end`s, its `deaths`, and how often the child died over the record in `flight`.
    """

    mode: str = "plain"
    flight: tuple[tuple[int, int, bool], ...] = ()
    end: int = 0
    deaths: int = 0
    until: int = 0
    child_deaths: int = 0


class State(NamedTuple):
    """`killer`: the record that kills. `fates`: "-", "labelled" or "condemned".

    `stopped`: the last owner left in order. `killed`: how often the killer took the worker along.
    """

    killer: int | None
    offset: int = 0
    fates: tuple[str, ...] = ("-",) * RECORDS
    journal: Journal = Journal()
    worker: Worker | None = None
    stopped: bool = True
    killed: int = 0


def moves(rules: Rules, state: State) -> Iterator[Move]:
    """Yield what may happen next."""
    worker = state.worker
    if worker is None:
        yield _claim(rules, state, same=False)
        if state.stopped:
            yield _claim(rules, state, same=True)
        return
    if rules.stops:
        yield _stop(rules, state, worker)
    if rules.chance:
        yield Move(("chance kills the worker",), _dead(state), mishap=True)
    yield from {"plain": _plain, "steps": _steps, "trial": _trial}[worker.mode](rules, state, worker)


def _claim(rules: Rules, state: State, *, same: bool) -> Move:
    journal, offset = state.journal, state.offset
    read = journal
    who = "the same process" if same else "another process"
    if journal.kind == "closed" or (journal.kind == "open" and same):
        worker, journal = Worker(), Journal("open")
    elif journal.kind == "open":
        worker = Worker("steps", until=min(offset + WINDOW, RECORDS))
    else:
        died = journal.kind == "step" and not same
        journal = journal._replace(kind="idle", deaths=min(journal.deaths + died, max(1, rules.condemns_at)))
        alone = journal.end == journal.first + 1
        if died and alone and rules.condemns_at == journal.deaths:
            state = _settled(state, journal.end, "condemned")
        mode = "trial" if journal.deaths else "steps"
        worker = Worker(mode, end=journal.end, deaths=journal.deaths, until=journal.until)
    condemned = f", condemns {offset}" if state.offset > offset else ""
    said = f"{who} claims at {offset}, reads {_text(read)}{condemned}, goes on in {worker.mode}"
    return Move((said,), state._replace(journal=journal, worker=worker))


def _plain(rules: Rules, state: State, worker: Worker) -> Iterator[Move]:
    first = worker.flight[-1][1] if worker.flight else state.offset
    for end in range(first + 1, min(first + STEP, state.offset + WINDOW, RECORDS) + 1):
        flight = (*worker.flight, (first, end, False))
        yield Move((f"accepts [{first}, {end})",), state._replace(worker=worker._replace(flight=flight)))
    yield from _touch(rules, state, worker)
    if worker.flight and worker.flight[0][2]:
        end = worker.flight[0][1]
        after = _settled(state, end, "labelled")._replace(worker=worker._replace(flight=worker.flight[1:]))
        yield Move((f"commits up to {end}",), after)


def _steps(rules: Rules, state: State, worker: Worker) -> Iterator[Move]:
    first = state.offset
    if not worker.flight and first >= worker.until:
        yield Move(("notes open, goes on in plain",), state._replace(journal=Journal("open"), worker=Worker()))
    elif not worker.flight:
        yield _named(state, worker, min(first + STEP, worker.until))
    elif worker.flight[0][2]:
        end = worker.flight[0][1]
        after = _settled(state, end, "labelled")
        after = after._replace(journal=Journal("idle", end, end, 0, worker.until), worker=worker._replace(flight=()))
        yield Move((f"commits up to {end}",), after)
    yield from _touch(rules, state, worker)


def _trial(rules: Rules, state: State, worker: Worker) -> Iterator[Move]:
    record = state.offset
    if not worker.flight:
        if record < worker.end:
            yield _named(state, worker, record + 1)
        else:
            yield Move(("goes on in steps",), state._replace(worker=Worker("steps", until=worker.until)))
    elif worker.flight[0][2]:
        yield Move((f"labels {record}, commits",), _tried(state, worker, "labelled"))
    elif not rules.trials:
        yield from _touch(rules, state, worker)
    elif record != state.killer:
        cleared = worker._replace(flight=((record, record + 1, True),))
        yield Move((f"a child survives {record}",), state._replace(worker=cleared))
    if worker.flight and not worker.flight[0][2] and rules.trials:
        verdict = ", which is condemned" if worker.child_deaths + 1 == _PROOF else ""
        if record == state.killer:
            yield Move((f"a child dies over {record}",), _child_died(state, worker))
        if rules.child_alone and rules.chance:
            yield Move((f"chance kills the child over {record}{verdict}",), _child_died(state, worker), mishap=True)


def _named(state: State, worker: Worker, end: int) -> Move:
    journal = Journal("step", state.offset, end, worker.deaths, worker.until)
    flight = ((state.offset, end, False),)
    after = state._replace(journal=journal, worker=worker._replace(flight=flight, child_deaths=0))
    return Move((f"notes {_text(journal)}",), after)


def _touch(rules: Rules, state: State, worker: Worker) -> Iterator[Move]:
    for index, (first, end, touched) in enumerate(worker.flight):
        if touched:
            continue
        if state.killer is not None and first <= state.killer < end:
            after = _dead(state)._replace(killed=min(state.killed + 1, rules.max_deaths + 1))
            yield Move((f"touches [{first}, {end}) and is killed by {state.killer}",), after)
        else:
            flight = (*worker.flight[:index], (first, end, True), *worker.flight[index + 1 :])
            yield Move((f"touches [{first}, {end})",), state._replace(worker=worker._replace(flight=flight)))


def _child_died(state: State, worker: Worker) -> State:
    if worker.child_deaths + 1 == _PROOF:
        return _tried(state, worker, "condemned")
    return state._replace(worker=worker._replace(child_deaths=worker.child_deaths + 1))


def _tried(state: State, worker: Worker, fate: str) -> State:
    after = _settled(state, state.offset + 1, fate)
    journal = Journal("idle", after.offset, worker.end, 1, worker.until)
    return after._replace(journal=journal, worker=worker._replace(flight=(), deaths=1, child_deaths=0))


def _stop(rules: Rules, state: State, worker: Worker) -> Move:
    """Leave in order after a drain, whole or cut short: what is in flight is dropped."""
    journal = state.journal
    if worker.mode == "plain":
        journal = journal if worker.flight else Journal()
    elif worker.flight and rules.stop_leaves_step:
        pass
    elif worker.mode == "trial":
        journal = Journal("idle", state.offset, worker.end, worker.deaths, worker.until)
    elif worker.flight or not (rules.stop_forgets or state.offset >= worker.until):
        journal = Journal("idle", state.offset, state.offset, 0, worker.until)
    else:
        journal = Journal()
    after = state._replace(journal=journal, worker=None, stopped=True)
    return Move((f"stops in order, leaves {_text(journal)}",), after, mishap=True)


def _dead(state: State) -> State:
    return state._replace(worker=None, stopped=False)


def _settled(state: State, end: int, fate: str) -> State:
    fates = (*state.fates[: state.offset], *((fate,) * (end - state.offset)), *state.fates[end:])
    return state._replace(offset=end, fates=fates)


def _text(journal: Journal) -> str:
    if journal.kind in {"closed", "open"}:
        return journal.kind
    return f"{journal.kind} [{journal.first}, {journal.end}) deaths={journal.deaths}"


def broken(rules: Rules, state: State) -> str | None:
    """Return the rule that a state breaks: "condemned", "late" or "trial"."""
    for record, fate in enumerate(state.fates):
        if (fate == "condemned") != (record == state.killer) and fate != "-":
            return "condemned"
    if not rules.chance and state.killed > rules.max_deaths:
        return "late"
    if state.killer is None and not rules.chance and state.worker is not None and state.worker.mode == "trial":
        return "trial"
    return None


def done(state: State) -> bool:
    """Tell whether every record has its fate."""
    return "-" not in state.fates
