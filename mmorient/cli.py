"""The ``mmorient`` command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from mmorient.errors import CheckpointError, MmOrientError, PostError
from mmorient.explain.cli import explain
from mmorient.model_options import load_moderator, model_options, refuse_missing
from mmorient.training.cli import ablate, calibrate, evaluate, train
from mmorient.training.fairness_cli import fairness
from mmorient.usage import usage_in_one_line

if TYPE_CHECKING:
    from mmorient.lines import Line
    from mmorient.moderator import Moderator

# Enough to fill the encoders' rows, few enough that the first labels come within a second.
_CHUNK = 64


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mm-orient-moderation")
def mmorient() -> None:
    """Sentiment, humour, sarcasm, offensiveness and motivation of posts."""


@mmorient.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@model_options
def label(file: Path, **options: Any) -> None:
    """Label the posts in FILE (JSON lines; - is standard input), one JSON line a post.

    A medium is {"data": base64} or {"path": "a.jpg"}, relative to FILE; nothing is fetched. A line that is no post is
    named on standard error and passed over; the command then ends with exit code 1.
    """
    standard = str(file) == "-"
    if not standard and not file.is_file():
        raise click.UsageError(f"{file}: no such file")
    moderator = load_moderator(options)
    from tqdm import tqdm

    from mmorient.lines import read_lines

    source = sys.stdin.buffer if standard else file.open("rb")
    refused = 0
    quiet = True if sys.stdout.isatty() else None
    with source, tqdm(unit=" posts", disable=quiet) as progress:
        name, folder = ("standard input", Path()) if standard else (str(file), file.parent)
        lines = read_lines(source, name, folder, moderator.drawn_text, moderator.picture_frame)
        for chunk in _chunks(lines, _CHUNK):
            good = []
            for line in chunk:
                if isinstance(line, PostError):
                    refused += 1
                    click.echo(f"mmorient: {line}", err=True)
                else:
                    good.append(line)
            _print_labels(moderator, good)
            progress.update(len(chunk))
    if refused:
        raise PostError(f"{refused} lines were no posts")


def _print_labels(moderator: Moderator, lines: list[Line]) -> None:
    from mmorient.lines import write_line

    for line, labels in zip(lines, moderator.label([line.post for line in lines]), strict=True):
        click.echo(write_line(line, labels))
    sys.stdout.flush()


@mmorient.command()
@click.argument("checkpoint", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def inspect(checkpoint: Path | None, as_json: bool) -> None:
    """Say what a checkpoint holds: the one that comes with the package unless CHECKPOINT is given."""
    refuse_missing(checkpoint)
    from mmorient.inspecting import describe, readable

    description = describe(checkpoint)
    click.echo(json.dumps(description, indent=2) if as_json else readable(description))


for one in (explain, train, calibrate, evaluate, fairness, ablate):
    mmorient.add_command(one)


_Item = TypeVar("_Item")


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def main() -> NoReturn:
    """Run the command; exit 0 when done, 2 for wrong usage or settings, 1 for anything else."""
    try:
        with usage_in_one_line("mmorient"):
            code = mmorient.main(standalone_mode=False)
    except BrokenPipeError:
        # The reader went away: nothing more can be said, and the interpreter must not try at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MmOrientError as error:
        click.echo(f"mmorient: {error}", err=True)
        sys.exit(2 if isinstance(error, CheckpointError) else 1)
    # click answers --help with the exit code, and commands with None.
    sys.exit(code or 0)
