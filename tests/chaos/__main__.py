"""`python -m tests.chaos`: one run with faults, or the summary of several."""

import asyncio
import json
import logging
import random
import shutil
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from tests.chaos.plan import CLUSTER_FAMILIES, FAMILIES
from tests.chaos.report import show, show_summary, to_data
from tests.chaos.run import Run
from tests.chaos.settings import Settings
from tests.chaos.subjects import SUBJECTS

_WIDTH = 120


@click.group(invoke_without_command=True)
@click.option("--seed", type=int, help="of the faults and the posts; random if not given")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=2.0, show_default=True)
@click.option("--workers", type=click.IntRange(min=2), default=3, show_default=True)
@click.option("--partitions", type=click.IntRange(min=1), default=12, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=40.0, show_default=True, help="posts a second"
)
@click.option("--subject", type=click.Choice(SUBJECTS), default="worker", show_default=True, help="what is tested")
@click.option("--poison", type=click.IntRange(min=0), default=2, show_default=True, help="posts that kill their worker")
@click.option("--brokers", type=click.IntRange(1, 5), default=1, show_default=True, help="with three, one may die")
@click.option(
    "--fault",
    "only",
    multiple=True,
    type=click.Choice(sorted({*FAMILIES, *CLUSTER_FAMILIES} - {"broker-back"})),
    help="deal this kind of fault, and others that are named so, alone",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="write the report here too")
@click.option("--keep", is_flag=True, help="leave the folder with the logs")
@click.pass_context
def main(context: click.Context, *, seed: int | None, json_file: Path | None, keep: bool, **options: object) -> None:
    """Feed posts, break things at random, and count what became of every post.

    Exit code 0 where nothing was lost, doubled, different or unaccounted for and all partitions recovered; 1 otherwise.
    """
    if context.invoked_subcommand is not None:
        return
    # Every client of ours meets every outage; what comes of it stands in the report.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
    settings = Settings(seed=random.randrange(1_000_000) if seed is None else seed, **options)  # type: ignore[arg-type]
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    _say(f"seed {settings.seed}, logs in {folder}")
    try:
        report = to_data(asyncio.run(Run(settings, folder, _say).run()))
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1), encoding="utf-8")
    show(report, _console())
    sys.exit(0 if report["ok"] else 1)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def summary(files: tuple[Path, ...]) -> None:
    """Put several reports that were written with --json into one table."""
    show_summary([json.loads(file.read_text(encoding="utf-8")) for file in files], _console())


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _say(message: str) -> None:
    click.echo(message, err=True)


if __name__ == "__main__":
    main()
