"""The events' page: fields, JSON Schemas and golden examples, from `schemas`."""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from docs.generate.tables import code, table
from schemas import EVENTS, Event
from schemas.generate import render
from worker.output.records import (
    ATTEMPT_HEADER,
    CARRIED_HEADERS,
    DROPPED_HEADER,
    GROUP_HEADER,
    LETTER_GROUP_HEADER,
    PART_HEADER,
    REPLAY_OF_HEADER,
)

Schema = Mapping[str, Any]
_HEAD = """\
# Events

What stands on the topics, in JSON and UTF-8. Unknown fields of what the worker reads are ignored, and never lost from a
dead letter; consumers must let unknown fields of what it writes pass. A version (`label/1`) only ever gains fields:
a change that breaks a reader or a producer fails the tests.
"""
_LABEL_HEADERS = {
    "ce_specversion": "`1.0`: CloudEvents, binary mode",
    "ce_id": "digest of topic, partition, offset, task and checkpoint: consumers drop repeats by it",
    "ce_source": "`/TOPIC/PARTITION` of the post",
    "ce_type": "`mm-orient.label.TASK.v1`",
    "ce_time": "when the label was made: the only part of a record that a replay changes",
    "content-type": "`application/json`",
    GROUP_HEADER: "the consumer group that labelled: a worker whose offsets are gone finds by it what it has labelled",
}
_DECISION_HEADERS = {
    "ce_id": "digest of topic, partition, offset, checkpoint and policy version",
    "ce_type": "`mm-orient.decision.v1`",
}
_DEAD_LETTER_HEADERS = {
    LETTER_GROUP_HEADER: "the consumer group that wrote it",
    PART_HEADER: "`1/3`: a part of a dead letter that is larger than its topic takes; joined they are the post's bytes",
    DROPPED_HEADER: "how many of the post's own headers were left out because the topic does not take so much",
    ATTEMPT_HEADER: "how often the post was replayed from a dead letter",
    REPLAY_OF_HEADER: "where the post stood before that",
}


def page() -> str:
    """Return the page."""
    return _HEAD + "".join(_event(event) for event in EVENTS)


def _event(event: Event) -> str:
    schema = json.loads(render(event))
    verb = "reads" if event.role == "read" else "writes"
    return "\n".join(
        [
            f"\n## {event.name}",
            f"On `{event.topic}`; owner: {event.owner}; version {event.version}; the worker {verb} it.\n",
            _fields_of(schema, headers=event.name == "dead-letter"),
            _headers(event.name),
            *(_example(name, text) for name, text in _examples(event)),
            _folded("question", f"JSON Schema ({event.file_name})", json.dumps(schema, indent=2, ensure_ascii=False)),
            "",
        ]
    )


def _fields_of(schema: Schema, *, headers: bool) -> str:
    required = set(schema.get("required", ()))
    parts = [table((("header" if headers else "field"), "kind", "", "meaning"), _rows(schema, required))]
    for name, part in schema.get("$defs", {}).items():
        parts += [
            f"\n**{name}**\n",
            table(("field", "kind", "", "meaning"), _rows(part, set(part.get("required", ())))),
        ]
    return "\n".join(parts)


def _rows(schema: Schema, required: set[str]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in schema["properties"].items():
        yield code(name), _kind(field), "required" if name in required else "", field.get("description", "")


def _kind(field: Schema) -> str:
    match field:
        case {"$ref": reference}:
            kind = str(reference).rsplit("/", 1)[1]
        case {"const": value}:
            kind = code(json.dumps(value))
        case {"enum": values}:
            kind = ", ".join(code(str(value)) for value in values)
        case {"anyOf": kinds}:
            kind = " or ".join(map(_kind, kinds))
        case {"type": "array", "items": items}:
            kind = f"list of {_kind(items)}"
        case {"type": [*kinds]}:
            kind = " or ".join(kinds)
        case {"additionalProperties": {} as values} if values:
            kind = f"name to {_kind(values)}"
        case _:
            kind = str(field.get("format", field.get("type", "anything")))
    return kind


def _headers(name: str) -> str:
    if name == "label":
        carried = dict.fromkeys(sorted(CARRIED_HEADERS), "carried over from the post")
        return "\nHeaders of its record:\n\n" + _meanings(_LABEL_HEADERS | carried)
    if name == "decision":
        return "\nHeaders of its record, besides those of its post's labels:\n\n" + _meanings(_DECISION_HEADERS)
    if name == "dead-letter":
        return "\nBesides these, the post's own headers, and where they apply:\n\n" + _meanings(_DEAD_LETTER_HEADERS)
    return ""


def _meanings(headers: Mapping[str, str]) -> str:
    return table(("header", "meaning"), ((code(name), meaning) for name, meaning in headers.items()))


def _examples(event: Event) -> Iterator[tuple[str, str]]:
    for file in sorted((files("schemas") / "examples" / event.name).iterdir(), key=lambda file: file.name):
        yield file.name, file.read_text(encoding="utf-8")


def _example(name: str, text: str) -> str:
    readable = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return _folded("example", f"Golden example: {name.removesuffix('.json').replace('-', ' ')}", readable)


def _folded(kind: str, title: str, text: str) -> str:
    inner = "\n".join(f"    {line}" for line in ["```json", *text.splitlines(), "```"])
    return f'\n??? {kind} "{title}"\n{inner}\n'
