"""What the device computes next.

    post ─▶ units, one a content ─▶ call of one shape ─▶ embeddings ─▶ post to classify ─▶ call ─▶ labels

A unit is what an encoder makes of one text or picture, for every post that waits for it. Posts of a lane that is
given up go first, then posts to classify, then the oldest. The oldest chooses the shape of a call, which is filled
with others of that shape, and of other lengths where that pads nothing. Which call a content is in cannot change its
embedding.

Nothing here waits or computes: `worker/labelling/infer.py` asks for calls and brings their results.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from mmorient import Embedding, Picture, PostLabels
from worker.errors import InvalidRecordError
from worker.items import Item
from worker.labelling.call_budget import CallBudget
from worker.labelling.embed import EmbeddingTable
from worker.telemetry.metrics import UNITS_SHARED

Kind = Literal["texts", "pictures"]


@dataclass(frozen=True, slots=True)
class Blame:
    """Why a content or a post has no result: its own fault."""

    reason: str
    code: str


class Content(NamedTuple):
    """A content to encode: contents of one kind and shape can share a call. `cost` in tokens or pictures, padded."""

    kind: Kind
    content: str | Picture
    shape: int
    cost: int


@dataclass(slots=True, eq=False)
class Unit:
    """What an encoder makes of one content. It ends once: computed, failed, or dropped before it has begun.

    Args:
        key: of the cache: digest of the embedding, kind and content.
        content: what is encoded.
        apart: the run to whose posts alone it belongs; None is shared by all.
    """

    key: bytes
    content: Content
    apart: object | None
    subscribers: list["QueuedPost"] = field(default_factory=list)
    begun: bool = False
    ended: bool = False
    result: Embedding | None = None
    owned: bool = True  # whoever made it has still to keep its result


@dataclass(slots=True, eq=False)
class QueuedPost:
    """A post that waits for units, then to be classified.

    Args:
        item: the post.
        table: takes the embeddings.
        run: whoever waits for it.
        apart: shares no call, and so no unit, with posts of other runs.
    """

    item: Item
    table: EmbeddingTable
    run: object
    apart: bool = False
    missing: set[Unit] = field(default_factory=set)
    over: bool = False

    @property
    def is_leaving(self) -> bool:
        """Whether its lane is being given up."""
        lane = self.item.lane
        return lane is not None and lane.is_leaving

    @property
    def rank(self) -> tuple[bool, int]:
        """Its place in the order: the lowest goes first."""
        return (not self.is_leaving, self.item.number)

    @property
    def keys(self) -> list[bytes]:
        """What it needs."""
        own = [] if self.item.text_key is None else [self.item.text_key]
        return [*own, *self.item.picture_keys.values()]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What the device computes at once: units of one kind and shape, or posts.

    `posts` are those that each member is computed for, as the call begins.
    """

    kind: Literal["texts", "pictures", "posts"]
    units: tuple[Unit, ...]
    posts: tuple[tuple[QueuedPost, ...], ...]

    def positions(self, indexes: Iterable[int]) -> list[str]:
        """Where the posts of some members stand."""
        return [post.item.position for index in indexes for post in self.posts[index]]

    def contents(self, indexes: Iterable[int]) -> list[Any]:
        """Return what the model is given of some members."""
        if self.kind == "posts":
            chosen = (self.posts[index][0] for index in indexes)
            return [post.table.gather(post.item) for post in chosen]
        return [self.units[index].content.content for index in indexes]


Result = Embedding | PostLabels | Blame


class Ended(NamedTuple):
    """What came to its end: posts that have labels or are blamed, and units that were computed, failed or dropped."""

    posts: list[QueuedPost]
    units: list[Unit]


class DeviceQueue:
    """Units and posts that wait for the device.

    Args:
        budget: how much goes into one call.
    """

    def __init__(self, budget: CallBudget) -> None:
        self._budget = budget
        self._units: dict[tuple[object, bytes], Unit] = {}
        self._waiting: dict[Unit, None] = {}
        self._ready: dict[QueuedPost, None] = {}

    def add(self, posts: Sequence[QueuedPost], contents: Mapping[bytes, Content]) -> list[Unit]:
        """Let posts wait for what is not known of them; return the units that are new.

        Args:
            posts: of one run.
            contents: of all keys that their tables do not know.
        """
        made = []
        for post in posts:
            apart = post.run if post.apart else None
            for key in post.keys:
                if key in post.table.known:
                    continue
                unit = self._units.get((apart, key))
                if unit is None:
                    unit = self._units[apart, key] = Unit(key, contents[key], apart)
                    self._waiting[unit] = None
                    made.append(unit)
                else:
                    UNITS_SHARED.labels(unit.content.kind).inc()
                if unit.result is not None:
                    post.table.known[key] = unit.result
                elif unit not in post.missing:
                    unit.subscribers.append(post)
                    post.missing.add(unit)
            if not post.missing:
                self._ready[post] = None
        return made

    def next_call(self) -> Call | None:
        """Return what is to be computed next, which has begun now; None where nothing waits."""
        post = min(self._ready, key=lambda one: one.rank, default=None)
        unit = min(self._waiting, key=_rank, default=None)
        if post is not None and (unit is None or post.is_leaving or not _is_leaving(unit)):
            return self._posts_call(post)
        return None if unit is None else self._units_call(unit)

    def end(self, call: Call, results: Sequence[Result]) -> Ended:
        """Take the results of a call, one a member; return what is over by them."""
        ended = Ended([], list(call.units))
        if call.kind == "posts":
            for (post,), result in zip(call.posts, results, strict=True):
                if not post.over:
                    self._end_post(post, result, ended)
            return ended
        for unit, result in zip(call.units, results, strict=True):
            unit.ended = True
            subscribers, unit.subscribers = unit.subscribers, []
            if isinstance(result, Blame):
                # Whoever brings the same later on has another try.
                self._share_no_more(unit)
                for post in subscribers:
                    post.missing.discard(unit)
                    self._end_post(post, result, ended)
                continue
            unit.result = result  # type: ignore[assignment]  # of a unit there are no labels
            if not unit.owned:
                self._share_no_more(unit)
            for post in subscribers:
                post.table.known[unit.key] = unit.result  # type: ignore[assignment]  # set just now
                post.missing.discard(unit)
                if not post.missing and not post.over:
                    self._ready[post] = None
        return ended

    def drop(self, post: QueuedPost) -> list[Unit]:
        """Forget a post; return the units that nobody needs any more. What has begun is computed to its end."""
        post.over = True
        self._ready.pop(post, None)
        dropped = []
        for unit in post.missing:
            unit.subscribers.remove(post)
            if not unit.subscribers and not unit.begun:
                unit.ended = True
                del self._waiting[unit]
                self._share_no_more(unit)
                dropped.append(unit)
        post.missing.clear()
        return dropped

    def release(self, units: Collection[Unit]) -> None:
        """Say that the results of units are kept elsewhere, or by nobody."""
        for unit in units:
            unit.owned = False
            if unit.result is not None:
                self._share_no_more(unit)

    def _share_no_more(self, unit: Unit) -> None:
        if self._units.get((unit.apart, unit.key)) is unit:
            del self._units[unit.apart, unit.key]

    def _end_post(self, post: QueuedPost, result: Result, ended: Ended) -> None:
        ended.units.extend(self.drop(post))
        if isinstance(result, Blame):
            post.item.rejection = InvalidRecordError("infer", result.reason, reason=result.code)
        else:
            post.item.labels = result  # type: ignore[assignment]  # of a post there is no embedding
        ended.posts.append(post)

    def _posts_call(self, first: QueuedPost) -> Call:
        beside = [post for post in self._ready if _apart(post) is _apart(first)]
        chosen = sorted(beside, key=lambda one: one.rank)[: self._budget.posts]
        for post in chosen:
            del self._ready[post]
        return Call("posts", (), tuple((post,) for post in chosen))

    def _units_call(self, first: Unit) -> Call:
        kind, shape = first.content.kind, first.content.shape
        most = self._budget.tokens if kind == "texts" else self._budget.pictures
        beside = (
            unit
            for unit in self._waiting
            if unit.content.kind == kind
            and unit.apart is first.apart
            and (unit.content.shape == shape or self._budget.mixes_lengths)
        )
        chosen: list[Unit] = []
        cost = 0
        for unit in _by_shape(beside):
            # One goes alone if it is larger than that.
            if not chosen or cost + unit.content.cost <= most:
                chosen.append(unit)
                cost += unit.content.cost
        for unit in chosen:
            unit.begun = True
            del self._waiting[unit]
        return Call(kind, tuple(chosen), tuple(tuple(unit.subscribers) for unit in chosen))


def _apart(post: QueuedPost) -> object | None:
    return post.run if post.apart else None


def _by_shape(units: Iterable[Unit]) -> list[Unit]:
    """Sort units: those of one shape one after the other, for a few at once are faster than alone; the oldest first."""
    ranked = sorted((_rank(unit), unit.content.shape, place, unit) for place, unit in enumerate(units))
    oldest: dict[int, tuple[bool, int]] = {}
    for rank, shape, _, _ in ranked:
        oldest.setdefault(shape, rank)
    return [unit for *_, unit in sorted(ranked, key=lambda one: (oldest[one[1]], one[1]))]


def _rank(unit: Unit) -> tuple[bool, int]:
    return min(post.rank for post in unit.subscribers)


def _is_leaving(unit: Unit) -> bool:
    return any(post.is_leaving for post in unit.subscribers)
