"""Makes the chart's templates, schema and tables from the manifests of `deploy/kubernetes`.

    python deploy/helm/generate.py

What stands in the manifests stands in the templates, comments included. `edits.py` says what of it becomes a value.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from deploy.helm import edits, value_tables
from deploy.helm.text import after_block, edited, indented

HERE = Path(__file__).parent
KUBERNETES = HERE.parent / "kubernetes"
_MADE = "{{{{- /* Made by deploy/helm/generate.py from deploy/kubernetes/{source}: change that one. */ -}}}}\n"
_LABELS = re.compile(
    r"^metadata:\n  name: (?P<name>\S+)\n(?:  labels:[^\n]*\n(?P<labels>(?:    [^\n]*\n)+))?", re.MULTILINE
)


def files() -> dict[Path, str]:
    """Return all generated files, by their path in the chart."""
    made = {Path("templates") / name: _template(name) for name in edits.SOURCES}
    made[Path("templates/settings.yaml")] = _MADE.format(source="base/settings.env") + edits.SETTINGS_TEMPLATE
    made[Path("templates/_from_overlays.tpl")] = _helpers()
    written = value_tables.filled((HERE / "values.yaml").read_text(encoding="utf-8"), KUBERNETES)
    made[Path("values.yaml")] = written
    made[Path("values.schema.json")] = value_tables.schema(written)
    made[Path("README.md")] = value_tables.readme((HERE / "README.md").read_text(encoding="utf-8"), written)
    return made


def _template(name: str) -> str:
    source, switch = edits.SOURCES[name]
    text = (KUBERNETES / source).read_text(encoding="utf-8")
    text = _labelled(text, source)
    for component, said in edits.PATCHES.items():
        text = _patched(text, component, said)
    text = edited(text, [*edits.EDITS.get(name, []), *(one for one in edits.EVERYWHERE if one[0] in text)], source)
    if switch:
        text = f"{{{{- if {switch} }}}}\n{text}{{{{- end }}}}\n"
    return _MADE.format(source=source) + text


def _labelled(text: str, source: str) -> str:
    """Give the document the labels of the chart, and its pods those that the base's kustomization gives them."""
    found = _LABELS.search(text)
    if not found:
        raise ValueError(f"{source} has no metadata")
    part = "app.kubernetes.io/part-of: moderation"
    own = [line.strip() for line in (found["labels"] or "").splitlines() if part not in line]
    head = f'metadata:\n  name: {found["name"]}\n  labels:\n    {{{{- include "moderation.labels" . | nindent 4 }}}}\n'
    text = text[: found.start()] + head + indented(own, 4) + text[found.end() :]
    # An alias would bring the chart's labels along, and with its version every pod would be replaced.
    text = re.sub(
        r"^( +)labels: \*labels\n",
        lambda m: f"{m[1]}labels:\n" + indented([*own, part], len(m[1]) + 2),
        text,
        flags=re.MULTILINE,
    )
    pods = re.search(r"^( +)template:\n +metadata:\n( +)labels:\n", text, re.MULTILINE)
    if pods and part not in text[pods.end() : pods.end() + 300]:
        text = text[: pods.end()] + f"{pods[2]}  {part}\n" + text[pods.end() :]
    return text


def _patched(text: str, component: str, said: edits.Switch) -> str:
    """Put what a component adds to pods at the end of their lists, behind its switch."""
    document: Any = next(yaml.safe_load_all((KUBERNETES / said.source).read_text(encoding="utf-8")))
    for field, value, kinds in _additions(document):
        kind = re.search(r"^kind: (\w+)", text, re.MULTILINE)
        selected = re.search(said.selects, text, re.MULTILINE)
        if not selected or not kind or kind[1] not in kinds:
            continue
        lines = yaml.safe_dump([value], sort_keys=False).splitlines()
        for old, new in said.values.items():
            lines = [line.replace(old, new) for line in lines]
        text = after_block(text, field, [f"{{{{- if {said.switch} }}}}", *lines, "{{- end }}"], f"{component}: {field}")
    return text


def _additions(component: dict[str, Any]) -> Iterator[tuple[str, Any, set[str]]]:
    """Give what a component's patches add to pods: the field of the pod, the entry, and the kinds that get it."""
    for patch in component.get("patches", []):
        kinds = set(patch["target"]["kind"].split("|"))
        for operation in yaml.safe_load(patch["patch"]):
            field = re.search(r"/(volumes|volumeMounts|env)/-$", operation["path"])
            if not field or operation["op"] != "add":
                raise ValueError(f"a patch that the chart does not know: {operation}")
            yield field[1], operation["value"], kinds


def _helpers() -> str:
    """Return the templates of what overlays and components set: settings, and resources of a worker."""
    made = [_MADE.format(source="overlays and components")]
    made.append('{{- define "moderation.switchedSettings" -}}')
    for switch, source in edits.SETTINGS.items():
        document = yaml.safe_load((KUBERNETES / source).read_text(encoding="utf-8"))
        (literals,) = (
            one["literals"] for one in document["configMapGenerator"] if one["name"] == "moderation-settings"
        )
        made.append(f"{{{{- if {switch} }}}}")
        for literal in literals:
            name, _, value = literal.partition("=")
            made.append(f"{name}: {edits.SETTING_VALUES.get(name, json.dumps(value))}")
        made.append("{{- end }}")
    made.append("{{- end }}")
    for name, source in edits.RESOURCES.items():
        document = yaml.safe_load((KUBERNETES / source).read_text(encoding="utf-8"))
        resources = document["spec"]["template"]["spec"]["containers"][0]["resources"]
        made += [f'{{{{- define "moderation.{name}" -}}}}', yaml.safe_dump(resources).rstrip(), "{{- end }}"]
    return "\n".join(made) + "\n"


if __name__ == "__main__":
    for path, text in files().items():
        (HERE / path).write_text(text, encoding="utf-8")
