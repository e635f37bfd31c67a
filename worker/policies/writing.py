"""A policy as TOML that `reading.py` reads back: for people who want to see, or to keep, what is published."""

import json
from collections.abc import Iterator, Sequence

from worker.policies.canonical import fields_of
from worker.policies.rule import Rule


def as_toml(rules: Sequence[Rule]) -> str:
    """Return the rules, sorted by name; fields that have their default are left out."""
    return "\n".join("\n".join(_lines(fields)) + "\n" for fields in fields_of(rules))


def _lines(fields: dict[str, object]) -> Iterator[str]:
    yield "[[rule]]"
    for name, value in fields.items():
        if value != Rule.model_fields[name].default:
            yield f"{name} = {_value(value)}"


def _value(value: object) -> str:
    # A string of JSON is one of TOML, but for the one control character that JSON lets stand.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
