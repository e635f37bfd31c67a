"""Counts over pairs, in SQL. The results are no larger than the number of classes and bins."""

# ruff: noqa: S608 - queries are made of this package's own names and numbers, and of quoted literals

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.commands.diff.compare.pairs import MILLIONTHS, Joined, Unit
from worker.commands.diff.read.store import Store

Counts = NDArray[np.int64]
FACETS = ("community", "language", "modality", "length")
BINS = 10
# Probabilities are published with four decimals.
STEPS = 10_000
_PER_STEP = MILLIONTHS // STEPS
_PER_BIN = MILLIONTHS // BINS


@dataclass(frozen=True)
class Distribution:
    """Posts by a score from 0 to 1 on both sides, in steps of 1/10,000, and by its change.

    Args:
        left, right: [10001] posts by score.
        change: [20001] posts by the right's score minus the left's, from -1 to 1.
        left_sum, right_sum: of the scores, unrounded.
    """

    left: Counts
    right: Counts
    change: Counts
    left_sum: float
    right_sum: float


@dataclass(frozen=True)
class Sure:
    """Posts by how sure the left is of its label, in ten bins.

    Args:
        posts: [10].
        agrees: [10] posts among them on which the right has the same label.
        confidence: [10] sum of the left's probabilities of its label.
        right_probability: [10] sum of the right's probabilities of the left's label.
    """

    posts: Counts
    agrees: Counts
    confidence: NDArray[np.float64]
    right_probability: NDArray[np.float64]


@dataclass(frozen=True)
class Facet:
    """The posts that have one value of one facet.

    Args:
        by: one of `FACETS`.
        value: None for posts without one.
        merged: how many rare values are counted together here; 0 for a single value.
        matrix: [classes, classes] posts by left's and right's class.
    """

    by: str
    value: str | None
    merged: int
    matrix: Counts


@dataclass(frozen=True)
class Graded:
    """Posts with a known answer, counted in cells of what they have in common.

    Args:
        posts: [cells].
        left_bin, right_bin: [cells] bin of the side's confidence.
        left_right, right_right: [cells] whether the side's label is the known answer.
        left_confidence, right_confidence: [cells] sums.
    """

    posts: Counts
    left_bin: Counts
    left_right: Counts
    left_confidence: NDArray[np.float64]
    right_bin: Counts
    right_right: Counts
    right_confidence: NDArray[np.float64]


def matrices(store: Store, units: Sequence[Unit]) -> dict[int, Counts]:
    """Return [classes, classes] posts by the left's class (row) and the right's (column), by unit."""
    found = {unit.number: np.zeros((len(unit.classes),) * 2, np.int64) for unit in units}
    for number, left, right, posts in store.rows("SELECT unit, a, b, count(*) FROM pair GROUP BY ALL"):
        found[number][left, right] = posts
    return found


def mean_distances(store: Store) -> dict[int, float]:
    """Return the mean total variation distance, by unit."""
    rows = store.rows("SELECT unit, sum(distance), count(*) FROM pair GROUP BY unit")
    return {number: int(total) / 2 / MILLIONTHS / posts for number, total, posts in rows}


def score_distributions(store: Store, joined: Joined) -> dict[tuple[int, int], Distribution]:
    """Return the distribution of each class's score, by unit and class."""
    found: dict[tuple[int, int], Distribution] = {}
    for place in range(joined.columns):
        for number, distribution in _distributions(store, f"a{place}", f"b{place}").items():
            found[number, place] = distribution
    return found


def confidence_distributions(store: Store) -> dict[int, Distribution]:
    """Return the distribution of the probability that each side gives its own label, by unit."""
    return _distributions(store, "own_a", "own_b")


def _distributions(store: Store, left: str, right: str) -> dict[int, Distribution]:
    sums = {
        number: (int(a) / MILLIONTHS, int(b) / MILLIONTHS)
        for number, a, b in store.rows(
            f"SELECT unit, sum({left}), sum({right}) FROM pair WHERE {left} IS NOT NULL GROUP BY unit"
        )
    }
    step = f"(({{}}) + {_PER_STEP // 2}) // {_PER_STEP}"
    lefts = _histogram(store, step.format(left), left, STEPS + 1, sums)
    rights = _histogram(store, step.format(right), left, STEPS + 1, sums)
    # 1 is added to every change: the division would round a negative one towards zero.
    changes = _histogram(store, step.format(f"{right} - {left} + {MILLIONTHS}"), left, 2 * STEPS + 1, sums)
    return {number: Distribution(lefts[number], rights[number], changes[number], *sums[number]) for number in sums}


def _histogram(store: Store, value: str, needed: str, size: int, units: Mapping[int, object]) -> dict[int, Counts]:
    found = {number: np.zeros(size, np.int64) for number in units}
    rows = store.database.execute(
        f"SELECT unit, {value} AS step, count(*) AS posts FROM pair WHERE {needed} IS NOT NULL GROUP BY ALL"
    ).fetchnumpy()
    for number, histogram in found.items():
        mine = rows["unit"] == number
        histogram[rows["step"][mine]] = rows["posts"][mine]
    return found


def agreement(store: Store, units: Sequence[Unit]) -> dict[int, Sure]:
    """Return how far the right agrees with the left's labels, by unit."""
    found = {
        unit.number: Sure(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS), np.zeros(BINS))
        for unit in units
    }
    rows = store.rows(
        f"SELECT unit, {_bin('own_a')} AS bin, count(*), count(*) FILTER (a = b), sum(own_a), sum(other) "
        "FROM pair GROUP BY ALL"
    )
    for number, place, posts, agrees, confidence, other in rows:
        sure = found[number]
        sure.posts[place], sure.agrees[place] = posts, agrees
        sure.confidence[place], sure.right_probability[place] = int(confidence) / MILLIONTHS, int(other) / MILLIONTHS
    return found


def facets(store: Store, joined: Joined, *, most: int) -> dict[int, list[Facet]]:
    """Return the matrices of all values of all facets, by the number of a task's unit; most posts first.

    Args:
        store: whose table `facet` has a row for each joined post.
        joined: the join.
        most: how many values of a facet get a matrix of their own; the others are merged.
    """
    tasks = {unit.number: unit for unit in joined.units if not unit.is_intensity}
    found: dict[int, list[Facet]] = {number: [] for number in tasks}
    if not tasks:
        return found
    numbers = ", ".join(map(str, tasks))
    for by in FACETS:
        store.database.execute(
            f"CREATE OR REPLACE TEMP TABLE common AS SELECT {by} AS value, count(*) AS posts, "
            f"row_number() OVER (ORDER BY count(*) DESC, {by} NULLS FIRST) AS place FROM facet GROUP BY {by}"
        )
        values = {place: value for value, place in store.rows(f"SELECT value, place FROM common WHERE place <= {most}")}
        merged = max(0, store.row("SELECT count(*) FROM common")[0] - most)
        if set(values.values()) == {None}:
            continue
        rows = store.rows(
            f"SELECT unit, least(place, {most + 1}) AS place, a, b, count(*) FROM pair JOIN facet USING (post) "
            f"JOIN common ON {by} IS NOT DISTINCT FROM value WHERE unit IN ({numbers}) GROUP BY ALL"
        )
        cells: dict[tuple[int, int], Counts] = {}
        for number, place, left, right, posts in rows:
            size = len(tasks[number].classes)
            cells.setdefault((number, place), np.zeros((size, size), np.int64))[left, right] = posts
        for (number, place), matrix in sorted(cells.items()):
            found[number].append(Facet(by, values.get(place), 0 if place in values else merged, matrix))
    return found


def graded(store: Store, units: Sequence[Unit]) -> dict[int, Graded]:
    """Return the counts of posts with a known answer, by unit."""
    found: dict[int, Graded] = {}
    for unit in units:
        if unit.is_intensity:
            continue
        classes = ", ".join("'" + name.replace("'", "''") + "'" for name in unit.classes)
        rows = store.database.execute(
            f"""SELECT left_bin, left_right, right_bin, right_right, count(*) AS posts, sum(own_a)::BIGINT AS left_sum,
                sum(own_b)::BIGINT AS right_sum
            FROM (SELECT {_bin("own_a")} AS left_bin, (a = known)::INTEGER AS left_right, {_bin("own_b")} AS right_bin,
                    (b = known)::INTEGER AS right_right, own_a, own_b
                FROM pair JOIN joined USING (post) JOIN (
                    SELECT post_id, list_position([{classes}], max_by(label, sequence)) - 1 AS known
                    FROM truth WHERE task = $task GROUP BY post_id
                ) USING (post_id) WHERE unit = {unit.number} AND known IS NOT NULL)
            GROUP BY ALL ORDER BY ALL""",
            {"task": unit.task},
        ).fetchnumpy()
        if len(rows["posts"]):
            found[unit.number] = Graded(
                posts=np.asarray(rows["posts"], np.int64),
                left_bin=np.asarray(rows["left_bin"], np.int64),
                left_right=np.asarray(rows["left_right"], np.int64),
                left_confidence=np.asarray(rows["left_sum"]) / MILLIONTHS,
                right_bin=np.asarray(rows["right_bin"], np.int64),
                right_right=np.asarray(rows["right_right"], np.int64),
                right_confidence=np.asarray(rows["right_sum"]) / MILLIONTHS,
            )
    return found


def _bin(score: str) -> str:
    return f"least({score} // {_PER_BIN}, {BINS - 1})"
