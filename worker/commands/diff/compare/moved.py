"""The posts whose answers moved most."""

# ruff: noqa: S608 - queries are made of this package's own names and numbers, and of quoted literals

from collections.abc import Sequence

from schemas import Source
from worker.commands.diff.compare.pairs import MILLIONTHS, Joined, Unit
from worker.commands.diff.compare.report import Answer, Moved
from worker.commands.diff.read.posts import texts
from worker.commands.diff.read.store import Store


def most_moved(store: Store, joined: Joined, count: int, *, from_topics: bool) -> list[Moved]:
    """Return the posts whose answer to a task moved furthest, each once; in a tie, flips and earlier posts first.

    Args:
        store: after the join.
        joined: the join.
        count: how many.
        from_topics: whether posts are found by their place in Kafka, or by their id.
    """
    tasks = {unit.number: unit for unit in joined.units if not unit.is_intensity}
    if not count or not tasks:
        return []
    columns = [f"{side}{place}" for side in "ab" for place in range(joined.columns)]
    # A post can be among them once for each task.
    rows = store.rows(
        f"""SELECT unit, post, a, b, distance, {", ".join(columns)} FROM pair
        WHERE unit IN ({", ".join(map(str, tasks))}) AND (distance > 0 OR a <> b)
        ORDER BY distance DESC, a <> b DESC, post, unit LIMIT {count * len(tasks)}"""
    )
    best = {row[1]: row for row in reversed(rows)}
    first = [best[post] for post in dict.fromkeys(row[1] for row in rows)][:count]
    posts = [row[1] for row in first]
    known = texts(store, posts, from_topics=from_topics)
    places = _places(store, posts)
    flips = _flips(store, posts, tasks)
    found = []
    for number, post, left, right, distance, *scores in first:
        unit = tasks[number]
        half = len(scores) // 2
        post_id, source = places[post]
        text, community, language = known.get(post, (None, None, None))
        found.append(
            Moved(
                post_id=post_id,
                source=source,
                task=unit.task,
                distance=distance / 2 / MILLIONTHS,
                flipped=left != right,
                left=_answer(unit, left, scores[:half]),
                right=_answer(unit, right, scores[half:]),
                other_flips=[task for task in flips.get(post, []) if task != unit.task],
                text=text,
                community=community,
                language=language,
                explanations=None,
            )
        )
    return found


def _answer(unit: Unit, label: int, scores: Sequence[int]) -> Answer:
    shares = [score / MILLIONTHS for score in scores[: len(unit.classes)]]
    return Answer(label=unit.classes[label], probabilities=dict(zip(unit.classes, shares, strict=True)))


def _places(store: Store, posts: Sequence[int]) -> dict[int, tuple[str, Source | None]]:
    rows = store.rows(f'SELECT post, post_id, topic, partition, "offset" FROM joined WHERE post IN ({_listed(posts)})')
    return {
        post: (post_id, None if topic is None else Source(topic=topic, partition=partition, offset=offset))
        for post, post_id, topic, partition, offset in rows
    }


def _flips(store: Store, posts: Sequence[int], tasks: dict[int, Unit]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for number, post in store.rows(
        f"SELECT unit, post FROM pair WHERE a <> b AND post IN ({_listed(posts)}) ORDER BY unit, post"
    ):
        if number in tasks:
            found.setdefault(post, []).append(tasks[number].task)
    return found


def _listed(posts: Sequence[int]) -> str:
    return ", ".join(map(str, posts)) or "NULL"
