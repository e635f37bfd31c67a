"""The ``mmorient`` command."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from mmorient.errors import CheckpointError, MmOrientError, PostError
from mmorient.explain.cli import explain
from mmorient.usage import usage_in_one_line

if TYPE_CHECKING:
    from mmorient.lines import Line
    from mmorient.moderator import Moderator

# Enough to fill the encoders' rows, few enough that the first labels come within a second.
_CHUNK = 64

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _model_options(command: _Command) -> _Command:
    options = (
        click.option(
            "--checkpoint",
            type=click.Path(file_okay=False, path_type=Path),
            envvar="MODERATE_CHECKPOINT",
            help="Folder of the checkpoint; the one that comes with the package otherwise.",
        ),
        click.option("--device", type=click.Choice(["cpu", "auto", "cuda", "mps"]), default="cpu", show_default=True),
        click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True),
        click.option(
            "--graph-context",
            type=click.Choice(["bank", "self"]),
            default="bank",
            show_default=True,
            help="Whom a post is compared with: the reference bank, or nobody.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mm-orient-moderation")
def mmorient() -> None:
    """Sentiment, humour, sarcasm, offensiveness and motivation of posts."""


@mmorient.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@_model_options
def label(file: Path, **options: Any) -> None:
    """Label the posts in FILE (JSON lines; - is standard input), one JSON line a post.

    A medium is {"data": base64} or {"path": "a.jpg"}, relative to FILE; nothing is fetched. A line that is no post is
    named on standard error and passed over; the command then ends with exit code 1.
    """
    standard = str(file) == "-"
    if not standard and not file.is_file():
        raise click.UsageError(f"{file}: no such file")
    moderator = _moderator(options)
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
    _refuse_missing(checkpoint)
    from mmorient.inspecting import describe, readable

    description = describe(checkpoint)
    click.echo(json.dumps(description, indent=2) if as_json else readable(description))


@mmorient.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The checkpoint's folder.")
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".work"),
    show_default=True,
    help="Folder for intermediate states, 2 GB; what is there already is used again.",
)
@click.option("--name", default="mm-orient-compact", show_default=True, help="Of the checkpoint.")
def train(data: Path, out: Path, work: Path, name: str) -> None:
    """Train the compact checkpoint on the sets in the folder DATA."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from mmorient.training.run import train as run

    run(data, out, work, name=name)


@mmorient.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True)
@click.option("--source", "sources", multiple=True, help="A set to measure on; all by default.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@_model_options
def evaluate(data: Path, split: str, sources: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Label a split of the sets in DATA and score the labels, in percent."""
    from mmorient.training.data import read_all
    from mmorient.training.evaluating import evaluate as run

    examples = [
        example for example in read_all(data) if example.split == split and (not sources or example.source in sources)
    ]
    if not examples:
        raise click.UsageError(f"no examples of split {split!r} and source {', '.join(sources) or 'any'}")
    scores = run(_moderator(options), examples)
    if as_json:
        click.echo(json.dumps([score.as_dict() for score in scores], indent=2))
        return
    columns = {"macro_f1": "macro-F1", "macro_recall": "macro-recall", "f1": "F1", "calibration_error": "ECE"}
    heads = "".join(f" {title + ' (95 %)':>20}" for title in columns.values())
    click.echo(f"{'set':10} {'read':11} {'task':14} {'slice':9} {'posts':>6}{heads}")
    for score in scores:
        values = "".join(
            f" {getattr(score, name):7.2f} ({score.intervals[name][0]:4.1f}-{score.intervals[name][1]:4.1f})"
            for name in columns
        )
        click.echo(f"{score.source:10} {score.modalities:11} {score.task:14} {score.slice:9} {score.posts:6}{values}")


mmorient.add_command(explain)


def _refuse_missing(checkpoint: Path | None) -> None:
    """Before torch is loaded, which takes seconds."""
    if checkpoint is not None and not checkpoint.is_dir():
        raise CheckpointError(checkpoint, "no such folder")


def _moderator(options: dict[str, Any]) -> Moderator:
    _refuse_missing(options["checkpoint"])
    from mmorient.moderator import Moderator

    try:
        return Moderator.from_checkpoint(
            options["checkpoint"],
            device=options["device"],
            precision=options["precision"],
            graph_context=options["graph_context"],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


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
