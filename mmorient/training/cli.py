"""The research loop's commands: ``mmorient train``, ``calibrate``, ``evaluate`` and ``ablate``."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmorient.commands.model_options import load_moderator, model_options, refuse_missing
from mmorient.labels import TASKS

if TYPE_CHECKING:
    from mmorient.moderator import Moderator
    from mmorient.training.config import TrainConfig
    from mmorient.training.judging.evaluating import Score

_MEASURES = {"macro_f1": "macro-F1", "macro_recall": "macro-recall", "f1": "F1", "calibration_error": "ECE"}
_DATA = click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
_CONFIG = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML; what it does not say has its default.",
)
_WORK = click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".work/train"),
    show_default=True,
    help="Folder for the run's state, metrics and plots, 2 GB; a run that is there goes on.",
)

_VERDICTS = click.option(
    "--verdicts",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="A file that `moderate verdicts export` wrote, beside the sets. Repeatable.",
)


@click.command()
@_DATA
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The checkpoint's folder.")
@_CONFIG
@_WORK
@click.option(
    "--start",
    type=click.Path(file_okay=False, path_type=Path),
    help="A checkpoint to train further, which brings its encoders along; the pretrained encoders otherwise.",
)
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(file_okay=False, path_type=Path),
    multiple=True,
    help="A checkpoint that is asked about texts without a label; several are averaged.",
)
@click.option(
    "--text-encoder",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder in the Hugging Face layout to take the text encoder from; with --picture-encoder.",
)
@click.option(
    "--picture-encoder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The same of the picture encoder.",
)
@click.option(
    "--global-encoder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of a CLIP whose vectors are the global ones of both.",
)
@click.option("--device", type=click.Choice(["cpu", "auto", "cuda", "mps"]), default="cpu", show_default=True)
@_VERDICTS
def train(
    data: Path,
    out: Path,
    config_file: Path | None,
    work: Path,
    *,
    start: Path | None,
    teachers: tuple[Path, ...],
    text_encoder: Path | None,
    picture_encoder: Path | None,
    global_encoder: Path | None,
    device: str,
    verdicts: tuple[Path, ...],
) -> None:
    """Train a checkpoint on the sets in the folder DATA: compact, or one with encoders of yours.

    DATA holds any of memotion_dataset_7k/, mvsa_single/, tweeteval/datasets/, sarcasm_text/, hatemoji/ and umsab/ in
    their own layouts, and any *.csv and *.jsonl of labelled posts. Says how long it will take before it starts; goes on
    where it was interrupted.
    """
    _refuse_missing_verdicts(verdicts)
    config = _prepare(config_file)
    named = {"text_encoder": text_encoder, "picture_encoder": picture_encoder, "global_encoder": global_encoder}
    config = config.model_copy(update={name: str(folder) for name, folder in named.items() if folder is not None})
    for folder in (start, *teachers):
        refuse_missing(folder)
    from_folders = bool(config.text_encoder or config.picture_encoder or config.global_encoder)
    if start is not None and from_folders:
        raise click.UsageError("--start brings its encoders along: name no others")
    if start is not None and start.resolve() == out.resolve():
        raise click.UsageError(f"--out {out}: would overwrite --start")
    from mmorient.arithmetic.devices import find_device
    from mmorient.training.encoder_run import brings_encoders, train_encoders
    from mmorient.training.run import train as run

    try:
        found = find_device(device)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if from_folders or (start is not None and brings_encoders(start)):
        train_encoders(data, out, work, config, found, start=start, teachers=teachers, verdicts=verdicts)
        return
    run(data, out, work, config, found, start=start, teachers=teachers, verdicts=verdicts)


@click.command()
@click.argument("checkpoint", type=click.Path(file_okay=False, path_type=Path))
@click.argument("data", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@_VERDICTS
@click.option("--source", "sources", multiple=True, help="A set to calibrate on; all by default.")
@click.option("--diagram", type=click.Path(dir_okay=False, path_type=Path), help="PNG of reliability to write.")
@click.option(
    "--prior",
    "priors",
    multiple=True,
    metavar="TASK=SHARES",
    help="The share of a task's classes among your posts, in the order of its classes, such as sentiment=0.2,0.5,0.3;"
    " of two classes the second's share is enough, such as sarcasm=0.1. Repeatable.",
)
def calibrate(
    checkpoint: Path,
    data: Path | None,
    verdicts: tuple[Path, ...],
    *,
    sources: tuple[str, ...],
    diagram: Path | None,
    priors: tuple[str, ...],
) -> None:
    """Fit CHECKPOINT's temperatures and biases anew on the split val of the sets in DATA, and on people's verdicts.

    All posts of --verdicts count as of that split. Without DATA they are all that there is.

    The probabilities are stated for posts with the shares of classes that --prior gives, or else the checkpoint's own.
    Where a class has too few posts, a head keeps what it has, and the line says so.

    The errors after are of posts that the fit did not see: each half is calibrated by the other. The checkpoint's
    digest changes.
    """
    if data is None and not verdicts:
        raise click.UsageError("nothing to calibrate on: DATA, --verdicts or both")
    _refuse_missing_verdicts(verdicts)
    refuse_missing(checkpoint)
    shares = dict(_prior(one) for one in priors)
    from mmorient.training.data.examples import VAL
    from mmorient.training.data.readers import read_all
    from mmorient.training.judging.calibrating import describe
    from mmorient.training.run import calibrate_checkpoint

    examples = read_all(data) if data is not None else []
    examples += [replace(example, split=VAL) for example in (read_all(None, verdicts) if verdicts else ())]
    examples = [example for example in examples if not sources or example.source in sources]
    for one in calibrate_checkpoint(checkpoint, examples, diagram, shares):
        click.echo(describe(one))


@click.command()
@_DATA
@_CONFIG
@_WORK
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=6, show_default=True, help="Of every row alike.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def ablate(data: Path, config_file: Path | None, work: Path, *, seeds: int, epochs: int, as_json: bool) -> None:
    """Train every part of the model alone and together on the posts in DATA that have a text and a picture.

    Macro-F1 on the split val, in percent, mean and standard deviation over the seeds.
    """
    config = _prepare(config_file)
    from mmorient.training.data.readers import read_all
    from mmorient.training.fitting.preparing import prepare
    from mmorient.training.judging.ablation import ablate as run
    from mmorient.training.judging.ablation import table

    prepared = prepare(read_all(data), config, work)
    outcomes = list(run(prepared.data, seeds=seeds, epochs=epochs))
    click.echo(json.dumps([one.as_dict() for one in outcomes], indent=2) if as_json else table(outcomes))


@click.command()
@_DATA
@click.option("--split", default="val", show_default=True)
@click.option("--source", "sources", multiple=True, help="A set to measure on; all by default.")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@click.option(
    "--html", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="A report to write beside it."
)
@model_options
def evaluate(
    data: Path, split: str, sources: tuple[str, ...], as_json: bool, html: Path | None, **options: Any
) -> None:
    """Label a split of the sets in DATA and score the labels, in percent."""
    # Said now rather than after an hour of labelling.
    if html is not None and not html.parent.is_dir():
        raise click.UsageError(f"{html.parent}: no such folder")
    from mmorient.training.data.readers import read_all
    from mmorient.training.judging.evaluating import evaluate as run
    from mmorient.training.judging.report import write_report

    examples = [
        example for example in read_all(data) if example.split == split and (not sources or example.source in sources)
    ]
    if not examples:
        raise click.UsageError(f"no examples of split {split!r} and source {', '.join(sources) or 'any'}")
    moderator = load_moderator(options)
    if not as_json:
        heads = "".join(f" {title + ' (95 %)':>20}" for title in _MEASURES.values())
        click.echo(f"{'set':10} {'read':11} {'task':14} {'slice':9} {'posts':>6}{heads}")
    scores = []
    for score in run(moderator, examples):
        scores.append(score)
        if not as_json:
            click.echo(_score_row(score))
    if as_json:
        click.echo(json.dumps([score.as_dict() for score in scores], indent=2))
    # The classes are the same, whatever of the posts is read.
    said = {(score.source, score.task): score.warning for score in scores if score.slice == "all" and score.warning}
    for (source, task), warning in said.items():
        click.echo(f"mmorient: warning: {source}, {task}: {warning}", err=True)
    if html is not None:
        write_report(scores, _about(moderator, split), html)


def _refuse_missing_verdicts(files: tuple[Path, ...]) -> None:
    """Say before anything is loaded that a file of verdicts is not there.

    Raises:
        UsageError: it is not.
    """
    for file in files:
        if not file.is_file():
            raise click.UsageError(f"--verdicts {file}: no such file")


def _prior(said: str) -> tuple[str, tuple[float, ...]]:
    """``TASK=SHARES`` as task and the share of each class.

    Raises:
        UsageError: No such task, or no shares.
    """
    name, _, values = said.partition("=")
    if name not in TASKS:
        raise click.UsageError(f"--prior {said}: {name!r} is none of {', '.join(TASKS)}")
    classes = TASKS[name].classes
    try:
        shares = tuple(float(value) for value in values.split(","))
    except ValueError:
        raise click.UsageError(f"--prior {said}: {values!r} are no numbers with commas between them") from None
    if len(shares) == 1 and len(classes) == 2:
        shares = (1 - shares[0], shares[0])
    if len(shares) != len(classes) or not all(0 < share < 1 for share in shares) or abs(sum(shares) - 1) > 1e-3:
        raise click.UsageError(f"--prior {said}: {name} needs a share for each of {', '.join(classes)}; they sum to 1")
    return name, shares


def _score_row(score: Score) -> str:
    values = "".join(
        f" {getattr(score, name):7.2f} ({score.intervals[name][0]:4.1f}-{score.intervals[name][1]:4.1f})"
        for name in _MEASURES
    )
    return f"{score.source:10} {score.modalities:11} {score.task:14} {score.slice:9} {score.posts:6}{values}"


def _about(moderator: Moderator, split: str) -> dict[str, str]:
    identity = moderator.identity
    return {
        "checkpoint": identity.name,
        "digest": identity.checkpoint,
        "precision": identity.precision,
        "graph context": identity.graph_context,
        "split": split,
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }


def _prepare(config_file: Path | None) -> TrainConfig:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from mmorient.training.config import read_config

    return read_config(config_file)
