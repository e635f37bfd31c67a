"""How a command says what is wrong with its arguments: in one line, with the exit code that click gives it."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

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


class Commands(click.Group):
    """A command with subcommands: says that it was interrupted (click alone says a blank line), and what was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand that is asked for."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            if near and "No such command" in error.message:
                error.message = f"{error.message.rstrip('.')}: is {near[0]!r} meant?"
            raise

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
        said = error.format_message().rstrip(".")
        hint = f"; see `{error.ctx.command_path} --help`" if isinstance(error, click.UsageError) and error.ctx else ""
        click.echo(f"{program}: {said}{hint}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        click.echo(f"{program}: {_said(error)}", err=True)
        sys.exit(1)


def _said(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or str(error) or type(error).__name__}".splitlines()[0]
