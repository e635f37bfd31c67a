"""Settings as options of a command: every field of `Settings`, `kafka.group_id` as `--kafka-group-id`.

A field may name its option itself, under `option` in its `json_schema_extra`.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from worker.settings import Settings
from worker.variables import variables_of

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _fields(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, (*path, name))
        else:
            yield (*path, name), field


def _variable(path: tuple[str, ...]) -> str:
    return "MODERATE_" + "__".join(part.upper() for part in path)


def setting_variables() -> set[str]:
    """Return the environment variables of all settings."""
    return variables_of(Settings)


def _option(path: tuple[str, ...], field: FieldInfo) -> str:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return str(extra.get("option", "--" + "-".join(path).replace("_", "-")))


def _plain(default: object) -> str:
    return json.dumps(default) if isinstance(default, dict | list) else str(default)


class SettingsCommand(click.Command):
    """A command whose help has its own options first, and those that are settings behind, a group each.

    Options are settings where their names have a group: ``kafka__group_id``.
    """

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options' part of the help."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                group, parted, _ = (parameter.name or "").partition("__")
                groups.setdefault(f"Settings of {group}" if parted else "Options", []).append(record)
        for title in sorted(groups, key=lambda one: one != "Options"):
            with formatter.section(title):
                formatter.write_dl(groups[title])


def settings_options(*groups: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds an option for each setting.

    Args:
        groups: names of the groups to add, such as "kafka"; none means everything.
    """

    def decorate(command: _Command) -> _Command:
        for path, field in reversed(list(_fields(Settings))):
            if groups and path[0] not in groups:
                continue
            variable = _variable(path)
            if _holds_secret(field):
                command = _refused_option(_option(path, field), path, variable)(command)
                continue
            default = field.get_default(call_default_factory=True)
            shown = "" if default is None else f"  [{_plain(default)}]"
            command = click.option(
                _option(path, field),
                "__".join(path),
                default=None,
                type=click.Choice(get_args(field.annotation)) if get_origin(field.annotation) is Literal else None,
                metavar=None if get_origin(field.annotation) is Literal else "VALUE",
                help=f"{field.description}{shown}  ({variable})",
                callback=_callback_of(path, field),
            )(command)
        return command

    return decorate


def _holds_secret(field: FieldInfo) -> bool:
    return SecretStr in get_args(field.annotation)


def _refused_option(option: str, path: tuple[str, ...], variable: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds an option which says why there is none."""
    file = f" or {variable}_FILE" if f"{variable}_FILE" in setting_variables() else ""

    def refuse(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise click.UsageError(
                f"{option}: everybody on this machine can read a command line; set {variable}{file} instead"
            )

    return click.option(option, "__".join(path), default=None, hidden=True, callback=refuse)


def _callback_of(path: tuple[str, ...], field: FieldInfo) -> Callable[..., Any] | None:
    if path == ("redis", "url"):
        return _without_password
    return _from_json if get_origin(field.annotation) in {dict, list} else None


def _from_json(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    """Return a list or table; what is none is left as it is, for the settings to refuse by name."""
    try:
        return None if value is None else json.loads(value)
    except ValueError:
        return value


def _without_password(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and "@" in value:
        raise click.UsageError(
            f"{parameter.opts[0]}: everybody on this machine can read a command line; set MODERATE_REDIS__PASSWORD "
            "or MODERATE_REDIS__PASSWORD_FILE instead of a password in the address"
        )
    return value


def nested(options: dict[str, Any]) -> dict[str, Any]:
    """Return the given options, nested by group as `load_settings` takes them."""
    result: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        *groups, last = name.split("__")
        target = result
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = value
    return result
