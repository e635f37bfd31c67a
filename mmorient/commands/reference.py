"""``mmorient reference``: what drift is measured against, from labels of one's own posts."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import click

from mmorient.commands.model_options import refuse_missing
from mmorient.commands.usage import wrong_ending


@click.command()
@click.argument("labels", type=click.File(encoding="utf-8"), nargs=-1, required=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="JSON to write.")
@click.option("--checkpoint", type=click.Path(file_okay=False, path_type=Path), help="Whose labels; the shipped one's.")
def reference(labels: tuple[IO[str], ...], out: Path, checkpoint: Path | None) -> None:
    """Count the labels and scores in LABELS: the lines of `mmorient label`, or values of a label topic; `-` is stdin.

    A worker measures drift against the file: MODERATE_DRIFT__REFERENCE.
    """
    refuse_missing(checkpoint)
    if said := wrong_ending(out, (".json",)):
        raise click.UsageError(f"--out: {said}")
    if not out.parent.is_dir():
        raise click.UsageError(f"{out.parent}: no such folder")
    from mmorient.digest import checkpoint_digest
    from mmorient.errors import DataError
    from mmorient.reference import count_labels, read_answers, save_reference

    lines = (line for file in labels for line in file)
    counted = count_labels(read_answers(lines), checkpoint_digest(checkpoint))
    if not counted.posts:
        raise DataError("no label in what was given")
    save_reference(out, counted)
    for task, counts in counted.tasks.items():
        total = sum(counts.labels.values())
        shares = ", ".join(f"{label} {count / total:.3f}" for label, count in counts.labels.items())
        click.echo(f"{task}: {shares} of {total:,} posts")
