"""`moderate diff`."""

import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from mmorient.commands.usage import HTML_ENDINGS, wrong_ending
from worker.commands.options import SettingsCommand, nested, settings_options
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.commands.diff.compare.report import Report
    from worker.commands.diff.request import Request
    from worker.settings import Settings

_NEEDED = ("duckdb", "matplotlib", "pyarrow", "scipy")
_OVER = 3


@click.command(cls=SettingsCommand)
@click.argument("left")
@click.argument("right")
@click.option(
    "--from",
    "start",
    default="earliest",
    show_default=True,
    help="where to begin in topics: earliest, an offset or a time",
)
@click.option(
    "--to", "end", default="latest", show_default=True, help="where to end in topics: latest, an offset or a time"
)
@click.option("--partitions", metavar="LIST", help="partitions of topics, such as 0,3-5; all by default")
@click.option(
    "--left-checkpoint",
    metavar="DIGEST",
    help="compare only the left's labels whose checkpoint has a digest that starts so",
)
@click.option("--right-checkpoint", metavar="DIGEST", help="the same for the right")
@click.option(
    "--posts", metavar="FILE", help="file or folder of the posts; by default they are read from the posts topic"
)
@click.option("--no-posts", is_flag=True, help="do not read the posts: no texts, and segments by modality only")
@click.option(
    "--truth",
    type=click.Path(path_type=Path, dir_okay=False),
    help="file of known answers: an id and a column for each task, CSV or JSON lines",
)
@click.option(
    "--moved",
    default=20,
    show_default=True,
    type=click.IntRange(0, 1000),
    help="how many of the posts that moved most to list",
)
@click.option(
    "--explain", default=0, show_default=True, type=click.IntRange(0, 100), help="how many of these to explain"
)
@click.option("--left-model", type=click.Path(path_type=Path), help="folder of the left's checkpoint, for --explain")
@click.option("--right-model", type=click.Path(path_type=Path), help="the same for the right")
@click.option(
    "--policies",
    type=click.Path(path_type=Path, file_okay=False),
    help="folder of policies: the report says which decisions change, and how many",
)
@click.option(
    "--right-policies",
    type=click.Path(path_type=Path, file_okay=False),
    help="folder of the right's policies, if other",
)
@click.option("--json", "as_json", is_flag=True, help="for a program to read")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="write the report as one HTML file")
@click.option(
    "--fail-over",
    multiple=True,
    metavar="[TASK=]SHARE",
    help="exit with 3 when a larger share of a task's labels flips; TASK may be sarcasm.intensity",
)
@click.option("--follow", is_flag=True, help="compare again as the topics grow, until Ctrl-C")
@click.option(
    "--every", default=5.0, show_default=True, type=click.FloatRange(0.1), help="seconds between, with --follow"
)
@settings_options("kafka", "stack", "log")
def diff(**options: Any) -> None:
    """Say how the labels of LEFT (old) and RIGHT (new) differ.

    Each is a topic (labels.sarcasm), a pattern (labels.{task}, labels.{task}.shadow), or a file or glob of JSON lines
    or Parquet: what `mmorient label` prints, or what stands on a label topic. If a file has the name, the file is
    read; topic:NAME and file:NAME say which is meant.
    """
    _check_extra()
    from worker.broker.ranges import parse_partitions, parse_range
    from worker.commands.diff.read.sources import parse_posts, parse_source
    from worker.commands.diff.request import Request, parse_limits
    from worker.policies.reading import read_policies

    take = options.pop
    partitions, posts = take("partitions"), take("posts")
    left_policies, right_policies = take("policies"), take("right_policies")
    since, until = parse_range(take("start"), take("end"))
    request = Request(
        left=parse_source(take("left"), take("left_checkpoint")),
        right=parse_source(take("right"), take("right_checkpoint")),
        start=since,
        end=until,
        partitions=None if partitions is None else parse_partitions(partitions),
        posts=None if posts is None else parse_posts(posts),
        no_posts=take("no_posts"),
        truth=take("truth"),
        moved=take("moved"),
        explain=take("explain"),
        left_model=take("left_model"),
        right_model=take("right_model"),
        limits=parse_limits(take("fail_over")),
        policies=None if left_policies is None else read_policies(left_policies),
        right_policies=None if right_policies is None else read_policies(right_policies),
    )
    as_json, html, follow, every = take("as_json"), take("html"), take("follow"), take("every")
    request.check()
    if follow and not request.reads_topics:
        raise SettingsError("--follow needs a topic: files are read once")
    if html is not None and not html.parent.is_dir():
        raise SettingsError(f"--html: no such folder: {html.parent}")
    if html is not None and (said := wrong_ending(html, HTML_ENDINGS)):
        raise SettingsError(f"--html: {said}")
    settings = _settings(options, needs_broker=request.reads_topics)
    from worker.commands.diff.following import Follow
    from worker.commands.diff.show.showing import Show

    show = Show(as_json=as_json, html=html)
    with TemporaryDirectory(prefix="moderate-diff-") as folder:
        report = asyncio.run(_compare(request, settings, Path(folder), Follow(show, every) if follow else None))
        show.last(report)
    _end(report)


async def _compare(request: "Request", settings: "Settings", folder: Path, follow: Any) -> "Report":
    from contextlib import AsyncExitStack
    from dataclasses import replace

    from worker.broker.clients import KafkaLinks
    from worker.commands.diff.read.sources import existing_topics
    from worker.commands.diff.read.topics import topic_reader
    from worker.commands.diff.session import Session

    async with AsyncExitStack() as stack:
        reader = None
        if request.reads_topics:
            broker = settings.kafka.bootstrap_servers or ""
            links = KafkaLinks(broker, settings.kafka)
            reader = await stack.enter_async_context(
                topic_reader(links, request.start, request.end, request.partitions)
            )
            there = await reader.topics()
            left, right = (
                existing_topics(side, there, broker) if side.kind == "topic" else side
                for side in (request.left, request.right)
            )
            request = replace(request, left=left, right=right)
        session = Session(request, folder, reader)
        stack.callback(session.close)
        await session.read()
        report = await session.report()
        if follow is not None:
            report = await follow.run(session, report)
        return await session.explained(report) if request.explain else report


def _end(report: "Report") -> None:
    from worker.commands.diff.session import check_limits
    from worker.commands.terminal import harmless

    check_limits(report)
    if report.fail_over is None or not report.fail_over.exceeded:
        return
    limits = report.fail_over.limits
    said = ", ".join(
        f"{share:.2%} of {task} (more than {limits[task]:g})" for task, share in report.fail_over.exceeded.items()
    )
    click.echo(f"moderate: too many labels flip: {harmless(said)}", err=True)
    sys.exit(_OVER)


def _settings(options: dict[str, Any], *, needs_broker: bool) -> "Settings":
    from worker.commands.startup import read_settings
    from worker.settings import load_settings

    return read_settings(options) if needs_broker else load_settings(nested(options))


def _check_extra() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SettingsError(f"moderate diff needs {', '.join(missing)}: pip install 'mm-orient-moderation[diff]'")
