"""Posts that repeat what this process has labelled of late are not computed again."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from mmorient import PostEmbeddings, PostLabels, TaskLabel
from tests.worker.moderators import ExplodingModerator, collected, label_with, picture
from tests.worker.records import item_of
from worker.items import Item
from worker.labelling.cache.redis_cache import NoCache
from worker.labelling.embed import EmbeddingTable
from worker.labelling.infer import InferStage
from worker.labelling.repeats import Repeats


class CountingModerator(ExplodingModerator):
    """Labels each post by how many it has labelled before."""

    def __init__(self) -> None:
        super().__init__("poison")
        self.classified = 0

    def classify(self, posts: Sequence[PostEmbeddings]) -> list[PostLabels]:
        """Label."""
        self.classified += len(posts)
        shares = {"a": round(1 / self.classified, 4)}
        return [PostLabels({"sentiment": TaskLabel("a", shares)}, ("text",)) for _ in posts]


def stage(moderator: ExplodingModerator, recent_bytes: int = 100_000) -> InferStage:
    """Return a stage that keeps labels."""
    return InferStage(moderator, recent_bytes=recent_bytes)  # type: ignore[arg-type]


async def labelled(infer: InferStage, moderator: ExplodingModerator, threads: ThreadPoolExecutor, *items: Item) -> None:
    """Take items through the stages, one after the other."""
    for item in items:
        await label_with(infer, await collected([item]), moderator, NoCache(), threads)  # type: ignore[arg-type]


async def test_a_repeated_post_has_the_labels_of_the_first(threads: ThreadPoolExecutor) -> None:
    """The model sees the text once, and its copy is done with the first one's labels."""
    moderator = CountingModerator()
    infer = stage(moderator)
    first, other, copy = item_of(0, text="a"), item_of(1, text="b"), item_of(2, text="a")
    await labelled(infer, moderator, threads, first, other, copy)
    assert (moderator.classified, moderator.encoded) == (2, ["a", "b"])
    assert copy.labels is first.labels
    assert copy.labels is not other.labels
    infer.close()


async def test_a_copy_is_done_at_once_and_beside_it_others_are_computed(threads: ThreadPoolExecutor) -> None:
    """Of a batch with both, the copy waits for no call of the model; all are done once."""
    moderator = CountingModerator()
    infer = stage(moderator)
    await labelled(infer, moderator, threads, item_of(0, text="a"))
    items = [item_of(1, text="a"), item_of(2, text="new")]
    for item in items:
        item.text_key = (item.text or "").encode()
    done: list[list[Item]] = []
    before = item_of(3, text="a")
    await labelled(infer, moderator, threads, before)
    items[0].text_key = before.text_key
    table = EmbeddingTable(texts={b"new": "new"})
    await infer.run(items, table, done=lambda some: done.append(list(some)))
    assert done == [[items[0]], [items[1]]]
    assert list(table.known) == [b"new"]
    infer.close()


async def test_other_pictures_or_another_order_make_another_post(threads: ThreadPoolExecutor) -> None:
    """Labels are those of all contents in their order; a picture that is none makes a post without it."""
    moderator = CountingModerator()
    infer = stage(moderator)
    red, blue = {"data": picture("red")}, {"data": picture("blue")}
    posts = [[red], [blue], [red, blue], [blue, red], [], [{"data": "bm9uZQ=="}], [red, blue]]
    items = [item_of(number, text="a", media=media) for number, media in enumerate(posts)]
    await labelled(infer, moderator, threads, *items)
    assert moderator.classified == 5
    assert items[6].labels is items[2].labels
    assert items[5].labels is items[4].labels
    infer.close()


async def test_a_post_that_the_model_fails_on_is_tried_again(threads: ThreadPoolExecutor) -> None:
    """What has no labels is not kept."""
    moderator = CountingModerator()
    infer = stage(moderator)
    first, copy = item_of(0, text="poison"), item_of(1, text="poison")
    await labelled(infer, moderator, threads, first)
    moderator.word = "other"
    await labelled(infer, moderator, threads, copy)
    assert first.rejection is not None
    assert copy.labels is not None
    infer.close()


async def test_nothing_is_kept_without_room(threads: ThreadPoolExecutor) -> None:
    """With no bytes each post is computed."""
    moderator = CountingModerator()
    infer = stage(moderator, recent_bytes=0)
    await labelled(infer, moderator, threads, item_of(0, text="a"), item_of(1, text="a"))
    assert moderator.classified == 2
    infer.close()


def test_what_is_kept_is_bounded() -> None:
    """The labels of those that came first make room."""
    repeats = Repeats(20_000)
    items = [item_of(number, text="a") for number in range(100)]
    for number, item in enumerate(items):
        item.text_key, item.labels = b"%d" % number, PostLabels({}, ("text",))
    repeats.keep(items)
    for item in items:
        item.labels = None
    assert repeats.answer(items) == items[-6:]
