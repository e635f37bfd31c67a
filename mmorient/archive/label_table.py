"""Labels as a table: a row of Parquet and a line of JSON carry the same.

Columns: ``id``; ``labels``, one struct a task of ``label``, ``probabilities`` by class, ``threshold`` where an operator
set one and, for tasks that have degrees, ``intensity``; ``modalities``; ``unavailable``, null where everything could be
used; ``model``, which model the labels are by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmorient.labels import TASKS, Task

if TYPE_CHECKING:
    import pyarrow as pa

_MODEL = ("name", "checkpoint", "graph_context", "precision")
MODEL_KEY = b"mmorient.model"
"""Of the Parquet file's metadata: what the labels depend on besides the posts, as JSON."""
LINE_FORM = "2"
"""Of lines and rows: a run that was begun with another one does not go on. 1 had no ``model``."""
THRESHOLDS = "thresholds"
"""Of those: ``TASK=NUMBER`` for each threshold, a space between; missing where there is none."""


def label_schema(model: Mapping[str, str]) -> pa.Schema:
    """The columns, the same for every checkpoint, and one more for each threshold; ``model`` goes into the metadata."""
    import pyarrow as pa

    def answer(classes: Sequence[str]) -> list[pa.Field]:
        shares = pa.struct([pa.field(name, pa.float64()) for name in classes])
        return [pa.field("label", pa.string()), pa.field("probabilities", shares)]

    held = {one.partition("=")[0] for one in model.get(THRESHOLDS, "").split()}

    def task_type(task: Task) -> pa.DataType:
        threshold = [pa.field("threshold", pa.float64())] if task.name in held else []
        intensity = [pa.field("intensity", pa.struct(answer(task.degrees)))] if task.degrees else []
        return pa.struct([*answer(task.classes), *threshold, *intensity])

    unavailable = pa.struct([pa.field("index", pa.int64()), pa.field("reason", pa.string())])
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("labels", pa.struct([pa.field(name, task_type(task)) for name, task in TASKS.items()])),
            pa.field("modalities", pa.list_(pa.string())),
            pa.field("unavailable", pa.list_(unavailable)),
            pa.field("model", pa.struct([pa.field(name, pa.string()) for name in _MODEL])),
        ],
        metadata={MODEL_KEY: json.dumps(dict(model))},
    )


def label_batch(lines: Sequence[str], schema: pa.Schema) -> pa.RecordBatch:
    """Lines of JSON as rows."""
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([json.loads(line) for line in lines], schema=schema)


def label_line(row: Mapping[str, Any]) -> str:
    """A row, as pyarrow gives it to Python, as the line of JSON that it came from."""
    fields: dict[str, Any] = {
        "id": row["id"],
        "labels": {
            task: {name: answer[name] for name in ("label", "probabilities", "threshold") if name in answer}
            | {"intensity": answer.get("intensity")}
            for task, answer in row["labels"].items()
            if answer is not None
        },
        "modalities": row["modalities"],
    }
    if row["unavailable"] is not None:
        fields["unavailable"] = row["unavailable"]
    if row.get("model") is not None:
        fields["model"] = row["model"]
    return json.dumps(fields, ensure_ascii=False)
