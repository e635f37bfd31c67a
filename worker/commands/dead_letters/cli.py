"""`moderate dead-letters`."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.commands.options import SettingsCommand, settings_options
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.commands.dead_letters.question import Question

_Command = TypeVar("_Command", bound=Callable[..., Any])
_GROUPINGS = ("error", "stage", "community", "hour", "letter")


@click.group("dead-letters")
def dead_letters() -> None:
    """What could not be processed: count it, look at it, put it through the worker again."""


def _filters(limit: str) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options by which letters are selected."""
    options = (
        click.option("--stage", "stages", multiple=True, help="found the error, such as decode; may be repeated"),
        click.option("--error", "errors", multiple=True, help="in the error's class or message; may be repeated"),
        click.option("--community", "communities", multiple=True, help="of the post; may be repeated"),
        click.option("--post-id", "post_ids", multiple=True, help="the post's id; may be repeated"),
        click.option(
            "--from", "start", default="earliest", show_default=True, metavar="BOUND",
            help="oldest dead letter: earliest, an offset, or a time such as 2026-11-20T12:00:00Z",
        ),
        click.option(
            "--to", "end", default="latest", show_default=True, metavar="BOUND",
            help="first dead letter that is not meant any more",
        ),
        click.option("--partitions", metavar="LIST", help="of the dead-letter topic, such as 0,3-5"),
        click.option("--limit", type=click.IntRange(1), help=limit),
    )  # fmt: skip

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@dead_letters.command("list", cls=SettingsCommand)
@_filters("rows to show  [20 in the table, all with --json]")
@click.option(
    "--by", "kind", type=click.Choice(_GROUPINGS), default="error", show_default=True, help="what makes a row"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@settings_options("kafka", "stack", "log")
def list_(kind: str, as_json: bool, **options: Any) -> None:
    """Count the dead letters, by error unless --by says otherwise."""
    question = _question(options)
    from worker.commands.dead_letters.commands import list_letters
    from worker.commands.run_once import run_once

    run_once(list_letters(question, kind=kind, as_json=as_json))


@dead_letters.command(cls=SettingsCommand)
@click.argument("position", required=False)
@_filters("letters to show  [10]")
@click.option("--raw", is_flag=True, help="write the post's bytes, and nothing else, to standard output")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
@settings_options("kafka", "stack", "log")
def show(position: str | None, raw: bool, as_json: bool, **options: Any) -> None:
    """Show one dead letter with its reason, or those that the options select.

    POSITION is the dead letter's, such as posts.dead-letter[3]@17, or its post's, such as posts[3]@1017.
    """
    if raw and as_json:
        raise SettingsError("--raw and --json exclude each other")
    question = _question(options)
    from worker.broker.positions import Position
    from worker.commands.dead_letters.commands import show_letters
    from worker.commands.run_once import run_once

    place = None if position is None else Position.parse(position)
    run_once(show_letters(question, place, raw=raw, as_json=as_json))


@dead_letters.command(cls=SettingsCommand)
@_filters("posts to write at most; the next replay goes on behind them")
@click.option(
    "--max-attempts", type=click.IntRange(1), default=3, show_default=True,
    help="how often one post is written again; those that come back as often are refused",
)  # fmt: skip
@click.option(
    "--unavailable", "reasons", multiple=True, metavar="REASON",
    help="in the place of dead letters: posts that were labelled without a picture for this reason, such as "
    "fetch_failed; may be repeated. Bounds, --community and --post-id are then those of labels",
)  # fmt: skip
@click.option("--max-posts-per-second", type=click.FloatRange(min=0, min_open=True), help="[as fast as it goes]")
@click.option("--dry-run", is_flag=True, help="count what would be replayed; write nothing")
@click.option(
    "--wait", "wait_seconds", type=click.FloatRange(min=0, min_open=True), is_flag=False, flag_value=300.0,
    metavar="[SECONDS]", help="wait for the posts' labels or new dead letters, 300 s where no number is given",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@settings_options("kafka", "stack", "log")
def replay(
    *,
    max_attempts: int,
    reasons: tuple[str, ...],
    max_posts_per_second: float | None,
    dry_run: bool,
    wait_seconds: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the posts of dead letters to the posts topic again, each dead letter once.

    Whatever ends it, even kill -9: the same command goes on where it was. Use the workers' settings, the group's id
    above all: two replays under different ones do not know of each other while both run.
    Posts that killed workers are left out unless --stage poison names them.
    """
    if reasons and (options["stages"] or options["errors"]):
        raise SettingsError("--unavailable asks for labels, and --stage and --error for dead letters: not both")
    question = _question(options)
    if reasons:
        from dataclasses import replace

        from worker.commands.dead_letters.labelled import Unavailable, check_reasons
        from worker.commands.dead_letters.selecting import Selection

        check_reasons(reasons)
        asked = question.selection
        wanted = Unavailable(reasons, asked.communities, asked.post_ids)
        question = replace(question, selection=Selection(), unavailable=wanted)
    from worker.commands.dead_letters.replay_command import replay_letters
    from worker.commands.run_once import run_once

    complete = run_once(
        replay_letters(
            question,
            max_attempts=max_attempts,
            posts_per_second=max_posts_per_second,
            dry_run=dry_run,
            wait_seconds=wait_seconds,
            as_json=as_json,
        )
    )
    if not complete:
        sys.exit(1)


def _question(options: dict[str, Any]) -> "Question":
    """Return what the options of `_filters` and the settings ask for.

    Raises:
        SettingsError: one of them cannot be used.
    """
    from worker.broker.ranges import parse_partitions, parse_range
    from worker.commands.dead_letters.question import Question
    from worker.commands.dead_letters.selecting import Selection
    from worker.commands.startup import read_settings

    taken = {name: options.pop(name) for name in ("stages", "errors", "communities", "post_ids")}
    start, end = parse_range(options.pop("start"), options.pop("end"))
    partitions, limit = options.pop("partitions"), options.pop("limit")
    return Question(
        kafka=read_settings(options).kafka,
        selection=Selection(**taken),
        start=start,
        end=end,
        partitions=parse_partitions(partitions) if partitions else frozenset(),
        limit=limit,
    )
