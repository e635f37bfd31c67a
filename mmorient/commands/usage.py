"""How a command says what is wrong with its arguments: in one line, with the exit code that click gives it."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

_SENTENCE = 400  # characters; none is as long
HTML_ENDINGS = (".html", ".htm")


def wrong_ending(path: Path, endings: Sequence[str]) -> str | None:
    """Say that a file's name asks for a format that is not written; None where it does not."""
    if path.suffix.lower() in {"", *endings} or str(path) == os.devnull:
        return None
    return f"{path}: {path.suffix} is not written, only {' or '.join(endings)}"


class Interrupted(click.ClickException):
    """Ctrl-C, once the command runs."""

    def __init__(self) -> None:
        super().__init__("interrupted")


def _list_whole(group: click.Group, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write of each command its whole first sentence, where click cuts it short."""
    found = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    rows = [(name, one.get_short_help_str(_SENTENCE)) for name, one in found.items() if one and not one.hidden]
    with formatter.section("Commands"):
        formatter.write_dl(rows)


class Commands(click.Group):
    """A command with subcommands: says that it was interrupted, where click alone says a blank line."""

    def show_examples(self, examples: Mapping[str, str]) -> None:
        """Let the help of commands end with an example.

        Args:
            examples: What follows the program's name, by the words of a command; of a command of commands as well.
        """
        for words, arguments in examples.items():
            command: click.Command = self
            for word in words.split():
                command = command.commands[word] if isinstance(command, click.Group) else command
            command.epilog = f"\b\nExample:\n  {self.name} {arguments}"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        _list_whole(self, ctx, formatter)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command; one of commands lists its own as this one does."""
        if type(cmd) is click.Group:
            cmd.format_commands = partial(_list_whole, cmd)  # type: ignore[method-assign]
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run what was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted from error


@contextmanager
def usage_in_one_line(program: str) -> Iterator[None]:
    """End the process over click's own errors and the system's, in one line each.

    The exit code is 2 for wrong usage, 1 where the user gave up or the system refuses: a file that cannot be read or
    written, a full disk.

    Args:
        program: The command's name, which the line begins with.
    """
    try:
        yield
    except click.exceptions.Abort:
        click.echo(f"{program}: given up", err=True)
        sys.exit(1)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except Interrupted as error:
        # The terminal has written ^C where the cursor stood.
        click.echo(f"{chr(10) * sys.stderr.isatty()}{program}: {error.message}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        said = f"{error.format_message().rstrip('.')}{_meant(error)}"
        hint = f"; see `{error.ctx.command_path} --help`" if isinstance(error, click.UsageError) and error.ctx else ""
        click.echo(f"{program}: {said}{hint}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        click.echo(f"{program}: {_said(error)}", err=True)
        sys.exit(1)


def _meant(error: click.ClickException) -> str:
    """Say which command is likely meant by one that is not there."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None or not isinstance(context.command, click.Group) or "No such command" not in error.message:
        return ""
    typed = error.message.partition("'")[2].rpartition("'")[0]
    near = difflib.get_close_matches(typed, context.command.list_commands(context), 1)
    return f": is {near[0]!r} meant?" if near else ""


def _said(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or str(error) or type(error).__name__}".splitlines()[0]
