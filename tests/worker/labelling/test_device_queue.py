"""What the device computes next, and what becomes of the units that posts share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from mmorient import PostLabels
from tests.worker.records import item_of
from worker.items import Item
from worker.labelling.call_budget import CallBudget, measured
from worker.labelling.device_queue import Blame, Call, Content, DeviceQueue, QueuedPost, Result, Unit
from worker.labelling.embed import EmbeddingTable

EMBEDDING = np.zeros(2, np.float16)
LABELS = PostLabels({}, ("text",))
BLAME = Blame("the model fails on it", "model_error")


@dataclass
class Leaving:
    """A lane that is given up when the test says so."""

    is_leaving: bool = False


def bring(
    queue: DeviceQueue,
    *texts: str,
    first: int = 0,
    run: object = None,
    apart: bool = False,
    lane: Leaving | None = None,
    shape: int = 16,
    kind: str = "texts",
) -> tuple[list[QueuedPost], list[Unit]]:
    """Bring posts with these texts, accepted from number `first` on; return them and the units that are new."""
    items: list[Item] = []
    for number, text in enumerate(texts, start=first):
        item = item_of(number, text=text)
        item.number, item.text_key = number, text.encode()
        item.lane = lane  # type: ignore[assignment]
        items.append(item)
    table = EmbeddingTable(texts={text.encode(): text for text in texts})
    posts = [QueuedPost(item, table, run, apart=apart) for item in items]
    contents = {text.encode(): Content(kind, text, shape, shape) for text in texts}  # type: ignore[arg-type]
    return posts, queue.add(posts, contents)


def said(call: Call | None) -> tuple[str, list[str]]:
    """Return a call's kind and what is in it: texts, or numbers of posts."""
    assert call is not None
    if call.kind == "posts":
        return "posts", [str(post.item.number) for (post,) in call.posts]
    return call.kind, [str(unit.content.content) for unit in call.units]


def finish(queue: DeviceQueue, call: Call | None, results: Sequence[Result] | None = None) -> list[int]:
    """End a call; return the numbers of the posts that are over by it."""
    assert call is not None
    good: Result = LABELS if call.kind == "posts" else EMBEDDING
    return [post.item.number for post in queue.end(call, results or [good] * len(call.posts)).posts]


def test_equal_contents_in_flight_are_one_unit() -> None:
    """Whether they come together, while the first waits, while it is computed, or before its result is kept."""
    queue = DeviceQueue(CallBudget())
    _, made = bring(queue, "same", "same", "other")
    assert [unit.key for unit in made] == [b"same", b"other"]
    assert bring(queue, "same", first=3)[1] == []
    call = queue.next_call()
    assert said(call) == ("texts", ["same", "other"])
    assert bring(queue, "same", first=4)[1] == []
    finish(queue, call)
    assert bring(queue, "same", first=5)[1] == []
    call = queue.next_call()
    assert said(call) == ("posts", ["0", "1", "2", "3", "4", "5"])
    assert finish(queue, call) == [0, 1, 2, 3, 4, 5]
    assert queue.next_call() is None
    queue.release(made)
    assert [unit.key for unit in bring(queue, "same", first=6)[1]] == [b"same"]


def test_a_dropped_post_leaves_its_unit_to_the_others() -> None:
    """Whoever made the unit; it ends with the last post that needs it, where it has not begun."""
    queue = DeviceQueue(CallBudget())
    [first], [unit] = bring(queue, "same")
    [second], _ = bring(queue, "same", first=1)
    assert queue.drop(first) == []
    call = queue.next_call()
    assert said(call) == ("texts", ["same"])
    finish(queue, call)
    assert finish(queue, queue.next_call()) == [1]
    assert second.over
    assert unit.ended

    [alone], [unit] = bring(queue, "alone", first=2)
    assert queue.drop(alone) == [unit]
    assert unit.ended
    assert queue.next_call() is None


def test_a_unit_that_has_begun_is_computed_to_its_end() -> None:
    """Its result is there for the cache, though its post is dropped."""
    queue = DeviceQueue(CallBudget())
    [post], [unit] = bring(queue, "text")
    call = queue.next_call()
    assert queue.drop(post) == []
    assert finish(queue, call) == []
    assert unit.result is EMBEDDING
    assert queue.next_call() is None


def test_a_post_that_is_dropped_while_it_is_classified_gets_no_labels() -> None:
    """Its neighbours do."""
    queue = DeviceQueue(CallBudget())
    posts, _ = bring(queue, "a", "b")
    finish(queue, queue.next_call())
    call = queue.next_call()
    queue.drop(posts[0])
    assert finish(queue, call) == [1]
    assert posts[0].item.labels is None
    assert posts[1].item.labels is LABELS


def test_blame_reaches_every_post_that_waits_for_the_content() -> None:
    """Not those beside it in the call; and who brings the same later on has another try."""
    queue = DeviceQueue(CallBudget())
    posts, _ = bring(queue, "poison", "fine")
    late, _ = bring(queue, "poison", first=2)
    call = queue.next_call()
    assert finish(queue, call, [BLAME, EMBEDDING]) == [0, 2]
    for post in (posts[0], *late):
        assert post.item.rejection is not None
        assert (post.item.rejection.stage, post.item.rejection.reason) == ("infer", "model_error")
    assert finish(queue, queue.next_call()) == [1]
    assert len(bring(queue, "poison", first=3)[1]) == 1


def test_a_blamed_post_needs_its_other_contents_no_more() -> None:
    """One of which has not begun, and nobody else needs, is dropped."""
    queue = DeviceQueue(CallBudget())
    item = item_of(0, text="text")
    item.text_key, item.picture_keys = b"text", {0: b"picture"}
    post = QueuedPost(item, EmbeddingTable(), None)
    contents = {b"text": Content("texts", "text", 16, 16), b"picture": Content("pictures", "a picture", 0, 1)}
    made = queue.add([post], contents)
    call = queue.next_call()
    ended = queue.end(call, [BLAME])  # type: ignore[arg-type]
    assert {unit.key for unit in ended.units} == {b"text", b"picture"}
    assert all(unit.ended for unit in made)
    assert queue.next_call() is None


def test_posts_to_classify_go_before_the_oldest_text() -> None:
    """What is nearly done is done first; then the oldest, whatever came first into the queue."""
    queue = DeviceQueue(CallBudget(tokens=16))
    bring(queue, "late", first=5)
    bring(queue, "early", first=1)
    call = queue.next_call()
    assert said(call) == ("texts", ["early"])
    finish(queue, call)
    assert said(queue.next_call()) == ("posts", ["1"])
    assert said(queue.next_call()) == ("texts", ["late"])
    assert queue.next_call() is None


def test_a_lane_that_is_given_up_goes_first() -> None:
    """Its texts before the posts to classify of others, and its posts before all."""
    queue = DeviceQueue(CallBudget(tokens=16))
    lane = Leaving()
    bring(queue, "ready")
    finish(queue, queue.next_call())
    bring(queue, "old", first=1)
    bring(queue, "shared", first=2)
    bring(queue, "shared", first=9, lane=lane)
    lane.is_leaving = True
    call = queue.next_call()
    assert said(call) == ("texts", ["shared"])
    finish(queue, call)
    assert said(queue.next_call()) == ("posts", ["9", "0", "2"])
    assert said(queue.next_call()) == ("texts", ["old"])


def test_the_oldest_chooses_the_shape_and_others_of_it_fill_the_call() -> None:
    """Up to the budget, in their order; where a tile is one text, other lengths fill what is left."""
    for mixes, expected in ((False, [["a", "c"], ["b"]]), (True, [["a", "c", "b"]])):
        queue = DeviceQueue(CallBudget(tokens=64, mixes_lengths=mixes))
        bring(queue, "a", shape=16)
        bring(queue, "b", first=1, shape=32)
        bring(queue, "c", first=2, shape=16)
        assert [said(queue.next_call())[1] for _ in expected] == expected
        assert queue.next_call() is None


def test_a_call_of_several_lengths_has_those_of_one_length_together() -> None:
    """The oldest length first, then the next oldest, each whole: two texts of a length are faster than two of two."""
    queue = DeviceQueue(CallBudget(tokens=112, mixes_lengths=True))
    for first, (name, shape) in enumerate([("a", 16), ("b", 32), ("c", 16), ("d", 24), ("e", 32), ("f", 24)]):
        bring(queue, name, first=first, shape=shape)
    assert said(queue.next_call())[1] == ["a", "c", "b", "e"]
    assert said(queue.next_call())[1] == ["d", "f"]


def test_no_call_is_larger_than_the_budget() -> None:
    """But for one content that is larger alone; what is small enough goes with what came before."""
    queue = DeviceQueue(CallBudget(tokens=64, pictures=2, posts=3))
    bring(queue, "huge", shape=128)
    bring(queue, *"abcdefg", first=1)
    bring(queue, *"xyz", first=8, shape=1, kind="pictures")
    calls = [said(queue.next_call()) for _ in range(5)]
    assert calls == [
        ("texts", ["huge"]),
        ("texts", ["a", "b", "c", "d"]),
        ("texts", ["e", "f", "g"]),
        ("pictures", ["x", "y"]),
        ("pictures", ["z"]),
    ]
    assert queue.next_call() is None


def test_posts_apart_share_neither_units_nor_calls() -> None:
    """A post that may end the process is the only one that its call is made for."""
    queue = DeviceQueue(CallBudget())
    bring(queue, "same", "other")
    [suspect], [own] = bring(queue, "same", first=2, run="step", apart=True)
    first, second = queue.next_call(), queue.next_call()
    assert said(first) == ("texts", ["same", "other"])
    assert second is not None
    assert second.units == (own,)
    assert second.positions([0]) == [suspect.item.position]
    for call in (first, second):
        finish(queue, call)
    assert said(queue.next_call()) == ("posts", ["0", "1"])
    assert said(queue.next_call()) == ("posts", ["2"])


@pytest.mark.parametrize(("milliseconds", "expected"), [(1, 128), (9, 16), (100, 8), (0, 4096)])
def test_the_budget_is_what_a_call_may_take(milliseconds: int, expected: int) -> None:
    """Calls are doubled until one takes a quarter of a second; a slow or busy device keeps the least."""
    now, called = 0.0, []

    def call(count: int) -> None:
        nonlocal now
        called.append(count)
        now += milliseconds / 1000 * count

    assert measured(call, cost=1, least=8, most=4096, clock=lambda: now) == expected
    assert called[:2] == [1, 8]


@pytest.mark.model
def test_a_call_that_needs_too_much_memory_ends_the_measurement() -> None:
    """The last one that fitted is the budget; any other error is the model's."""

    def call(count: int) -> None:
        if count > 8:
            raise error

    error: Exception = MemoryError()
    assert measured(call, cost=3, least=3, most=10_000, clock=lambda: 0.0) == 24
    error = ValueError("broken")
    with pytest.raises(ValueError, match="broken"):
        measured(call, cost=3, least=3, most=10_000, clock=lambda: 0.0)
