"""`moderate stack`: the local Kafka and Redis."""

import json
import sys
from datetime import datetime
from pathlib import Path

import click

from worker.commands.stack.server import Server
from worker.commands.stack.stack import Stack
from worker.secrets import without_password
from worker.settings import load_settings

_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: load_settings().stack.folder,
    show_default=".stack",
    envvar="MODERATE_STACK__FOLDER",
    show_envvar=True,
    help="data, logs and process ids",
)


@click.group()
def stack() -> None:
    """A local Kafka and Redis, without Docker or root.

    Where MODERATE_KAFKA__BOOTSTRAP_SERVERS or MODERATE_REDIS__URL names a server, that one is used instead.
    """


@stack.command()
@_folder
def up(folder: Path) -> None:
    """Start both and return when they answer; what runs already is left alone."""
    endpoints = Stack(folder).up()
    click.echo(f"kafka  {endpoints.kafka}\nredis  {without_password(endpoints.redis or '')}")


@stack.command()
@click.option("--keep-data", is_flag=True, help="go on with the same topics and ports after the next `up`")
@_folder
def down(folder: Path, *, keep_data: bool) -> None:
    """Stop both and remove their data."""
    Stack(folder).down(keep_data=keep_data)
    click.echo("stopped")


@stack.command()
@click.option("--json", "as_json", is_flag=True, help='{"kafka": "host:port", "redis": "redis://…"}, null where not up')
@_folder
def status(folder: Path, *, as_json: bool) -> None:
    """Say where both are; exit code 0 if both answer, 1 otherwise."""
    local = Stack(folder)
    answering = local.answering()
    if as_json:
        click.echo(json.dumps({"kafka": answering.kafka, "redis": answering.redis}))
    else:
        external = local.external
        click.echo(_line(local.kafka, external.kafka, answers=answering.kafka is not None))
        click.echo(_line(local.redis, external.redis, answers=answering.redis is not None))
    sys.exit(0 if answering.complete else 1)


def _line(server: Server, external: str | None, *, answers: bool) -> str:
    silent = "" if answers else "  does not answer"
    if external is not None:
        return f"{server.name}  external  {without_password(external)}{silent}"
    address, started_at = server.address, server.started_at
    if address is None or started_at is None:
        return f"{server.name}  down"
    since = datetime.fromtimestamp(started_at).astimezone().isoformat(" ", "seconds")
    return f"{server.name}  up  {address}  pid {server.pid}  since {since}{silent}"
