"""Breadth-first search through every state of a model, so that the first counterexample is a shortest one.

A model is a function from a state to its `Move`s. States are immutable and hashable.
"""

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple


class Move(NamedTuple):
    """One step from a state: what is done, the state after it, and whether it is a mishap rather than work."""

    said: tuple[Any, ...]
    state: Hashable
    mishap: bool = False


@dataclass(frozen=True)
class Report:
    """What a search found.

    Args:
        states: distinct states that were seen; all there are, where `verdict` is "holds".
        verdict: "holds", or the name of the broken rule.
        trace: what was said on the way to the first bad state, empty where nothing is broken.
    """

    states: int
    verdict: str
    trace: tuple[tuple[Any, ...], ...] = ()


class Numbered:
    """A check that says its counterexample word by word."""

    def steps(self, report: Report) -> list[str]:
        """Return the counterexample of a report as numbered lines."""
        return [f"{number:2}. {' '.join(map(str, said))}" for number, said in enumerate(report.trace, start=1)]


def explore(
    starts: Iterable[Hashable],
    moves: Callable[[Any], Iterable[Move]],
    *,
    broken: Callable[[Any], str | None],
    done: Callable[[Any], bool] | None = None,
) -> Report:
    """Visit every reachable state.

    Args:
        starts: the initial states.
        moves: the steps out of a state.
        broken: the name of a rule that a state breaks, or None.
        done: the good ends. From every reachable state work alone, without a mishap, must be able to reach one.
            None asks for no end.

    Returns:
        "holds"; or the broken rule with a shortest way to it; or "stuck" with a shortest way to a state
        from which no good end can be reached.
    """
    with _no_collector():
        return _explore(starts, moves, broken, done)


def within(moves: Callable[[Any], Iterable[Move]]) -> Callable[[Any], Iterator[Move]]:
    """Return the moves of a model whose states are (mishaps that are left, state)."""

    def bounded(state: tuple[int, Any]) -> Iterator[Move]:
        left, inner = state
        for move in moves(inner):
            if left >= move.mishap:
                yield Move(move.said, (left - move.mishap, move.state), move.mishap)

    return bounded


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep the garbage collector out: a million live tuples and no cycle among them cost it two thirds of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _explore(
    starts: Iterable[Hashable],
    moves: Callable[[Any], Iterable[Move]],
    broken: Callable[[Any], str | None],
    done: Callable[[Any], bool] | None,
) -> Report:
    order: list[Any] = list(dict.fromkeys(starts))
    number = {state: index for index, state in enumerate(order)}
    came_from: list[int] = [-1] * len(order)
    # By state, the states from which one step of work leads to it: what the search for good ends walks along.
    before: list[list[int]] = [[] for _ in order]
    position = 0
    while position < len(order):
        state = order[position]
        rule = broken(state)
        if rule is not None:
            return Report(len(order), rule, _trace(position, order, came_from, moves))
        for move in moves(state):
            found = number.get(move.state)
            if found is None:
                found = number[move.state] = len(order)
                order.append(move.state)
                came_from.append(position)
                before.append([])
            if not move.mishap and done is not None:
                before[found].append(position)
        position += 1
    if done is not None:
        stuck = _stuck(order, before, done)
        if stuck is not None:
            return Report(len(order), "stuck", _trace(stuck, order, came_from, moves))
    return Report(len(order), "holds")


def _stuck(order: list[Any], before: list[list[int]], done: Callable[[Any], bool]) -> int | None:
    """Return the first state that cannot reach a good end, if there is one."""
    can_end = bytearray(len(order))
    todo = [index for index, state in enumerate(order) if done(state)]
    for index in todo:
        can_end[index] = 1
    while todo:
        for index in before[todo.pop()]:
            if not can_end[index]:
                can_end[index] = 1
                todo.append(index)
    found = can_end.find(0)
    return None if found == -1 else found


def _trace(
    index: int, order: list[Any], came_from: list[int], moves: Callable[[Any], Iterable[Move]]
) -> tuple[tuple[Any, ...], ...]:
    said: list[tuple[Any, ...]] = []
    while came_from[index] != -1:
        former = came_from[index]
        said.append(next(move.said for move in moves(order[former]) if move.state == order[index]))
        index = former
    return tuple(reversed(said))
