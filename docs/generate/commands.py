"""The commands' pages, from the click commands themselves."""

import inspect
from collections.abc import Iterator, Mapping, Sequence

import click
from pydantic.fields import FieldInfo

from docs.generate.settings import GENERAL, group_of, settings
from docs.generate.tables import code, table
from worker.commands.options import _option

Setting = tuple[tuple[str, ...], FieldInfo]
_SETTINGS: dict[str | None, Setting] = {"__".join(path): (path, field) for path, field in settings()}


def page(command: click.Command, name: str, *, with_settings: bool) -> str:
    """Return the page of a command with all below it.

    Args:
        command: of click.
        name: what it is called by.
        with_settings: whether options that are settings' are folded away, with a link to the settings.
    """
    named = _SETTINGS if with_settings else {}
    parts = [f"# {name}\n\n{_help(command)}\n"]
    parts += [_section(one, full, named) for one, full in commands(command, name) if not isinstance(one, click.Group)]
    return "\n".join(parts)


def commands(command: click.Command, name: str) -> Iterator[tuple[click.Command, str]]:
    """Return a command and all below it, with their full names, in the order of the help."""
    yield command, name
    if isinstance(command, click.Group):
        for below in command.list_commands(click.Context(command)):
            yield from commands(command.commands[below], f"{name} {below}")


def _section(command: click.Command, name: str, named: Mapping[str | None, Setting]) -> str:
    context = click.Context(command, info_name=name)
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines = [f"## {name}\n", f"```text\n{usage}\n```\n", _help(command)]
    own = [one for one in command.params if isinstance(one, click.Option) and one.name not in named and not one.hidden]
    if own:
        lines += ["", table(("option", "values", "default", "meaning"), (_row(one, context) for one in own))]
    if given := [named[one.name] for one in command.params if one.name in named and not getattr(one, "hidden", False)]:
        lines += ["", _given(given)]
    return "\n".join(lines) + "\n"


def _help(command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "")
    # click's mark for a paragraph that it must not wrap
    return text.replace("\b", "")


def _row(option: click.Option, context: click.Context) -> tuple[str, str, str, str]:
    return ", ".join(code(name) for name in option.opts), _values(option), _default(option, context), option.help or ""


def _values(option: click.Option) -> str:
    kind = option.type
    if option.is_flag:
        return ""
    if isinstance(kind, click.Choice):
        return ", ".join(code(str(choice)) for choice in kind.choices)
    if option.metavar:
        return code(option.metavar)
    if isinstance(kind, click.IntRange | click.FloatRange):
        name = "whole number" if isinstance(kind, click.IntRange) else "number"
        low = "" if kind.min is None else f" {'>' if kind.min_open else '≥'} {kind.min}"
        high = "" if kind.max is None else f" {'<' if kind.max_open else '≤'} {kind.max}"
        return f"{name}{low}{high}"
    return {"directory": "folder", "file": "file", "path": "path", "integer": "whole number", "float": "number"}.get(
        kind.name, kind.name
    )


def _default(option: click.Option, context: click.Context) -> str:
    if option.required:
        return "required"
    if isinstance(option.show_default, str):
        return code(option.show_default)
    default = option.get_default(context, call=False)
    if option.is_flag or option.multiple or default is None or callable(default) or not option.show_default:
        return ""
    return code(str(default))


def _given(given: Sequence[Setting]) -> str:
    names: dict[str, list[str]] = {}
    for path, field in given:
        names.setdefault(group_of(path), []).append(code(_option(path, field)))
    rows = [(f"[{group}](settings.md#{group})", " ".join(options)) for group, options in names.items()]
    inner = "\n".join(f"    {line}" for line in table(("group", "options"), rows).splitlines())
    title = "Settings as options" if GENERAL in names else f"Settings as options: {', '.join(names)}"
    return f'??? abstract "{title} ({len(given)})"\n\n{inner}\n'
