"""The journal that finds the record which kills the process, and what may go wrong between two of its steps.

What is noted, and what follows from a note, is asked of the worker's own `Journal` and `Caution`; the steps around
them are those of `worker/intake/lane.py` and `worker/pipeline.py`:

    claim    find the journal beside the committed offset, note what is at rest
    accept   records where nothing is suspected, as many as the standing note covers; else one step, which is named
             before it is touched
    trial    a record over which a worker died is tried in a child first: a child that dies twice condemns it, one that
             survives clears it for the worker. One that too many workers died of is condemned without
    commit   the offset behind the first records, and the note of what is at rest then, with any credit
    stop     in order, after a drain that was whole or cut short: what is in flight is dropped
    break    the lane breaks with what it has in flight, and the same process claims again

One worker at a time: the model of the protocol shows that only the lane with the current epoch moves offset and
journal. Counted as killed by chance are a worker that is expelled, one whose last note is cut off, and one that dies
of a record that it has dropped, or of a record of another partition.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from tests.protocol.search import Move
from worker.intake import journal
from worker.intake.journal import Caution, Journal

RECORDS = 5
STEP = 2
WINDOW = 3
_FIRST_CREDIT = 2
DEATHS_ALONE = journal._DEATHS_ALONE
UNCOUNTED = 1000  # never: the model counts no further than to `DEATHS_ALONE`
_PROOF = 2
_CLEARED = -1


def as_noted(_: Journal, note: Journal) -> Journal:
    """Write the note that the worker makes."""
    return note


class Rules(NamedTuple):
    """The rules, by default those of the worker, and what may happen.

    Args:
        deaths_alone: so many deaths over a record that is named alone condemn it.
        at_stop, at_commit: what is written, by what stands and what the worker notes.
        knows_itself: a process knows the notes that it wrote itself.
        kills: chance kills at most; None is any number.
        in_row: deaths at most over one record while it is named alone, before chance spares it; None is any number.
        stops: orderly stops and broken lanes happen, any number of them.
        child_alone: a chance kill may hit the child alone.
        spares_child: the killing record kills the worker, never the child; or no child can be had.
        ignores_credit: records are accepted up to the window, whatever the standing note covers.
        max_deaths: of the worker by the killing record, where chance kills nothing.
    """

    deaths_alone: int = DEATHS_ALONE
    at_stop: Callable[[Journal, Journal], Journal] = as_noted
    at_commit: Callable[[Journal, Journal], Journal] = as_noted
    knows_itself: bool = True
    kills: int | None = None
    in_row: int | None = None
    stops: bool = True
    child_alone: bool = False
    spares_child: bool = False
    ignores_credit: bool = False
    max_deaths: int = 3


class Lane(NamedTuple):
    """`flight`: (first, end, touched) of what was accepted together. `credit`: records that may be in flight.

    `child`: how often it died over the record, or `_CLEARED`.
    """

    caution: Caution
    credit: int
    flight: tuple[tuple[int, int, bool], ...] = ()
    child: int = 0


class State(NamedTuple):
    """`killer`: the record that kills. `kills`: chance kills that are left. `fates`: "-", "labelled" or "condemned".

    `end`: of the log. `owner`: what became of the last one where there is no lane: "dead", "left" (in order) or
    "broke" (its lane, and it claims again). Where it is asked for, `killed`: how often the killer took the worker
    along; `in_row`: how many died while the record at the offset was named alone.
    """

    killer: int | None
    kills: int | None = None
    offset: int = 0
    end: int = WINDOW
    fates: tuple[str, ...] = ("-",) * RECORDS
    journal: Journal | None = None
    lane: Lane | None = None
    owner: str = "dead"
    killed: int = 0
    in_row: int = 0


def moves(rules: Rules, state: State) -> Iterator[Move]:
    """Yield what may happen next."""
    lane = state.lane
    if state.end < RECORDS:
        yield Move((f"record {state.end} is written to the log",), state._replace(end=state.end + 1))
    if rules.kills is None or state.kills:
        yield from _chance(rules, state)
    if lane is None:
        if state.owner != "broke":
            yield _claim(rules, state, same=False)
        if state.owner != "dead":
            yield _claim(rules, state, same=True)
        return
    if rules.stops:
        note = rules.at_stop(_standing(state), lane.caution.given_up(_in_flight(lane)))
        after = state._replace(journal=_stored(note), lane=None, owner="left")
        yield Move((f"stops in order, leaves {_text(note)}",), after, mishap=True)
        yield Move(("the lane breaks",), state._replace(lane=None, owner="broke"), mishap=True)
    yield from _accept(rules, state, lane)
    yield from _work(rules, state, lane)
    if lane.flight and lane.flight[0][2]:
        yield from _commit(rules, state, lane, "labelled", "commits")


def _claim(rules: Rules, state: State, *, same: bool) -> Move:
    found, offset = state.journal, state.offset
    last = found.worker if found else "B"
    worker = last if same else {"A": "B", "B": "A"}[last]
    if found and not rules.knows_itself:
        found = replace(found, worker="nobody")
    caution = Caution.at_claim(found, worker=worker, offset=offset, end=state.end, in_flight=WINDOW)
    if caution.note.deaths > DEATHS_ALONE:
        # Keeps the states finite: more deaths than these change nothing.
        caution = replace(caution, note=replace(caution.note, deaths=DEATHS_ALONE))
    note = caution.at_rest(_FIRST_CREDIT)
    who = f"process {worker}, {'the same' if same else 'another'}, claims at {offset}"
    said = f"{who}, finds {_text(state.journal)}, notes {_text(note)}"
    return Move((said,), state._replace(journal=_stored(note), lane=Lane(caution, _FIRST_CREDIT)))


def _accept(rules: Rules, state: State, lane: Lane) -> Iterator[Move]:
    """Take what a fetch brought: any number of records up to what fits."""
    caution = lane.caution
    first = lane.flight[-1][1] if lane.flight else state.offset
    if not caution.careful:
        room = WINDOW if rules.ignores_credit else lane.credit
        for end in range(first + 1, min(first + STEP, state.offset + room, state.end) + 1):
            flight = (*lane.flight, (first, end, False))
            yield Move((f"accepts [{first}, {end})",), state._replace(lane=lane._replace(flight=flight)))
    elif not lane.flight:
        for end in range(first + 1, min(first + caution.step, state.end) + 1):
            note = caution.named(end)
            after = state._replace(journal=_stored(note), lane=Lane(caution, lane.credit, ((first, end, False),)))
            yield Move((f"notes {_text(note)}",), after)


def _work(rules: Rules, state: State, lane: Lane) -> Iterator[Move]:
    """Try what must be tried, touch what may be touched."""
    record = state.offset
    if lane.flight and lane.caution.trial and lane.child != _CLEARED:
        if lane.caution.condemned:
            yield from _commit(rules, state, lane, "condemned", f"condemns {record} without a trial, commits")
        elif record == state.killer and not rules.spares_child:
            yield from _child_died(rules, state, lane, f"a child dies over {record}")
        else:
            yield Move((f"a child survives {record}",), state._replace(lane=lane._replace(child=_CLEARED)))
        return
    for index, (first, end, touched) in enumerate(lane.flight):
        if touched:
            continue
        if state.killer is not None and first <= state.killer < end:
            after = _dead(rules, state)
            after = after._replace(killed=state.killed + 1 if rules.kills == 0 else 0)
            yield Move((f"touches [{first}, {end}) and is killed by {state.killer}",), after)
        else:
            flight = (*lane.flight[:index], (first, end, True), *lane.flight[index + 1 :])
            yield Move((f"touches [{first}, {end})",), state._replace(lane=lane._replace(flight=flight)))


def _chance(rules: Rules, state: State) -> Iterator[Move]:
    lane, left = state.lane, state._replace(kills=None if state.kills is None else state.kills - 1)
    dead = _dead(rules, left)
    spared = rules.in_row is not None and dead.in_row > rules.in_row
    if (lane is not None or state.owner == "broke") and not spared:
        yield Move(("chance kills the worker",), dead, mishap=True)
    if lane is None or not lane.flight or not rules.child_alone:
        return
    if lane.caution.trial and not lane.caution.condemned and lane.child != _CLEARED:
        for move in _child_died(rules, left, lane, f"chance kills the child over {state.offset}"):
            yield move._replace(mishap=True)


def _dead(rules: Rules, state: State) -> State:
    note = _standing(state)
    in_row = state.in_row
    if rules.in_row is not None and note.state == "named" and note.single_until > 0:
        in_row = min(in_row, rules.in_row) + 1
    return state._replace(lane=None, owner="dead", in_row=in_row)


def _child_died(rules: Rules, state: State, lane: Lane, said: str) -> Iterator[Move]:
    if lane.child + 1 == _PROOF:
        yield from _commit(rules, state, lane, "condemned", f"{said}, which is condemned, and commits")
    else:
        yield Move((said,), state._replace(lane=lane._replace(child=lane.child + 1)))


def _commit(rules: Rules, state: State, lane: Lane, fate: str, said: str) -> Iterator[Move]:
    """Commit, with any credit for the next records that covers those which are in flight."""
    first, end, _ = lane.flight[0]
    caution = lane.caution.after(end, end - first)
    fates = (*state.fates[:first], *((fate,) * (end - first)), *state.fates[end:])
    for credit in range(max(1, _in_flight(lane) - (end - first)), WINDOW + 1):
        note = rules.at_commit(_standing(state), caution.at_rest(credit))
        after = state._replace(
            offset=end, fates=fates, journal=_stored(note), lane=Lane(caution, credit, lane.flight[1:]), in_row=0
        )
        yield Move((f"{said} up to {end} with {_text(note)}",), after)
        if caution.careful:
            return  # whatever the credit is, a careful lane has one step in flight


def _in_flight(lane: Lane) -> int:
    return lane.flight[-1][1] - lane.flight[0][0] if lane.flight else 0


def _standing(state: State) -> Journal:
    return state.journal or Journal("closed", "nobody")


@cache
def _stored(note: Journal) -> Journal | None:
    return Journal.loads(note.dumps())


def _text(note: Journal | None) -> str:
    if note is None:
        return "no journal"
    about = {"suspects": note.suspects, "single until": note.single_until, "deaths": note.deaths}
    state = f"named until {note.named_until}" if note.state == "named" else note.state
    return ", ".join([state, *(f"{name} {value}" for name, value in about.items() if value)])


def broken(rules: Rules, state: State) -> str | None:
    """Return the rule that a state breaks: "condemned", "hidden", "late" or "alone"."""
    for record, fate in enumerate(state.fates):
        if (fate == "condemned") != (record == state.killer) and fate != "-":
            return "condemned"
    lane, note = state.lane, _standing(state)
    if lane is not None and lane.flight:
        behind = {"closed": 0, "open": state.offset + note.suspects, "named": note.named_until}[note.state]
        if lane.flight[-1][1] > behind:
            return "hidden"
    if state.killed > rules.max_deaths:
        return "late"
    if lane is not None and lane.caution.single and state.killer is None and rules.kills == 0:
        return "alone"
    return None


def done(state: State) -> bool:
    """Tell whether every record has its fate."""
    return "-" not in state.fates
