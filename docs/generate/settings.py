"""The settings' page, from `worker.settings`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from docs.generate.tables import code, table
from worker.commands.options import _fields, _holds_secret, _option, _plain, _variable
from worker.settings import Settings

GENERAL = "general"
_HEAD = """\
# Settings

Every setting is an environment variable, a line in `.env`, and an option of `moderate run`. Options win over the
environment, the environment over `.env`. Names carry their unit. Where no broker and no Redis is named, those of the
local stack are used. A value that cannot be used ends the command with exit code 2 and one line that names the
variable, before anything starts.

Lists and tables are JSON: `MODERATE_KAFKA__ROUTES='{"sarcasm": "labels.sarcasm"}'`.
"""


def group_of(path: tuple[str, ...]) -> str:
    """Return the heading under which a setting stands."""
    return path[0] if len(path) > 1 else GENERAL


def settings() -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Return all settings with their path, such as `("kafka", "group_id")`."""
    return _fields(Settings)


def page() -> str:
    """Return the page."""
    groups: dict[str, list[tuple[tuple[str, ...], FieldInfo]]] = {}
    for path, field in settings():
        groups.setdefault(group_of(path), []).append((path, field))
    return _HEAD + "".join(f"\n## {name}\n{_about(name)}\n\n{_table(fields)}" for name, fields in groups.items())


def _about(group: str) -> str:
    if group == GENERAL:
        return "What labels, and how."
    annotation = Settings.model_fields[group].annotation
    return (annotation.__doc__ or "").strip()


def _table(fields: list[tuple[tuple[str, ...], FieldInfo]]) -> str:
    return table(
        ("variable, option", "values", "default", "meaning"),
        (
            (
                f"{code(_variable(path))}<br>{_option_of(path, field)}",
                values_of(field),
                _default(field),
                field.description or "",
            )
            for path, field in fields
        ),
    )


def _option_of(path: tuple[str, ...], field: FieldInfo) -> str:
    return "no option: a secret" if _holds_secret(field) else code(_option(path, field))


def values_of(field: FieldInfo) -> str:
    """Return what a setting may be, for people: choices, or a kind with its limits."""
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return ", ".join(code(str(kind)) for kind in kinds)
    if get_origin(field.annotation) in (list, dict):
        return "JSON"
    name = _KINDS.get(kinds[0], "text") if isinstance(kinds[0], type) else "text"
    return " ".join([name, *filter(None, (_limit(one) for one in field.metadata))])


_KINDS: dict[type, str] = {int: "whole number", float: "number", bool: "true, false", Path: "path"}


def _limit(constraint: Any) -> str:
    match constraint:
        case Gt(gt=bound):
            return f"> {bound}"
        case Ge(ge=bound):
            return f"≥ {bound}"
        case Le(le=bound):
            return f"≤ {bound}"
        case Lt(lt=bound):
            return f"< {bound}"
    return ""


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is None:
        return "unset"
    # As it is written in the environment.
    return code(str(default).lower() if isinstance(default, bool) else _plain(default))
