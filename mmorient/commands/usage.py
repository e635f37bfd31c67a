"""How a command says what is wrong with its arguments: in one line, with the exit code that click gives it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def usage_in_one_line(program: str) -> Iterator[None]:
    """End the process over click's own errors: 2 for wrong usage, 1 where the user gave up.

    Args:
        program: The command's name, which the line begins with.
    """
    try:
        yield
    except click.exceptions.Abort:
        sys.exit(1)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        said = error.format_message().rstrip(".")
        hint = f"; see `{error.ctx.command_path} --help`" if isinstance(error, click.UsageError) and error.ctx else ""
        click.echo(f"{program}: {said}{hint}", err=True)
        sys.exit(error.exit_code)
