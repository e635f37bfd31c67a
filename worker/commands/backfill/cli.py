"""`moderate backfill`."""

import json
from typing import Any, get_args

import click

from worker.commands.options import SettingsCommand, settings_options
from worker.errors import SettingsError
from worker.isolation.priority import Priority


@click.command(cls=SettingsCommand)
@click.option("--from", "start", default="earliest", show_default=True, help="earliest, offset, or ISO 8601 time.")
@click.option(
    "--to", "end", default="latest", show_default=True, help="The same, or latest: as it is when the backfill begins."
)
@click.option("--partitions", help="Such as 0,3-5; all otherwise.")
@click.option("--group-id", help="The backfill's own consumer group; otherwise named after the checkpoint.")
@click.option(
    "--output",
    default="labels.{task}.{checkpoint}",
    show_default=True,
    help="Pattern of the label topics; `live` writes where the live stream writes.",
)
@click.option("--tasks", help="Such as sarcasm,offensiveness; those of the live stream otherwise.")
@click.option("--max-posts-per-second", type=click.FloatRange(0, min_open=True), help="Of this process.")
@click.option(
    "--priority",
    type=click.Choice(get_args(Priority)),
    default="idle",
    show_default=True,
    help="idle: compute only where nobody else wants to.",
)
@click.option(
    "--device-share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Part of the time in which the model may compute: for a GPU that the live stream uses too.",
)
@click.option("--resume", is_flag=True, help="Go on with the group's backfill, whatever its range.")
@click.option("--dry-run", is_flag=True, help="Say what would be read and how long it would take; write nothing.")
@click.option("--cost-per-hour", type=click.FloatRange(0), help="Of one process, for --dry-run's estimate.")
@click.option("--json", "as_json", is_flag=True, help="--dry-run for a program to read.")
@settings_options()
def backfill(
    *,
    start: str,
    end: str,
    partitions: str | None,
    group_id: str | None,
    output: str,
    tasks: str | None,
    max_posts_per_second: float | None,
    priority: Priority,
    device_share: float,
    resume: bool,
    dry_run: bool,
    cost_per_hour: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Label a range of the posts topic again, once, beside the live stream.

    Any number of processes with the same command share the work, and each ends with exit code 0 when all of it is
    done. The same command after a crash goes on where it stopped. Pages are served only with --http-port.
    """
    from mmorient import checkpoint_digest
    from worker.broker.clients import KafkaLinks
    from worker.broker.ranges import parse_partitions, parse_range
    from worker.broker.topics import answer_topics
    from worker.commands.backfill.request import Request, backfill_settings
    from worker.commands.listening import refuse_taken_address
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings, refuse_missing_files
    from worker.intake.bounded_run import Restraint
    from worker.isolation.priority import lower_priority

    since, until = parse_range(start, end)
    if dry_run and resume:
        raise SettingsError("--dry-run or --resume, not both: what is left of a backfill, its own group knows")
    if not dry_run and (as_json or cost_per_hour is not None):
        raise SettingsError("--json and --cost-per-hour belong to --dry-run")
    live = read_settings(options)
    refuse_missing_files(live)
    serves_pages = options.get("http__port") is not None
    if serves_pages and not dry_run:
        refuse_taken_address(live.http)
    digest = checkpoint_digest(live.checkpoint)
    settings = backfill_settings(
        live,
        checkpoint=digest,
        group_id=group_id,
        output=output,
        tasks=[] if tasks is None else [task.strip() for task in tasks.split(",")],
    )
    request = Request(
        since,
        until,
        None if partitions is None else parse_partitions(partitions),
        digest,
        settings,
    )
    # Before torch makes its threads, which inherit it.
    lower_priority(priority)
    links = KafkaLinks(settings.kafka.bootstrap_servers or "", settings.kafka)
    restraint = Restraint(max_posts_per_second, device_share)
    if dry_run:
        from worker.commands.backfill.estimate import estimate

        said = run_once(estimate(links, request, restraint, cost_per_hour=cost_per_hour))
        click.echo(json.dumps(said.as_json(), indent=2) if as_json else said.readable())
        return
    from worker.commands.backfill.following import Backfill
    from worker.commands.backfill.starting import start as begin

    begun = run_once(begin(links, request, resume=resume))
    run = Backfill(settings.kafka.group_id, begun.plans, restraint)
    topics = ", ".join(answer_topics(settings.kafka))
    asked = next(iter(begun.plans.values())).asked
    click.echo(f"backfill of {asked}: {run.offsets} offsets, group {settings.kafka.group_id}, to {topics}", err=True)
    if not run.offsets:
        click.echo(f"the range holds nothing of {settings.kafka.posts_topic}: no post was labelled", err=True)
        return
    if begun.done == run.offsets:
        click.echo("nothing is left to do: another --group-id begins another backfill", err=True)
        return
    if begun.done:
        click.echo(f"{begun.done} of them are done already", err=True)
    from worker.app import run_bounded

    run_bounded(settings, run, pages=serves_pages)
