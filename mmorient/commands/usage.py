"""How a command says what is wrong with its arguments: in one line, with the exit code that click gives it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


class Interrupted(click.ClickException):
    """Ctrl-C, once the command runs."""

    def __init__(self) -> None:
        super().__init__("interrupted")


class Commands(click.Group):
    """A command with subcommands, which says that it was interrupted: click alone says a blank line."""

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
