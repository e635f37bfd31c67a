"""The join: pairs of the last answers of both sides to each post and task."""

# ruff: noqa: S608 - queries are made of this package's own names and numbers, and of quoted literals

from dataclasses import dataclass

from mmorient import TASKS
from worker.commands.diff.read.store import SIDES, Store, literal
from worker.commands.terminal import harmless
from worker.errors import FatalError

# Scores are kept in whole millionths: sums of whole numbers are the same in whatever order they are added.
MILLIONTHS = 1_000_000
_MOST_CLASSES = 64


@dataclass(frozen=True)
class Unit:
    """Something that is compared: a task's label, or its intensity.

    Args:
        number: in the table of pairs.
        task: `sarcasm`.
        is_intensity: whether it is the task's intensity.
        classes: in order; of a known task in the task's order.
    """

    number: int
    task: str
    is_intensity: bool
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """`sarcasm`, or `sarcasm.intensity`."""
        return f"{self.task}.intensity" if self.is_intensity else self.task


@dataclass(frozen=True)
class Joined:
    """The outcome of the join.

    The tables that it leaves: `joined` (a row a post, numbered in the order of its key) and `pair` (a row a post and
    unit: classes `a` and `b`, scores `a0`, `a1`, … and `b0`, …, those of the side's own label `own_a` and `own_b`, the
    right's of the left's label `other`, and `distance`, the sum of the scores' absolute differences).

    Args:
        by_source: whether posts were joined by their place in Kafka.
        units: what is compared.
        posts: on both sides.
        only: by side, how many posts only it has, and the first of them.
        task_only: by side and task, the same count.
        repeats: by side, how many answers were replaced by a later one.
        tasks: by side.
    """

    by_source: bool
    units: tuple[Unit, ...]
    posts: int
    only: dict[str, tuple[int, list[str]]]
    task_only: dict[str, dict[str, int]]
    repeats: dict[str, int]
    tasks: dict[str, list[str]]

    @property
    def columns(self) -> int:
        """How many scores a side of a pair has room for."""
        return max((len(unit.classes) for unit in self.units), default=0)


def join(store: Store) -> Joined:
    """Join what the store holds now.

    Raises:
        FatalError: there are more classes than labels can have.
    """
    by_source = _by_source(store)
    repeats: dict[str, int] = {side: _keep_last(store, side, by_source=by_source) for side in SIDES}
    for side in SIDES:
        store.database.execute(
            f"CREATE OR REPLACE TEMP TABLE {side}_post AS SELECT key, max(post_id) AS post_id, max(topic) AS topic, "
            'max(partition) AS partition, max("offset") AS "offset", max(modality) AS modality '
            f"FROM {side}_last GROUP BY key"
        )
    order = 'topic, partition, "offset"' if by_source else "key"
    store.database.execute(
        f"""CREATE OR REPLACE TABLE joined AS SELECT row_number() OVER (ORDER BY {order}) AS post, * FROM (
            SELECT l.key, l.post_id, coalesce(l.topic, r.topic) AS topic,
                CASE WHEN l.topic IS NULL THEN r.partition ELSE l.partition END AS partition,
                CASE WHEN l.topic IS NULL THEN r."offset" ELSE l."offset" END AS "offset",
                CASE WHEN l.modality = r.modality THEN l.modality ELSE l.modality || ' → ' || r.modality END AS modality
            FROM left_post l JOIN right_post r USING (key))"""
    )
    tasks = {
        side: [task for (task,) in store.rows(f"SELECT DISTINCT task FROM {side}_last ORDER BY task")] for side in SIDES
    }
    units = _units(store)
    joined = Joined(
        by_source=by_source,
        units=units,
        posts=store.row("SELECT count(*) FROM joined")[0],
        only={side: _only(store, side, order) for side in SIDES},
        task_only={side: _task_only(store, side) for side in SIDES},
        repeats=repeats,
        tasks={side: sorted(names, key=_task_order) for side, names in tasks.items()},
    )
    _pair(store, joined)
    return joined


def _by_source(store: Store) -> bool:
    """Whether every label says where its post stands, and both sides name a posts topic in common."""
    topics = []
    for side in SIDES:
        found = {topic for (topic,) in store.rows(f"SELECT DISTINCT topic FROM {side}_answer")}
        topics.append(found)
    return None not in topics[0] | topics[1] and bool(topics[0] & topics[1])


def _keep_last(store: Store, side: str, *, by_source: bool) -> int:
    """Put the last answer of each post and task into SIDE_last; return how many others there were.

    Labels have the partition of their post, so joined by place they are in the order of that partition. Joined by id,
    labels of a post may be in several partitions, and then their times decide.
    """
    key = "topic || ' ' || partition || ' ' || \"offset\"" if by_source else "post_id"
    order = "{'p': place, 's': sequence}" if by_source else "{'m': moment, 'p': place, 's': sequence}"
    store.database.execute(
        f"CREATE OR REPLACE TEMP TABLE winner AS SELECT task, max_by(sequence, {order}) AS sequence "
        f"FROM {side}_answer GROUP BY {key}, task"
    )
    answers = store.row(f"SELECT count(*) FROM {side}_answer")[0]
    kept = store.row("SELECT count(*) FROM winner")[0]
    chosen = "" if kept == answers else "SEMI JOIN winner USING (task, sequence)"
    store.database.execute(
        f"CREATE OR REPLACE TEMP TABLE {side}_last AS SELECT {key} AS key, * FROM {side}_answer {chosen}"
    )
    return int(answers - kept)


def _only(store: Store, side: str, order: str) -> tuple[int, list[str]]:
    other = SIDES[1] if side == SIDES[0] else SIDES[0]
    missing = f"FROM {side}_post ANTI JOIN {other}_post USING (key)"
    rows = store.rows(f'SELECT post_id, topic, partition, "offset" {missing} ORDER BY {order} LIMIT 5')
    named = [
        post_id if topic is None else f"{post_id} ({topic}[{partition}]@{offset})"
        for post_id, topic, partition, offset in rows
    ]
    return int(store.row(f"SELECT count(*) {missing}")[0]), named


def _task_only(store: Store, side: str) -> dict[str, int]:
    other = SIDES[1] if side == SIDES[0] else SIDES[0]
    return dict(
        store.rows(f"SELECT task, count(*) FROM {side}_last ANTI JOIN {other}_last USING (key, task) GROUP BY task")
    )


def _units(store: Store) -> tuple[Unit, ...]:
    units: list[Unit] = []
    both = "SELECT DISTINCT task FROM left_last INTERSECT SELECT DISTINCT task FROM right_last"
    for task in sorted((task for (task,) in store.rows(both)), key=_task_order):
        for is_intensity, column in ((False, "probabilities"), (True, "intensity_probabilities")):
            sets: list[set[str]] = []
            for side in SIDES:
                rows = store.rows(
                    f"SELECT DISTINCT unnest(map_keys({column})) FROM {side}_last WHERE task = {literal(task)}"
                )
                sets.append({name for (name,) in rows})
            if not all(sets):
                continue
            found = sets[0] | sets[1]
            if len(found) > _MOST_CLASSES:
                raise FatalError(f"{harmless(task, 60)} has {len(found)} classes, which is too many for labels")
            known = () if task not in TASKS else TASKS[task].degrees if is_intensity else TASKS[task].classes
            classes = tuple(known) if found <= set(known) else tuple(sorted(found))
            units.append(Unit(len(units), task, is_intensity, classes))
    return tuple(units)


def _task_order(task: str) -> tuple[int, str]:
    names = list(TASKS)
    return (names.index(task) if task in names else len(names), task)


def _pair(store: Store, joined: Joined) -> None:
    width = joined.columns
    columns = [f"{side}{number} INTEGER" for side in "ab" for number in range(width)]
    store.database.execute(
        "CREATE OR REPLACE TABLE pair (unit UTINYINT, post BIGINT, a UTINYINT, b UTINYINT, own_a INTEGER, "
        f"own_b INTEGER, other INTEGER, distance INTEGER{''.join(f', {one}' for one in columns)})"
    )
    for unit in joined.units:
        label, probabilities = (
            ("intensity", "intensity_probabilities") if unit.is_intensity else ("label", "probabilities")
        )
        count = len(unit.classes)
        names = ", ".join(map(literal, unit.classes))
        scores = [
            f"round(coalesce({side}.{probabilities}[{literal(name)}], 0) * {MILLIONTHS})::INTEGER AS {mark}{number}"
            for side, mark in (("l", "a"), ("r", "b"))
            for number, name in enumerate(unit.classes)
        ]
        padded = [f"{mark}{number}" if number < count else "NULL" for mark in "ab" for number in range(width)]
        distance = " + ".join(f"abs(a{number} - b{number})" for number in range(count))
        store.database.execute(
            f"""INSERT INTO pair SELECT {unit.number}, post, a, b, {_pick("a", "a", count)}, {_pick("b", "b", count)},
                {_pick("b", "a", count)}, {distance}, {", ".join(padded)}
            FROM (SELECT j.post, list_position([{names}], l.{label}) - 1 AS a,
                    list_position([{names}], r.{label}) - 1 AS b, {", ".join(scores)}
                FROM left_last l JOIN right_last r USING (key) JOIN joined j USING (key)
                WHERE l.task = {literal(unit.task)} AND r.task = {literal(unit.task)}
                    AND l.{label} IS NOT NULL AND r.{label} IS NOT NULL)"""
        )


def _pick(side: str, of: str, count: int) -> str:
    """The score on one side of the label that a side gave."""
    return f"CASE {of} {' '.join(f'WHEN {number} THEN {side}{number}' for number in range(count))} END"
