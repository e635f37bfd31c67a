"""Which checkpoint a command labels with, and how: the options, and the moderator they ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mmorient.digest import check_checkpoint
from mmorient.labels import checked_thresholds

if TYPE_CHECKING:
    from mmorient.moderator import Moderator

_Command = TypeVar("_Command", bound=Callable[..., Any])


def model_options(command: _Command) -> _Command:
    """Give a command the options that ``load_moderator`` reads."""
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


def threshold_option(command: _Command) -> _Command:
    """Give a command ``--threshold``, for labels as a worker with such settings gives them."""
    return click.option(
        "--threshold",
        "thresholds",
        metavar="TASK=NUMBER",
        multiple=True,
        callback=_read_thresholds,
        help="Call a post so from this probability on, such as offensiveness=0.7; may be given for several tasks. The"
        " label is the most probable class otherwise.",
    )(command)


def _read_thresholds(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, float]:
    thresholds: dict[str, float] = {}
    for one in given:
        task, _, number = one.partition("=")
        if task in thresholds:
            raise click.BadParameter(f"{task} has two thresholds: which is meant?", context, parameter)
        try:
            thresholds |= checked_thresholds({task: float(number)})
        except ValueError as error:
            said = str(error) if number and not str(error).startswith("could not") else f"{one!r} is not TASK=NUMBER"
            raise click.BadParameter(said, context, parameter) from error
    return checked_thresholds(thresholds)


def refuse_missing(checkpoint: Path | None) -> None:
    """Before torch is loaded, which takes seconds.

    Raises:
        CheckpointError: There is no checkpoint that this version could read.
    """
    if checkpoint is not None:
        check_checkpoint(checkpoint)


def load_moderator(options: dict[str, Any]) -> Moderator:
    """The moderator that the values of ``model_options`` ask for, and of ``threshold_option`` where a command has it.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        click.UsageError: A device that is not here.
    """
    refuse_missing(options["checkpoint"])
    from mmorient.moderator import Moderator

    try:
        return Moderator.from_checkpoint(
            options["checkpoint"],
            device=options["device"],
            precision=options["precision"],
            graph_context=options["graph_context"],
            thresholds=options.get("thresholds"),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
