"""The stream on the page: which posts are shown of how many, what is counted, and what is never kept."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from mmorient import PostReader
from tests.worker.serving.page.parts import CHECKPOINT, ToldLabeller, browser_of, label, labels, page_of
from worker.broker.positions import Position
from worker.serving.page.routes import Page
from worker.serving.page.stream import plots
from worker.serving.page.stream.figures import STEPS, Figures
from worker.serving.page.stream.filters import Filter
from worker.serving.page.stream.hub import FullError, Hub
from worker.serving.page.stream.joining import Joiner, LabelledPost
from worker.serving.page.stream.originals import Originals
from worker.serving.page.stream.viewers import Viewer

TASKS = ("sentiment", "sarcasm")


def records(number: int, *, text: str = "ignored", **fields: Any) -> list[Any]:
    """Return the label records of one post."""
    del text
    source = {"topic": "posts", "partition": 0, "offset": number}
    return [
        SimpleNamespace(timestamp=1_000 + number, value=json.dumps(one | {"source": source} | fields).encode())
        for one in labels().values()
    ]


def joined(number: int, **fields: Any) -> LabelledPost:
    """Return a labelled post."""
    joiner = Joiner(TASKS)
    first, second = records(number, **fields)
    assert joiner.add(first, 0) is None
    post = joiner.add(second, 0)
    assert post is not None
    return post


class FedReader:
    """Yields what a test gives it."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[Sequence[Any]] = asyncio.Queue()
        self.is_connected = True
        self.passed_over = 0
        self.begun = 0

    async def records(self) -> AsyncGenerator[Sequence[Any], None]:
        """Yield."""
        self.begun += 1
        while True:
            yield await self.given.get()


class ToldOriginals(Originals):
    """Has the posts that a test gives it."""

    def __init__(self, posts: dict[Position, bytes]) -> None:
        self._posts = posts
        self._reader = PostReader()

    async def record(self, position: Position) -> Any:
        """Return it."""
        value = self._posts.get(position)
        return None if value is None else SimpleNamespace(value=value, timestamp=900)

    async def close(self) -> None:
        """Do nothing."""


def test_the_labels_of_a_post_are_put_together() -> None:
    """In any order, of single records and of sets; a post whose other labels do not come is shown without them."""
    joiner = Joiner(TASKS)
    (a1, a2), (b1, _) = records(1), records(2)
    assert joiner.add(a2, 0) is None
    assert joiner.add(b1, 0) is None
    post = joiner.add(a1, 0)
    assert post is not None
    assert (post.position, set(post.answers), post.checkpoint) == (Position("posts", 0, 1), set(TASKS), CHECKPOINT)
    assert list(joiner.overdue(1)) == []
    (late,) = joiner.overdue(3)
    assert late.position.offset == 2
    both = {"labels": labels(), "source": {"topic": "posts", "partition": 0, "offset": 3}, "post_id": "p"}
    together = joiner.add(SimpleNamespace(timestamp=1, value=json.dumps(both).encode()), 0)
    assert together is not None
    assert set(together.answers) == set(TASKS)


@pytest.mark.parametrize(
    "value",
    [None, b"", b"x", b"[]", b"{}", b'{"source": 1}', b'{"source": {"topic": "t", "partition": "a", "offset": 1}}'],
)
def test_what_is_no_label_is_passed_over(value: bytes | None) -> None:
    """Whoever writes to the topic cannot end the reading."""
    assert Joiner(TASKS).add(SimpleNamespace(timestamp=1, value=value), 0) is None


def test_a_label_without_its_probability_is_none() -> None:
    """It could not be shown."""
    joiner = Joiner(("sarcasm",))
    source = {"topic": "posts", "partition": 0, "offset": 1}
    broken = label("sarcasm", "sarcastic", {"other": 1.0}) | {"source": source}
    assert joiner.add(SimpleNamespace(timestamp=1, value=json.dumps(broken).encode()), 0) is None


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, True),
        ({"label": "sarcasm"}, True),
        ({"label": "sarcasm:sarcastic"}, True),
        ({"label": "sarcasm:not_sarcastic"}, False),
        ({"label": "sarcasm:sarcastic", "at_least": "0.8"}, True),
        ({"label": "sarcasm:sarcastic", "at_least": "0.9"}, False),
        ({"at_least": "0.86"}, True),
        ({"at_least": "0.9"}, False),
        ({"label": "humour"}, False),
        ({"label": "nothing:at all", "at_least": "many", "modality": "smell"}, True),
        ({"at_least": "nan"}, True),
        ({"community": "GARDENING"}, True),
        ({"community": "garden"}, False),
        ({"modality": "both"}, True),
        ({"modality": "text"}, False),
    ],
)
def test_filters(fields: dict[str, str], shown: bool) -> None:  # noqa: FBT001
    """By label, probability, community and modality; what cannot be read asks for nothing."""
    post = joined(1, community="gardening", modalities=["text", "image"])
    assert Filter.read(fields).matches(post) is shown


def test_every_post_of_a_turn_is_as_likely_to_be_shown() -> None:
    """The first is not preferred, nor is the last; and the share is said."""
    posts = [joined(number) for number in range(20)]
    counts: Counter[int] = Counter()
    viewer = Viewer(Filter(), 2, Random(7))
    for _ in range(2_000):
        for post in posts:
            viewer.offer(post)
        counts.update(post.position.offset for post in viewer.take())
    assert viewer.shown_of == (20, 200)
    assert min(counts.values()) > 140
    assert max(counts.values()) < 260


def test_figures_are_bounded_and_of_the_last_minutes() -> None:
    """Steps without posts count as such, and old ones are forgotten."""
    now = [1000.0]
    figures = Figures(lambda: now[0])
    for second in range(1000):
        now[0] = 1000.0 + second
        figures.add(joined(second))
        figures.add_latency(0.25)
    now[0] += 5
    assert len(figures.steps) == STEPS
    assert figures.rate == 1.0
    assert figures.posts == 1000
    assert figures.shares()["sarcasm"]["sarcastic"] <= 5 * (STEPS + 1)
    assert figures.latencies[0] == 0.25
    now[0] += 3600
    assert (figures.rate, figures.shares(), figures.latencies) == (0.0, {}, [])


def test_plots_leave_gaps_where_nothing_came() -> None:
    """A share of nothing is not drawn as one of something."""
    now = [1000.0]
    figures = Figures(lambda: now[0])
    for second in (1000, 1001, 1100):
        now[0] = float(second)
        figures.add(joined(second))
    now[0] = 1110
    bands = plots.bands(figures, "sentiment")
    assert [(band.label, band.share, len(band.areas)) for band in bands] == [
        ("negative", 1.0, 2), ("neutral", 0.0, 2), ("positive", 0.0, 2),
    ]  # fmt: skip
    rate = plots.rates(figures.steps, 5)
    assert (len(rate.lines), rate.top) == (1, 0.5)
    assert plots.latencies(figures.steps).lines == []


async def test_one_reader_serves_all_and_stops_when_nobody_looks() -> None:
    """However many viewers there are; and there are no more than may be."""
    reader, now = FedReader(), [0.0]
    hub = Hub(reader, TASKS, a_turn=2, max_viewers=2, clock=lambda: now[0], linger_seconds=60)
    async with hub.viewer(Filter()) as one, hub.viewer(Filter()) as two:
        with pytest.raises(FullError):
            async with hub.viewer(Filter()):
                pass
        reader.given.put_nowait(records(1))
        await asyncio.sleep(0.01)
        assert [post.position.offset for viewer in (one, two) for post in viewer.take()] == [1, 1]
    assert reader.begun == 1
    now[0] = 30
    reader.given.put_nowait(records(2))
    await asyncio.sleep(0.01)
    assert hub.figures.posts == 2
    now[0] = 100
    reader.given.put_nowait(())
    await asyncio.sleep(0.01)
    assert hub.figures.posts == 0
    async with hub.viewer(Filter()):
        await asyncio.sleep(0.01)
        assert reader.begun == 2
    await hub.close()


async def test_what_was_shown_is_kept_without_its_words_and_not_for_ever() -> None:
    """A window, not a store."""
    hub = Hub(FedReader(), TASKS, a_turn=2, max_viewers=1)
    for number in range(5_000):
        hub.show(joined(number), 0.1)
    assert hub.shown(Position("posts", 0, 4_999)) is not None
    assert hub.shown(Position("posts", 0, 1)) is None
    assert len(hub._shown) == 2_000


def page_with_stream(posts: dict[int, bytes]) -> tuple[Page, Hub, FedReader, ToldLabeller]:
    """Return a page over posts by their offsets."""
    reader, labeller = FedReader(), ToldLabeller()
    hub = Hub(reader, TASKS, a_turn=2, max_viewers=4)
    originals = ToldOriginals({Position("posts", 0, offset): value for offset, value in posts.items()})
    return page_of(labeller, hub=hub, originals=originals), hub, reader, labeller


async def told(page: Page, hub: Hub, path: str = "/page/stream/events", seconds: float = 1.3) -> str:
    """Return what a viewer is sent before the server ends."""
    async with browser_of(page) as client:
        asking = asyncio.create_task(client.get(path))
        await asyncio.sleep(seconds)
        await hub.close()
        return (await asking).text


async def test_posts_are_told_as_they_come() -> None:
    """With their words, labels and latency, escaped, and how many there were."""
    page, hub, reader, _ = page_with_stream({1: json.dumps({"id": "a", "text": "<b>oh\ngreat"}).encode()})
    reader.given.put_nowait([*records(1, community="<i>"), *records(2)])
    events = await told(page, hub)
    assert events.count("event: post") == 2
    assert "&lt;b&gt;oh great" in events
    assert "&lt;i&gt;" in events
    assert "(no longer in its topic)" in events
    assert "0.10 s" in events
    assert 'data-position="posts[0]@1"' in events
    assert all(line.startswith(("event: ", "data: ")) or not line for line in events.split("\n"))


async def test_a_viewer_is_told_what_matches() -> None:
    """The others are counted, and not shown."""
    page, hub, reader, _ = page_with_stream({})
    reader.given.put_nowait([*records(1, community="a"), *records(2, community="b")])
    events = await told(page, hub, "/page/stream/events?community=b&label=sarcasm%3Asarcastic", 2.3)
    assert events.count("event: post") == 1
    assert "posts[0]@2" in events
    assert "<b>1 of 1</b> shown" in events


async def test_a_click_explains_what_was_shown_and_nothing_else() -> None:
    """Labels as they stand on the topics, and why; a position that nobody was shown is answered with nothing."""
    value = json.dumps({"id": "a", "text": "oh great"}).encode()
    page, hub, _, labeller = page_with_stream({1: value, 2: value})
    hub.show(joined(1, community="gardening"), None)
    async with browser_of(page) as client:
        more = await client.post("/page/stream/post", data={"position": "posts[0]@1"})
        assert more.status_code == 200
        for said in ("oh great", "0.8688", "gardening", "posts[0]@1", CHECKPOINT[:19]):
            assert said in more.text
        assert "Agree" not in more.text
        why = await client.post("/page/stream/reasons", data={"position": "posts[0]@1"})
        assert why.status_code == 200
        assert "What moves the answer" in why.text
        assert labeller.posts == [value]
        for position in ("posts[0]@2", "secrets[0]@1", "nonsense", ""):
            assert (await client.post("/page/stream/post", data={"position": position})).status_code == 404
            assert (await client.post("/page/stream/reasons", data={"position": position})).status_code == 404


async def test_without_kafka_there_is_no_stream() -> None:
    """Neither the view nor the way to it."""
    async with browser_of(page_of(ToldLabeller())) as client:
        assert (await client.get("/stream")).status_code == 404
        assert "/stream" not in (await client.get("/")).text


async def test_the_view_has_its_filters() -> None:
    """All tasks that posts have labels of, with their labels."""
    page, *_ = page_with_stream({})
    async with browser_of(page) as client:
        view = (await client.get("/stream")).text
    for said in ('value="sarcasm:not_sarcastic"', 'value="sentiment"', 'name="at_least"', 'name="community"'):
        assert said in view
    assert "humour" not in view
