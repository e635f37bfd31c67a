"""`moderate labels`."""

from pathlib import Path
from typing import Any

import click

from worker.commands.options import SettingsCommand, settings_options


@click.command(cls=SettingsCommand)
@click.argument("post_id")
@click.option("--key", help="of the post's record, where that is not its id, such as the author's id")
@click.option("--all-partitions", is_flag=True, help="search them all: keys are unknown, or partitions were added")
@click.option(
    "--topics", "patterns", multiple=True, metavar="PATTERN",
    help="label topics to search, such as 'labels.*'; may be repeated  [the routes' topics, and that of decisions]",
)  # fmt: skip
@click.option(
    "--from", "start", default="earliest", show_default=True, metavar="BOUND",
    help="oldest record to look at: earliest, an offset, or a time such as 2026-11-20T12:00:00Z",
)  # fmt: skip
@click.option("--to", "end", default="latest", show_default=True, metavar="BOUND", help="first record that is too new")
@click.option("--newest", is_flag=True, help="stop where the first was found; older ones may exist")
@click.option(
    "--post", "post_file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="write the post's bytes to this file, for `mmorient explain`; - is standard output, and nothing else there",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
@settings_options("kafka", "policies", "stack", "log")
def labels(
    post_id: str,
    *,
    key: str | None,
    all_partitions: bool,
    patterns: tuple[str, ...],
    start: str,
    end: str,
    newest: bool,
    post_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Find labels and decisions of the post POST_ID, newest first, and its dead letters: why was it removed?

    Looks into the one partition that the post's key has by Kafka's default partitioner; the key is taken
    to be the id.
    """
    from worker.broker.ranges import parse_range
    from worker.commands.labels.command import Wanted, find_labels
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings

    since, until = parse_range(start, end)
    wanted = Wanted(
        post_id=post_id,
        key=post_id if key is None else key,
        all_partitions=all_partitions,
        patterns=patterns,
        start=since,
        end=until,
        newest=newest,
    )
    kafka = read_settings(options).kafka
    run_once(find_labels(kafka, wanted, post_file=post_file, as_json=as_json))
