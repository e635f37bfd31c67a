"""Puts JSON records into the store: labels of every form, and posts. What cannot be read is counted and named."""

# ruff: noqa: S608 - queries are made of this package's own names and numbers, and of quoted literals

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import duckdb
import pyarrow as pa

from worker.commands.diff.read.store import SideName, Store

_NAMED = 5
_NO_LABELS = re.compile(r'"labels":\s*\{\s*\}')
_CHUNK = 4096

_ANSWER = "label VARCHAR, probabilities MAP(VARCHAR, DOUBLE)"
_FULL_ANSWER = f"STRUCT({_ANSWER}, threshold DOUBLE, intensity STRUCT({_ANSWER}))"
# A line of `mmorient label`, a Label or a LabelSet: whichever fields a record has.
_LABEL_FIELDS = {
    "id": "VARCHAR",
    "post_id": "VARCHAR",
    "task": "VARCHAR",
    "label": "VARCHAR",
    "probabilities": "MAP(VARCHAR, DOUBLE)",
    "threshold": "DOUBLE",
    "intensity": f"STRUCT({_ANSWER})",
    "labels": f"MAP(VARCHAR, {_FULL_ANSWER})",
    "modalities": "VARCHAR[]",
    "community": "VARCHAR",
    "model": "STRUCT(name VARCHAR, checkpoint VARCHAR, graph_context VARCHAR, precision VARCHAR)",
    "source": 'STRUCT(topic VARCHAR, partition BIGINT, "offset" BIGINT)',
}
_POST_FIELDS = {"id": "VARCHAR", "community": "VARCHAR", "language": "VARCHAR", "text": "VARCHAR"}

_USABLE = (
    "coalesce({0}.label IS NOT NULL AND list_contains(map_keys({0}.probabilities), {0}.label) AND list_bool_and("
    "list_transform(map_values({0}.probabilities), lambda share: coalesce(share BETWEEN 0 AND 1, false))), false)"
)


_LABEL_QUERY = f"""
    , answer AS (
        SELECT sequence, moment, place, r, unnest(
            CASE WHEN r.labels IS NULL
            THEN [struct_pack(key := r.task, value := struct_pack(label := r.label,
                probabilities := r.probabilities, threshold := r.threshold, intensity := r.intensity))]
            ELSE list_filter(map_entries(r.labels), lambda one: one.value IS NOT NULL) END
        ) AS a,
        coalesce(r.source.topic IS NOT NULL AND r.source.partition >= 0 AND r.source."offset" >= 0, false) AS placed
        FROM line
    )
    SELECT sequence, moment, place, coalesce(r.post_id, r.id) AS post_id,
        CASE WHEN placed THEN r.source.topic END AS topic,
        CASE WHEN placed THEN r.source.partition END AS partition,
        CASE WHEN placed THEN r.source."offset" END AS "offset",
        array_to_string(list_reverse_sort(list_distinct(r.modalities)), '+') AS modality,
        r.model.name AS model, r.model.checkpoint AS checkpoint, r.model.graph_context AS graph_context,
        r.model.precision AS precision, a.key AS task, a.value.label AS label,
        a.value.probabilities AS probabilities, a.value.threshold AS threshold, a.value.intensity.label AS intensity,
        a.value.intensity.probabilities AS intensity_probabilities, r.community AS community,
        coalesce(a.key IS NOT NULL AND coalesce(r.post_id, r.id) IS NOT NULL AND {_USABLE.format("a.value")}
            AND (a.value.intensity IS NULL OR {_USABLE.format("a.value.intensity")}), false) AS usable,
        starts_with(coalesce(r.model.checkpoint, ''), $checkpoint) AS wanted
    FROM answer
"""
_POST_QUERY = """
    SELECT sequence, r.id AS post_id, topic, partition, CASE WHEN topic IS NOT NULL THEN number END AS "offset",
        r.community AS community, r.language AS language,
        CASE WHEN regexp_matches(r.text, '\\S') THEN length(r.text) END AS characters, left(r.text, 1000) AS text,
        coalesce(r.id IS NOT NULL, false) AS usable, true AS wanted
    FROM line
"""


@dataclass(frozen=True)
class Origin:
    """Where records come from.

    Args:
        name: of the file, or of the topic.
        topic, partition: of records in Kafka; None for files.
    """

    name: str
    topic: str | None = None
    partition: int | None = None

    def of(self, number: int) -> str:
        """Return a record's place as messages write it: topic[partition]@offset, or FILE:LINE."""
        return f"{self.name}:{number}" if self.topic is None else f"{self.topic}[{self.partition}]@{number}"


@dataclass
class Records:
    """Some records. Those of one origin are in their order.

    Args:
        origins: all files or partitions of a side.
        places: the index of each record's origin.
        numbers: the offset or line number of each record.
        moments: milliseconds since the epoch; 0 if there is no time.
        values: JSON texts; None for a record without text.
    """

    origins: Sequence[Origin]
    places: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    values: list[str | None] = field(default_factory=list)

    def add(self, place: int, number: int, moment: int, value: str | None) -> None:
        """Add a record."""
        self.places.append(place)
        self.numbers.append(number)
        self.moments.append(moment)
        self.values.append(value)

    def part(self, start: int, stop: int) -> "Records":
        """Return some of the records."""
        kept = slice(start, stop)
        return Records(self.origins, self.places[kept], self.numbers[kept], self.moments[kept], self.values[kept])


@dataclass
class Tally:
    """How many records were read, and how many of them could not be used."""

    records: int = 0
    unreadable: int = 0
    first: list[str] = field(default_factory=list)

    def refuse(self, records: Records, indices: Sequence[int]) -> None:
        """Count records that cannot be read, and name the first few."""
        self.unreadable += len(indices)
        for index in indices[: _NAMED - len(self.first)]:
            self.first.append(records.origins[records.places[index]].of(records.numbers[index]))


@dataclass(frozen=True)
class _Kind:
    """How records of one kind are read.

    Args:
        table: into which they go.
        fields: of a record that are read, with their SQL types.
        query: reads `line`; gives the table's columns, and beside them `usable` and `wanted`.
        parameters: of the query.
    """

    table: str
    fields: Mapping[str, str]
    query: str
    parameters: Mapping[str, object]


class Intake:
    """Puts records into the store.

    Args:
        store: into which they go.
    """

    def __init__(self, store: Store) -> None:
        self._database = store.database
        self._sequence = 0

    def labels(self, side: SideName, records: Records, tally: Tally, *, checkpoint: str | None = None) -> None:
        """Add labels; with `checkpoint`, only those whose checkpoint's digest starts with it."""
        parameters = {"checkpoint": checkpoint or ""}
        self._add(records, tally, _Kind(f"{side}_answer", _LABEL_FIELDS, _LABEL_QUERY, parameters))

    def posts(self, records: Records, tally: Tally) -> None:
        """Add posts."""
        self._add(records, tally, _Kind("post", _POST_FIELDS, _POST_QUERY, {}))

    def truth(self, rows: Sequence[tuple[int, str, str, str]]) -> None:
        """Add known answers: number, post, task and label of each row."""
        columns = list(zip(*rows, strict=True)) if rows else [()] * 4
        names = ("sequence", "post_id", "task", "label")
        kinds = (pa.int64(), pa.string(), pa.string(), pa.string())
        batch = pa.table(
            {name: pa.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)}
        )
        self._database.register("batch", batch)
        self._database.execute("INSERT INTO truth SELECT * FROM batch")
        self._database.unregister("batch")

    def _add(self, records: Records, tally: Tally, kind: _Kind) -> None:
        tally.records += len(records.values)
        self._convert(records, self._sequence, tally, kind)
        self._sequence += len(records.values)

    def _convert(self, records: Records, start: int, tally: Tally, kind: _Kind, *, cleaned: bool = False) -> None:
        count = len(records.values)
        try:
            self._pieces(records, start, kind)
        except duckdb.Error:
            # For example, a key may stand twice in one object.
            if not cleaned:
                values = [_clean(value) for value in records.values]
                self._convert(replace(records, values=values), start, tally, kind, cleaned=True)
            elif count == 1:
                tally.refuse(records, [0])
            else:
                middle = count // 2
                self._convert(records.part(0, middle), start, tally, kind, cleaned=True)
                self._convert(records.part(middle, count), start + middle, tally, kind, cleaned=True)
            return
        self._database.execute(
            f"INSERT INTO {kind.table} SELECT * EXCLUDE (usable, wanted) FROM piece WHERE usable AND wanted"
        )
        good = self._database.execute("SELECT sequence FROM piece GROUP BY sequence HAVING bool_and(usable)").fetchall()
        if len(good) < count:
            read = {sequence - start for (sequence,) in good} | _without_labels(records.values)
            tally.refuse(records, [index for index in range(count) if index not in read])

    def _pieces(self, records: Records, start: int, kind: _Kind) -> None:
        origins = [records.origins[place] for place in records.places]
        batch = pa.table(
            {
                "sequence": pa.array(range(start, start + len(records.values)), pa.int64()),
                "place": pa.array(records.places, pa.int32()),
                "topic": pa.array([origin.topic for origin in origins], pa.string()),
                "partition": pa.array([origin.partition for origin in origins], pa.int64()),
                "number": pa.array(records.numbers, pa.int64()),
                "moment": pa.array(records.moments, pa.int64()),
                "value": pa.array(records.values, pa.string()),
            }
        )
        # In several pieces, of which DuckDB gives each core its own.
        self._database.register("batch", pa.Table.from_batches(batch.to_batches(_CHUNK)))
        try:
            self._database.execute(
                "CREATE OR REPLACE TEMP TABLE piece AS WITH line AS (SELECT * EXCLUDE (value), "
                f"from_json(value, '{json.dumps(kind.fields)}') AS r FROM batch WHERE json_valid(value)) {kind.query}",
                dict(kind.parameters),
            )
        finally:
            self._database.unregister("batch")


def _without_labels(values: Sequence[str | None]) -> set[int]:
    """Return the indices of records whose `labels` is empty: posts that could not be labelled."""
    return {index for index, value in enumerate(values) if value is not None and _NO_LABELS.search(value)}


def _clean(value: str | None) -> str | None:
    """The same JSON with only the last of each repeated key, as most readers do; None if it is not JSON."""
    try:
        return None if value is None else json.dumps(json.loads(value))
    except (ValueError, RecursionError):
        return None
