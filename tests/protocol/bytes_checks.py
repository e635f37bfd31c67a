"""The bytes of records and of pictures: no two lanes wait for each other, however little room there is.

    accept   a post of a lane takes the bytes of its record, where there are some; alone it always may
    ask      it asks for the bytes of its pictures, in the order in which posts were accepted
    grant    whoever asked first gets them, where there are some, or nobody else holds any
    label    its pictures are there, it is labelled, and lets their bytes go
    commit   the first posts of a lane that are labelled are committed, and let the bytes of their records go

The rules are those of `worker/intake/room.py` and `worker/labelling/held_bytes.py`, here without their event loop.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tests.protocol.search import Move, Numbered, Report, explore

_STEPS = ("accept", "ask", "grant", "label", "commit")
_NEW, _ACCEPTED, _ASKED, _GRANTED, _LABELLED, _COMMITTED = range(6)
_RECORD = 1


class Rules(NamedTuple):
    """Who needs what, and how much there is.

    Args:
        pictures: of each lane, the bytes of the pictures of each post.
        room: bytes of records, and of pictures.
        one_pool: records and pictures take their bytes from the first of these.
        held_to_commit: the bytes of pictures are let go when the post is committed.
        by_chance: anybody who asks may be given bytes, whoever asked before.
    """

    pictures: tuple[tuple[int, ...], ...] = ((2, 2), (2, 2))
    room: tuple[int, int] = (1, 1)
    one_pool: bool = False
    held_to_commit: bool = False
    by_chance: bool = False


class State(NamedTuple):
    """How far each post of each lane is; who asked, the first one first."""

    lanes: tuple[tuple[int, ...], ...]
    asked: tuple[tuple[int, int], ...] = ()


def moves(rules: Rules, state: State) -> Iterator[Move]:
    """Yield what may happen next."""
    for lane, posts in enumerate(state.lanes):
        for place, step in enumerate(posts):
            if step == _COMMITTED or not _may(rules, state, lane, place, step):
                continue
            after = (*posts[:place], step + 1, *posts[place + 1 :])
            asked = state.asked
            if step == _ACCEPTED:
                asked = (*asked, (lane, place))
            elif step == _ASKED:
                asked = tuple(one for one in asked if one != (lane, place))
            lanes = (*state.lanes[:lane], after, *state.lanes[lane + 1 :])
            yield Move((_STEPS[step], lane, place), State(lanes, asked))


def _may(rules: Rules, state: State, lane: int, place: int, step: int) -> bool:
    posts = state.lanes[lane]
    if step == _NEW:
        return (not place or posts[place - 1] > _NEW) and _fits(rules, state, _RECORD, of_pictures=False)
    if step == _ASKED:
        first = rules.by_chance or state.asked[0] == (lane, place)
        return first and _fits(rules, state, rules.pictures[lane][place], of_pictures=True)
    if step == _LABELLED:
        return not place or posts[place - 1] == _COMMITTED
    return True


def _fits(rules: Rules, state: State, count: int, *, of_pictures: bool) -> bool:
    records, pictures = held(rules, state)
    if rules.one_pool:
        return not records + pictures or records + pictures + count <= rules.room[0]
    mine = pictures if of_pictures else records
    return not mine or mine + count <= rules.room[of_pictures]


def held(rules: Rules, state: State) -> tuple[int, int]:
    """Return the bytes of records and of pictures that are held."""
    records = pictures = 0
    last = _LABELLED if rules.held_to_commit else _GRANTED
    for posts, needs in zip(state.lanes, rules.pictures, strict=True):
        for step, need in zip(posts, needs, strict=True):
            records += _RECORD * (_ACCEPTED <= step <= _LABELLED)
            pictures += need * (_GRANTED <= step <= last)
    return records, pictures


def broken(rules: Rules, state: State) -> str | None:
    """Tell "bytes" where more is held than the settings allow, but for one alone."""
    sizes = held(rules, state)
    holders = sum(_GRANTED <= step < _LABELLED for posts in state.lanes for step in posts)
    return "bytes" if sizes[1] > rules.room[1] and holders > 1 and not rules.one_pool else None


def done(state: State) -> bool:
    """Tell whether every post is committed."""
    return all(step == _COMMITTED for posts in state.lanes for step in posts)


@dataclass(frozen=True)
class BytesCheck(Numbered):
    """One set of rules, and what is expected of it; `length` of the shortest counterexample."""

    name: str
    expected: str
    rules: Rules
    length: int = 0

    def check(self) -> Report:
        """Visit every state."""
        start = State(tuple((_NEW,) * len(posts) for posts in self.rules.pictures))
        return explore([start], partial(moves, self.rules), broken=partial(broken, self.rules), done=done)


_THREE = ((2, 0, 1), (1, 2, 2))
CHECKS = (
    BytesCheck("bytes, two lanes, the smallest pools", "holds", Rules()),
    BytesCheck("bytes, two lanes, a record of each", "holds", Rules(room=(2, 1))),
    BytesCheck("bytes, 3 posts in each of two lanes, pools of 3 and 2", "holds", Rules(_THREE, room=(3, 2))),
)
BAD = (
    BytesCheck("one pool for records and pictures", "stuck", Rules(room=(4, 0), one_pool=True), 3),
    BytesCheck(
        "pictures are held to the commit, and granted to anybody",
        "stuck",
        Rules(room=(4, 2), held_to_commit=True, by_chance=True),
        4,
    ),
)
