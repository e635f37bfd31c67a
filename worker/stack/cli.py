"""`moderate stack`: the local Kafka and Redis."""

import json
import sys
from datetime import datetime
from pathlib import Path

import click

from worker.stack.process import ServerProcess
from worker.stack.stack import Stack

_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".stack"),
    show_default=True,
    envvar="MODERATE_STACK__FOLDER",
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
    click.echo(f"kafka  {endpoints.kafka}\nredis  {endpoints.redis}")


@stack.command()
@click.option("--keep-data", is_flag=True, help="go on with the same topics after the next `up`")
@_folder
def down(folder: Path, *, keep_data: bool) -> None:
    """Stop both and remove their data."""
    Stack(folder).down(keep_data=keep_data)
    click.echo("stopped")


@stack.command()
@click.option("--json", "as_json", is_flag=True, help='{"kafka": "host:port", "redis": "redis://…"}')
@_folder
def status(folder: Path, *, as_json: bool) -> None:
    """Say where both are; exit code 0 if both are up, 1 otherwise."""
    local = Stack(folder)
    endpoints = local.status()
    if as_json:
        click.echo(json.dumps({"kafka": endpoints.kafka, "redis": endpoints.redis}))
    else:
        click.echo(_line("kafka", endpoints.kafka, local.external.kafka, local.kafka))
        click.echo(_line("redis", endpoints.redis, local.external.redis, local.redis))
    sys.exit(0 if endpoints.complete else 1)


def _line(name: str, address: str | None, external: str | None, server: ServerProcess) -> str:
    if address is None:
        return f"{name}  down"
    if external is not None or server.started_at is None:
        return f"{name}  external  {address}"
    since = datetime.fromtimestamp(server.started_at).astimezone().isoformat(" ", "seconds")
    return f"{name}  up  {address}  pid {server.pid}  since {since}"
