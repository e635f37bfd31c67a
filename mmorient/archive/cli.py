"""``mmorient label``: posts in, labels out, to standard output or to a file that a killed run can go on with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmorient.commands.model_options import load_moderator, model_options, refuse_missing, threshold_option
from mmorient.errors import ArchiveUsageError, PostError

if TYPE_CHECKING:
    from mmorient.archive.labelling import Labelled
    from mmorient.archive.reading import Archive, Place
    from mmorient.archive.run import Engine
    from mmorient.archive.writing import Output


_WRITTEN = ("", ".jsonl", ".ndjson", ".json", ".parquet")


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--output",
    "out",
    metavar="OUT",
    help="Write to a file: Parquet where OUT ends with .parquet, a folder of Parquet parts where it ends with /, JSON"
    " lines otherwise.",
)
@click.option("--resume", is_flag=True, help="Go on where a run with the same OUT was interrupted.")
@click.option("--overwrite", is_flag=True, help="Begin OUT anew where it exists.")
@click.option(
    "--ray",
    "workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Label with N workers on Ray: on this machine, or on the cluster that RAY_ADDRESS names.",
)
@model_options
@threshold_option
def label(
    *, paths: tuple[str, ...], out: str | None, resume: bool, overwrite: bool, workers: int | None, **options: Any
) -> None:
    """Label the posts in PATHS, one JSON line a post.

    PATHS are files of JSON (a post a line, an array, or one post; .gz, .zst, .bz2 and .xz too), Parquet or CSV, folders
    (of JSON and Parquet), globs, or - for standard input. A medium is {"data": base64} or {"path": "a.jpg"}, relative
    to its file; nothing is fetched. A post of which nothing can be used has a line without labels, which says why
    (unavailable). A row that is no post is named on standard error and passed over, the first five of
    each kind by name; the command then ends with exit code 1.

    With --output, a run that was interrupted at any point goes on with --resume, to the same bytes: OUT.state.json says
    how far it is. Memory stays the same however large the archive.
    """
    from mmorient.archive.reading import open_archive

    target = None if out in {None, "-"} else Path(str(out))
    if target is None and (resume or overwrite):
        raise click.UsageError("--resume and --overwrite need an --output")
    if resume and overwrite:
        raise click.UsageError("--resume or --overwrite, not both")
    try:
        if target is not None:
            _check_target(target, is_folder=str(out).endswith("/"))
        leave_out = [] if target is None else [target, target.with_name(f"{target.name}.parts")]
        archive = open_archive(paths, leave_out=leave_out)
        if workers:
            _check_ray(options["device"])
        for name in archive.empty:
            click.echo(f"mmorient: {name}: is empty, passed over", err=True)
    except ArchiveUsageError as error:
        raise click.UsageError(str(error)) from error
    if archive.standard_input and (resume or workers):
        raise click.UsageError("standard input cannot be read twice: --resume and --ray need files")
    refuse_missing(options["checkpoint"])
    if target is None:
        refused = _print(archive, options, workers)
    else:
        output = _output(target, is_folder=str(out).endswith("/"))
        refused = _write(archive, output, options, workers, resume=resume, overwrite=overwrite)
    if refused:
        raise PostError("1 line was not a post" if refused == 1 else f"{refused} lines were not posts")


def _check_target(target: Path, *, is_folder: bool) -> None:
    if not target.parent.is_dir():
        raise ArchiveUsageError(f"{target.parent}: no such folder")
    if target.is_dir() and not is_folder:
        raise ArchiveUsageError(f"{target}: is a folder; {target}/ makes Parquet parts in it")
    if target.is_file() and is_folder:
        raise ArchiveUsageError(f"{target}: is a file, not a folder")
    if not is_folder and target.suffix.lower() not in _WRITTEN and str(target) != os.devnull:
        raise ArchiveUsageError(
            f"{target}: {target.suffix} is not written: labels are written as JSON lines (.jsonl) or"
            " Parquet (.parquet, or a folder of parts, which ends with /)"
        )


def _check_ray(device: str) -> None:
    from mmorient.files.extras import extra_module

    if device not in {"cpu", "cuda"}:
        raise ArchiveUsageError(f"--ray: the workers' device is cpu or cuda, not {device}")
    extra_module("ray.data", "ray", "--ray")


def _output(target: Path, *, is_folder: bool) -> Output:
    if is_folder or target.name.endswith(".parquet"):
        from mmorient.archive.parquet_output import ParquetOutput

        return ParquetOutput(target, folder=is_folder)
    from mmorient.archive.writing import JsonLinesOutput

    return JsonLinesOutput(target)


def _print(archive: Archive, options: Mapping[str, Any], workers: int | None) -> int:
    """Labels to standard output as they come; returns how many lines were not posts."""
    from mmorient.archive.reading import Place

    _, engine = _engine(archive, options, workers, quiet=True if sys.stdout.isatty() else None)
    refused = 0
    for labelled in engine(Place()):
        refused += len(labelled.refused)
        for line in labelled.lines:
            click.echo(line)
        sys.stdout.flush()
    return refused


def _write(
    archive: Archive, output: Output, options: Mapping[str, Any], workers: int | None, *, resume: bool, overwrite: bool
) -> int:
    """Labels to a file or a folder; returns how many lines were not posts."""
    from mmorient.archive.resuming import State, StateFile
    from mmorient.archive.run import begun, label_to

    states = StateFile(output.path)
    # Said before the model is loaded; it is asked again once no other process can write there.
    begun(output, states, archive.inputs, resume=resume, overwrite=overwrite)
    model, engine = _engine(archive, options, workers, quiet=None)
    inputs = archive.inputs
    # Standard input is read once: nothing goes on with it.
    contents = None if archive.standard_input else inputs.contents
    fresh = State(inputs=inputs.digest, contents=contents, sizes=inputs.said_sizes, model=model)
    state, worked = label_to(output, states, engine, fresh, inputs, resume=resume, overwrite=overwrite)
    click.echo(f"{output.path}: {'' if worked else 'complete already, '}{state.posts} posts labelled", err=True)
    return state.refused


def _engine(
    archive: Archive, options: Mapping[str, Any], workers: int | None, *, quiet: bool | None
) -> tuple[dict[str, str], Engine]:
    """What the labels depend on besides the posts, and what labels from a place on: here, or on Ray."""
    from mmorient.archive.label_table import LINE_FORM, THRESHOLDS
    from mmorient.archive.labelling import label_here
    from mmorient.archive.progress import with_progress
    from mmorient.files.refusals import Refusals

    if workers:
        from mmorient.archive.ray_engine import label_on_ray
        from mmorient.checkpointing.loading import load_checkpoint
        from mmorient.digest import SHIPPED

        checkpoint = load_checkpoint(options["checkpoint"] or SHIPPED)
        digests = (checkpoint.digest, checkpoint.embedding_digest(options["precision"]))

        def labelled(start: Place) -> Iterator[Labelled]:
            return label_on_ray(archive, options, digests[0], start, workers=workers)

    else:
        moderator = load_moderator(dict(options))
        digests = (moderator.identity.checkpoint, moderator.identity.embedding)

        def labelled(start: Place) -> Iterator[Labelled]:
            return label_here(moderator, archive, start)

    def engine(start: Place) -> Iterator[Labelled]:
        refusals = Refusals(lambda said: click.echo(f"mmorient: {said}", err=True))
        unlabelled = 0
        try:
            for one in with_progress(labelled(start), archive, start, quiet=quiet):
                for refused in one.refused:
                    name, _, reason = refused.partition(": ")
                    refusals.add(name, reason)
                unlabelled += one.unlabelled
                yield one
        finally:
            refusals.close()
            if unlabelled:
                said = "1 post has" if unlabelled == 1 else f"{unlabelled} posts have"
                click.echo(
                    f"mmorient: {said} no labels: none of the media can be used, `unavailable` says why", err=True
                )

    from mmorient.arithmetic.devices import find_device

    model = {
        "checkpoint": digests[0],
        "embedding": digests[1],
        "graph context": options["graph_context"],
        "precision": options["precision"],
        "device": options["device"] if workers else find_device(options["device"]).type,
        "lines of form": LINE_FORM,
    }
    if thresholds := options.get("thresholds"):
        model[THRESHOLDS] = " ".join(f"{task}={number!r}" for task, number in thresholds.items())
    return model, engine
