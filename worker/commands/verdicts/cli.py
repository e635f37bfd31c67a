"""`moderate verdicts`."""

from pathlib import Path
from typing import Any

import click

from worker.commands.options import SettingsCommand, settings_options
from worker.errors import SettingsError

_ENDING = ".jsonl"


@click.group("verdicts")
def verdicts() -> None:
    """What people said of labels on the page of `moderate serve`."""


@verdicts.command(cls=SettingsCommand)
@click.argument("file", metavar="FILE.jsonl", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--from",
    "start",
    default="earliest",
    show_default=True,
    metavar="BOUND",
    help="oldest verdict: earliest, an offset, or a time such as 2026-11-20T12:00:00Z",
)
@click.option("--to", "end", default="latest", show_default=True, metavar="BOUND", help="first verdict that is too new")
@click.option("--json", "as_json", is_flag=True, help="what was written and left out, as one JSON object")
@settings_options("kafka", "page", "stack", "log")
def export(file: Path, *, start: str, end: str, as_json: bool, **options: Any) -> None:
    """Write the posts that people judged to FILE.jsonl, with the labels that they gave.

    `mmorient calibrate --verdicts` and `mmorient train --verdicts` read it. Of one person's verdicts on a label the
    last counts; where people differ, the label of more of them, and none where they are as many. Pictures that came
    within posts are written beside the file. It holds what people wrote: keep it as you keep the posts.
    """
    from worker.broker.ranges import parse_range
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings
    from worker.commands.verdicts.exporting import export_verdicts

    if file.suffix != _ENDING:
        raise SettingsError(f"{file}: an export is written as {_ENDING}")
    if not file.parent.is_dir():
        raise SettingsError(f"{file.parent}: no such folder")
    since, until = parse_range(start, end)
    settings = read_settings(options)
    run_once(export_verdicts(settings.kafka, settings.page.verdicts_topic, file, since, until, as_json=as_json))
