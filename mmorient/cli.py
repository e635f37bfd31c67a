"""The ``mmorient`` command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from mmorient.archive.cli import label
from mmorient.commands.model_options import refuse_missing
from mmorient.commands.reference import reference
from mmorient.commands.usage import Commands, usage_in_one_line
from mmorient.errors import ArchiveUsageError, CheckpointError, MmOrientError
from mmorient.explain.cli import explain
from mmorient.training.cli import ablate, calibrate, evaluate, train
from mmorient.training.fairness_cli import fairness
from mmorient.training.photos_cli import photos


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mm-orient-moderation")
def mmorient() -> None:
    """Sentiment, humour, sarcasm, offensiveness and motivation of posts."""


@mmorient.command()
@click.argument("checkpoint", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def inspect(checkpoint: Path | None, as_json: bool) -> None:
    """Say what a checkpoint holds: the one that comes with the package unless CHECKPOINT is given."""
    refuse_missing(checkpoint)
    from mmorient.checkpointing.inspecting import describe, readable

    description = describe(checkpoint)
    click.echo(json.dumps(description, indent=2) if as_json else readable(description))


for one in (label, explain, train, calibrate, evaluate, fairness, photos, ablate, reference):
    mmorient.add_command(one)

mmorient.show_examples(
    {
        "": "label posts.jsonl --output labels.jsonl",
        "label": "label archive/ --output labels.parquet --resume",
        "explain": "explain post.json --html post.html",
        "inspect": "inspect new/ --json",
        "train": "train data/ --out new/",
        "calibrate": "calibrate new/ data/ --prior sarcasm=0.1",
        "evaluate": "evaluate data/ --checkpoint new/ --html report.html",
        "fairness": "fairness --checkpoint new/",
        "photos": "photos data/ --checkpoint new/",
        "ablate": "ablate data/ --seeds 3",
        "reference": "reference labels.jsonl --out reference.json",
    }
)


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
        sys.exit(2 if isinstance(error, (ArchiveUsageError, CheckpointError)) else 1)
    # click answers --help with the exit code, and commands with None.
    sys.exit(code or 0)
