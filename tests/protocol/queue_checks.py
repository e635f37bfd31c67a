"""The device queue as it is, and queues that are known to be wrong."""

from dataclasses import dataclass

from tests.protocol.queue_model import Post, Rules, State, broken, done, moves
from tests.protocol.search import Numbered, Report, explore
from worker.labelling.device_queue import Call, DeviceQueue, Ended, QueuedPost, Result, Unit


@dataclass(frozen=True)
class QueueCheck(Numbered):
    """One queue, and what is expected of it.

    Args:
        name: what is done.
        expected: "holds", or the rule that must be found broken.
        rules: the queue, the posts, and what may happen.
        length: of the shortest counterexample, in events.
    """

    name: str
    expected: str
    rules: Rules
    length: int = 0

    def check(self) -> Report:
        """Visit every state."""
        return explore([State(self.rules)], moves, broken=broken, done=done)


class EndsWithItsFirst(DeviceQueue):
    """A unit is cancelled with the post that it was made for, whoever else waits for it."""

    def drop(self, post: QueuedPost) -> list[Unit]:
        """Cancel what was made for the post."""
        post.missing = {unit for unit in post.missing if not unit.ended}
        first = [unit for unit in post.missing if unit.subscribers[0] is post and not unit.begun]
        dropped = super().drop(post)
        for unit in first:
            if not unit.ended:
                unit.ended = True
                del self._waiting[unit]
                self._share_no_more(unit)
                dropped.append(unit)
        return dropped


class CancelsWhatHasBegun(DeviceQueue):
    """A unit without posts is ended though the device computes it, and ends again with its call."""

    def drop(self, post: QueuedPost) -> list[Unit]:
        """End all that nobody needs any more."""
        begun = [unit for unit in post.missing if unit.begun]
        return [*super().drop(post), *(unit for unit in begun if not unit.subscribers)]


class ForgetsTheDropped(DeviceQueue):
    """A unit that nobody needs any more stays shared: who comes later waits for what will not be computed."""

    def _share_no_more(self, unit: Unit) -> None:
        if unit.result is not None:
            super()._share_no_more(unit)


class TellsTheFirstAlone(DeviceQueue):
    """The result of a unit reaches the first of its posts alone."""

    def end(self, call: Call, results: list[Result]) -> Ended:  # type: ignore[override] # a narrower list is enough
        """Keep the others waiting."""
        for unit in call.units:
            del unit.subscribers[1:]
        return super().end(call, results)


class LeavesNobodyFirst(DeviceQueue):
    """A lane that is given up waits like any other."""

    def next_call(self) -> Call | None:
        """Take the oldest."""
        lanes = {post.item.lane for unit in self._waiting for post in unit.subscribers}
        lanes |= {post.item.lane for post in self._ready}
        before = [(lane, lane.is_leaving) for lane in lanes if lane is not None]
        for lane, _ in before:
            lane.is_leaving = False  # type: ignore[misc] # the model's lanes are plain
        call = super().next_call()
        for lane, was in before:
            lane.is_leaving = was  # type: ignore[misc]
        return call


class SharesWithSuspects(DeviceQueue):
    """A suspicious post is in one call with others."""

    def add(self, posts, contents):  # type: ignore[no-untyped-def] # as the queue's own
        """Take all posts for harmless ones."""
        for post in posts:
            post.apart = False
        return super().add(posts, contents)


_REPOSTS = (Post(0, "a"), Post(1, "a"), Post(0, "ab"))
_SUSPECT = (Post(0, "a"), Post(1, "a", apart=True), Post(0, "b"))
_MANY = (Post(0, "a"), Post(1, "ab"), Post(0, "b"), Post(1, "a"))
_PAIR = (Post(0, "a"), Post(1, "a"))

CHECKS = (
    QueueCheck("the device queue, a repost in another lane", "holds", Rules(_PAIR, fails="a")),
    QueueCheck("the device queue, a suspicious repost", "holds", Rules((*_SUSPECT[:2],), tokens=2)),
    QueueCheck("the device queue, 3 posts in two lanes", "holds", Rules(_REPOSTS)),
)
LARGE = (
    QueueCheck(
        "the device queue, 3 posts, a content that fails, larger calls", "holds", Rules(_REPOSTS, tokens=2, fails="a")
    ),
    QueueCheck("the device queue, 3 posts, one suspicious", "holds", Rules(_SUSPECT, tokens=2)),
)
BAD = (
    QueueCheck("a unit is cancelled with its first subscriber", "starved", Rules(_REPOSTS, EndsWithItsFirst), 3),
    QueueCheck("a unit is cancelled though it has begun", "twice", Rules(_REPOSTS, CancelsWhatHasBegun), 4),
    QueueCheck("a dropped unit is still shared", "starved", Rules(_REPOSTS, ForgetsTheDropped), 3),
    QueueCheck("the result reaches the first post alone", "starved", Rules(_REPOSTS, TellsTheFirstAlone), 4),
    QueueCheck("a lane that is given up waits its turn", "late", Rules(_MANY, LeavesNobodyFirst), 6),
    QueueCheck("a suspicious post shares a call", "beside a suspect", Rules(_SUSPECT, SharesWithSuspects), 3),
)
