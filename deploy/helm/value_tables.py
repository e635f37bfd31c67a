"""The values: what the base says put into `values.yaml`, and its comments made into a schema and a table."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

import yaml

from docs.generate.settings import settings
from worker.commands.options import _holds_secret, _variable

# What the type of a default does not say.
_MORE: dict[str, dict[str, Any]] = {
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "image.pullSecrets": {"items": {"type": "object", "required": ["name"]}},
    "device": {"enum": ["", "cpu", "cuda"]},
    "worker.replicas": {"minimum": 1},
    "worker.tolerations": {"items": {"type": "object"}},
    "worker.nodeSelector": {"additionalProperties": {"type": "string"}},
    "networkPolicy.extraEgress": {"items": {"type": "object", "required": ["to", "ports"]}},
    "keda.minReplicas": {"minimum": 1},
    "keda.maxReplicas": {"minimum": 1},
    "keda.lagThreshold": {"minimum": 1},
    "keda.cpuUtilization": {"type": ["integer", "null"], "minimum": 1, "maximum": 100},
    "shadow.share": {"minimum": 0, "maximum": 1},
    "policies.files": {"additionalProperties": {"type": "string"}},
    "serve.minReplicas": {"minimum": 1},
    "serve.maxReplicas": {"minimum": 1},
    "topics.partitions": {"minimum": 1},
    "topics.replicationFactor": {"minimum": 1},
}
# A checked value of these is Kubernetes' to judge.
_FREE = {"worker.resources"}
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_SCALAR = ["string", "number", "boolean", "null"]
_TABLE = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- end of values -->)", re.DOTALL)


def filled(text: str, kubernetes: Path) -> str:
    """Return `values.yaml` with what the base says between its marks."""
    lines = []
    for line in (kubernetes / "base" / "settings.env").read_text(encoding="utf-8").splitlines():
        name, parted, value = line.partition("=")
        lines.append(f"{name}: {json.dumps(value)}" if parted and not line.startswith("#") else line)
    text = _between(text, "deploy/kubernetes/base/settings.env", lines)
    rules = "components/policies/rules.toml"
    written = (kubernetes / rules).read_text(encoding="utf-8").splitlines()
    return _between(text, f"deploy/kubernetes/{rules}", ["rules.toml: |", *(f"  {line}" for line in written)])


def _between(text: str, source: str, lines: list[str]) -> str:
    mark = re.compile(
        rf"(^( +)# begin of {re.escape(source)}\n).*?(^ +# end of {re.escape(source)}\n)", re.MULTILINE | re.DOTALL
    )
    filled, times = mark.subn(lambda m: m[1] + "".join(f"{m[2]}{one}\n" for one in lines) + m[3], text)
    if times != 1:
        raise ValueError(f"values.yaml has the marks of {source} {times} times")
    return filled


def schema(text: str) -> str:
    """Return the JSON schema of the values: a description of each, and nothing that is unknown."""
    described = dict(_described(text))
    made = _schema_of(yaml.safe_load(text), "", described)
    # Helm hands these down to every chart.
    made["properties"]["global"] = {"type": "object", "description": "Of a chart that has this one as a part. Unused."}
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart moderation"}
    return json.dumps({**head, **made}, indent=2, ensure_ascii=False) + "\n"


def _schema_of(value: Any, path: str, described: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": _TYPES[type(value)], **_MORE.get(path, {})}
    if path:
        made["description"] = described.get(path) or _group(path)
    if path == "settings":
        made |= _settings()
    elif isinstance(value, dict) and path not in _FREE and "additionalProperties" not in made:
        below = {name: _schema_of(one, f"{path}.{name}".lstrip("."), described) for name, one in value.items()}
        made |= {"properties": below, "additionalProperties": False}
    return made


def _group(path: str) -> str:
    return f"Values of {path}."


def _settings() -> dict[str, Any]:
    """Return what the settings may be: those of the worker that are no secrets, each with its description."""
    entries, tables = {}, []
    for path, field in settings():
        if not _holds_secret(field):
            entries[_variable(path)] = {"type": _SCALAR, "description": field.description}
        if get_origin(field.annotation) is dict:
            tables.append(_variable(path))
    of_tables = {f"^({'|'.join(sorted(tables))})__": {"type": _SCALAR, "description": "An entry of a table."}}
    return {"properties": entries, "patternProperties": of_tables, "additionalProperties": False}


def _described(text: str) -> Iterator[tuple[str, str]]:
    """Give the path of each value, and the comment right above it."""
    parents: list[tuple[int, str]] = []
    said: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            said.append(stripped.lstrip("# "))
            continue
        found = re.match(r"^( *)([\w.]+):", line)
        if found:
            depth = len(found[1])
            parents = [one for one in parents if one[0] < depth]
            parents.append((depth, found[2]))
            yield ".".join(name for _, name in parents), " ".join(said)
        said = []


def readme(text: str, written: str) -> str:
    """Return the README with the table of values: every value, its default, and what it is."""
    described = dict(_described(written))
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for path, default in _leaves(yaml.safe_load(written)):
        shown = "see `values.yaml`" if path in {"settings", "policies.files"} else f"`{json.dumps(default)}`"
        rows.append(f"| `{path}` | {shown} | {described[path]} |")
    return _TABLE.sub(lambda _: "\n".join(rows) + "\n", text)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value and path not in {"settings", "policies.files"}:
        for name, one in value.items():
            yield from _leaves(one, f"{path}.{name}".lstrip("."))
    else:
        yield path, value
