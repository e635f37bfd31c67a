"""The device queue in every order of events: the worker's own `DeviceQueue`, a few posts of two lanes, and mishaps.

    bring    the next post of a lane comes to the queue, with the contents that it needs
    call     the queue says what the device computes next; two calls are in flight at most, one after the other
    end      the first call in flight ends; a content may fail
    revoke   a lane is given up: its posts that wait go first
    drop     what is left of a lane is dropped: it broke, or its drain took too long
    store    whoever made the units of a post stores their results, and shares them no more

A queue cannot be copied, so a state is the events that led to it; two are equal where the queue and its posts are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mmorient import PostLabels
from tests.protocol.search import Move
from tests.worker.records import StandInRecord
from worker.items import Item
from worker.labelling.call_budget import CallBudget
from worker.labelling.device_queue import Blame, Call, Content, DeviceQueue, QueuedPost, Unit
from worker.labelling.embed import EmbeddingTable

_EMBEDDING = np.zeros(1, np.float16)
_LABELS = PostLabels({}, ("text",))
_BLAME = Blame("the model fails on it", "model_error")
_CALLS_IN_FLIGHT = 2

Event = tuple[Any, ...]


class Post(NamedTuple):
    """A post of the model: its lane, the contents that it needs, and whether it shares no call."""

    lane: int
    needs: str
    apart: bool = False


class Rules(NamedTuple):
    """What there is, and what may happen.

    Args:
        posts: in the order in which they may come; those of one lane come in this order.
        queue: the worker's own, or one that is known to be wrong.
        tokens, posts_a_call: of a call; every content has one token.
        fails: contents on which the model may fail.
        lanes_end: lanes may be given up, and dropped.
    """

    posts: tuple[Post, ...]
    queue: type[DeviceQueue] = DeviceQueue
    tokens: int = 1
    posts_a_call: int = 2
    fails: str = ""
    lanes_end: bool = True


@dataclass(eq=False)
class _Lane:
    is_leaving: bool = False


@dataclass(eq=False)
class World:
    """A queue, and what became of the posts and units that went through it."""

    rules: Rules
    lanes: list[_Lane] = field(default_factory=lambda: [_Lane(), _Lane()])
    dropped: set[int] = field(default_factory=set)
    queued: dict[int, QueuedPost] = field(default_factory=dict)
    number: dict[QueuedPost, int] = field(default_factory=dict)
    made: dict[int, list[Unit]] = field(default_factory=dict)
    ends: dict[Unit, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    stored: set[int] = field(default_factory=set)
    fault: str | None = None

    def __post_init__(self) -> None:
        self.queue = self.rules.queue(CallBudget(tokens=self.rules.tokens, posts=self.rules.posts_a_call))

    def do(self, event: Event) -> None:
        """Let an event happen."""
        kind, *about = event
        getattr(self, f"_{kind}")(*about)

    def _bring(self, index: int) -> None:
        post = self.rules.posts[index]
        item = Item(StandInRecord(b"", offset=index), number=index)
        item.lane = self.lanes[post.lane]  # type: ignore[assignment] # as much of a lane as the queue asks
        item.picture_keys = {place: key.encode() for place, key in enumerate(post.needs)}
        queued = QueuedPost(item, EmbeddingTable(), index, apart=post.apart)
        self.queued[index], self.number[queued] = queued, index
        contents = {key.encode(): Content("texts", key, 1, 1) for key in post.needs}
        self.made[index] = self.queue.add([queued], contents)

    def _call(self) -> None:
        call = self.queue.next_call()
        if call is None:
            self.fault = "idle"
            return
        if call.kind != "posts":
            owners = {self.number[post] for posts in call.posts for post in posts}
            if any(self.rules.posts[owner].apart for owner in owners) and len(owners) > 1:
                self.fault = "beside a suspect"
        members = {self.number[post] for posts in call.posts for post in posts}
        waiting = {index for index, post in self.queued.items() if self._waits(post) and post.is_leaving}
        if waiting and not waiting & members and not any(self.queued[one].is_leaving for one in members):
            self.fault = "late"
        self.calls.append(call)

    def _waits(self, post: QueuedPost) -> bool:
        """Whether something of it could be computed now."""
        if post.over or any(post in posts for call in self.calls for posts in call.posts if call.kind == "posts"):
            return False
        return not post.missing or any(not unit.begun for unit in post.missing)

    def _end(self, failing: str) -> None:
        call = self.calls.pop(0)
        if call.kind == "posts":
            ended = self.queue.end(call, [_LABELS] * len(call.posts))
        else:
            said = [unit.key.decode() for unit in call.units]
            ended = self.queue.end(call, [_BLAME if key == failing else _EMBEDDING for key in said])
        self._count(ended.units)

    def _revoke(self, lane: int) -> None:
        self.lanes[lane].is_leaving = True

    def _drop(self, lane: int) -> None:
        self.dropped.add(lane)
        for index, post in self.queued.items():
            if self.rules.posts[index].lane == lane and not post.over:
                self._count(self.queue.drop(post))

    def _store(self, index: int) -> None:
        self.stored.add(index)
        self.queue.release(self.made[index])

    def _count(self, units: list[Unit]) -> None:
        for unit in units:
            self.ends[unit] = self.ends.get(unit, 0) + 1

    @property
    def waits(self) -> bool:
        """Whether the queue has something to compute."""
        return any(self._waits(post) for post in self.queued.values())

    @property
    def key(self) -> tuple[Any, ...]:
        """All that what follows depends on."""
        names: dict[Unit, int] = {}
        units = [unit for index in sorted(self.made) for unit in self.made[index]]
        for unit in units:
            names[unit] = len(names)
        posts = tuple(
            (
                index,
                post.over,
                post.item.labels is not None,
                post.item.rejection is not None,
                tuple(sorted(names.get(unit, -1) for unit in post.missing)),
            )
            for index, post in sorted(self.queued.items())
        )
        told = tuple(
            (
                unit.begun,
                unit.ended,
                unit.result is not None,
                unit.owned,
                self.ends.get(unit, 0),
                tuple(self.number[post] for post in unit.subscribers),
            )
            for unit in units
        )
        calls = tuple(
            (
                call.kind,
                tuple(names.get(unit, -1) for unit in call.units),
                tuple(tuple(self.number[post] for post in posts) for posts in call.posts),
            )
            for call in self.calls
        )
        lanes = tuple(lane.is_leaving for lane in self.lanes)
        return posts, told, calls, lanes, frozenset(self.dropped), frozenset(self.stored), self.fault


class State:
    """What has happened; equal to any other that leaves the same behind.

    `fault` and `is_done` are what `broken` and `done` say of it.
    """

    __slots__ = ("_hash", "events", "fault", "is_done", "key", "rules")

    def __init__(self, rules: Rules, events: tuple[Event, ...] = ()) -> None:
        self.rules, self.events = rules, events
        world = self.world()
        self.key = world.key
        self._hash = hash(self.key)
        self.fault = _broken(world)
        self.is_done = _done(world)

    def world(self) -> World:
        """Let all of it happen again."""
        world = World(self.rules)
        for event in self.events:
            world.do(event)
        return world

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.key == other.key


def moves(state: State) -> Iterator[Move]:
    """Yield what may happen next."""
    rules, world = state.rules, state.world()
    for lane in range(len(world.lanes)):
        yield from _lane_moves(state, world, lane)
    if len(world.calls) < _CALLS_IN_FLIGHT and world.waits:
        yield _move(state, ("call",))
    if world.calls:
        for failing in ("", *(unit.key.decode() for unit in world.calls[0].units)):
            if not failing or failing in rules.fails:
                yield _move(state, ("end", failing))
    for index, post in world.queued.items():
        if index not in world.stored and post.over and all(unit.ended for unit in world.made[index]):
            yield _move(state, ("store", index))


def _lane_moves(state: State, world: World, lane: int) -> Iterator[Move]:
    own = [index for index, post in enumerate(state.rules.posts) if post.lane == lane]
    left = [index for index in own if index not in world.queued]
    if left and not world.lanes[lane].is_leaving and lane not in world.dropped:
        yield _move(state, ("bring", left[0]))
    if state.rules.lanes_end and not world.lanes[lane].is_leaving:
        yield _move(state, ("revoke", lane), mishap=True)
    if state.rules.lanes_end and lane not in world.dropped and len(left) < len(own):
        yield _move(state, ("drop", lane), mishap=True)


def _move(state: State, event: Event, *, mishap: bool = False) -> Move:
    return Move(event, State(state.rules, (*state.events, event)), mishap)


def broken(state: State) -> str | None:
    """Return the rule that a state breaks.

    "starved": a post waits for a unit that has ended without it. "twice": a unit ended twice. "blamed": a rejection
    without a fault of its own contents. "both": labels and a rejection. "idle", "late" (of a lane that is given up)
    and "beside a suspect": a wrong call.
    """
    return state.fault


def done(state: State) -> bool:
    """Tell whether every post has its labels, is blamed or belongs to a lane that is gone, and every unit has ended."""
    return state.is_done


def _broken(world: World) -> str | None:
    if world.fault is not None:
        return world.fault
    if any(count > 1 for count in world.ends.values()):
        return "twice"
    for index, post in world.queued.items():
        if not post.over and any(unit.ended for unit in post.missing):
            return "starved"
        if post.item.labels is not None and post.item.rejection is not None:
            return "both"
        if post.item.rejection is not None and not set(world.rules.posts[index].needs) & set(world.rules.fails):
            return "blamed"
    return None


def _done(world: World) -> bool:
    for index, post in enumerate(world.rules.posts):
        queued = world.queued.get(index)
        gone = post.lane in world.dropped or world.lanes[post.lane].is_leaving
        if queued is None:
            if not gone:
                return False
        else:
            said = queued.item.labels is not None or queued.item.rejection is not None
            if index not in world.stored or not (said or post.lane in world.dropped):
                return False
    return all(world.ends.get(unit, 0) == 1 for units in world.made.values() for unit in units)
