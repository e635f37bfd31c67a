"""`moderate stack`: the local Kafka and Redis."""

import json
import sys
from datetime import datetime
from pathlib import Path

import click

from worker.commands.stack.server import Server
from worker.commands.stack.stack import Stack
from worker.errors import FatalError
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
_number = click.argument("number", type=click.IntRange(1))
_MOST_BROKERS = 9


@click.group()
def stack() -> None:
    """A local Kafka and Redis, without Docker or root.

    Where MODERATE_KAFKA__BOOTSTRAP_SERVERS or MODERATE_REDIS__URL names a server, that one is used instead.
    """


@stack.command()
@click.option(
    "--brokers",
    type=click.IntRange(1, _MOST_BROKERS),
    show_default="1, or as many as the folder has",
    help="of Kafka; three or more keep what is written while one of them is away",
)
@_folder
def up(folder: Path, *, brokers: int | None) -> None:
    """Start both and return when they answer; what runs already is left alone.

    With --brokers 3 each record has three copies, two of which must be written before it counts. Give
    `moderate topics create` a --replication-factor 3 then.
    """
    endpoints = Stack(folder, brokers=brokers).up()
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
    """Say where both are; exit code 0 if both answer, all brokers included, 1 otherwise."""
    local = Stack(folder)
    answering = local.answering()
    if as_json:
        click.echo(json.dumps({"kafka": answering.kafka, "redis": answering.redis}))
    external = local.external
    answer = (answering.kafka or "").split(",")
    complete = answering.complete
    for broker in [local.kafka] if external.kafka else local.brokers:
        answers = answering.kafka is not None if external.kafka else broker.address in answer
        complete = complete and answers
        if not as_json:
            click.echo(_line(broker, external.kafka, answers=answers))
    if not as_json:
        click.echo(_line(local.redis, external.redis, answers=answering.redis is not None))
    sys.exit(0 if complete else 1)


@stack.group()
def broker() -> None:
    """Break and mend one broker: 1 is the first."""


@broker.command()
@_number
@_folder
def kill(folder: Path, number: int) -> None:
    """End a broker at once (SIGKILL), as a crash would.

    `restart` brings it back with its data.
    """
    _running(folder, number).kill()
    click.echo("killed")


@broker.command()
@_number
@_folder
def pause(folder: Path, number: int) -> None:
    """Freeze a broker (SIGSTOP): its ports stay open and nothing answers."""
    _running(folder, number).pause()
    click.echo("paused")


@broker.command()
@_number
@_folder
def resume(folder: Path, number: int) -> None:
    """Let a paused broker go on."""
    _running(folder, number).resume()
    click.echo("resumed")


@broker.command()
@_number
@_folder
def restart(folder: Path, number: int) -> None:
    """Start a broker again with its data.

    One that runs is ended gently first. It returns when the broker answers.
    """
    server = Stack(folder).broker(number)
    server.restart()
    click.echo(f"up  {server.address}")


def _running(folder: Path, number: int) -> Server:
    server = Stack(folder).broker(number)
    if server.pid is None:
        raise FatalError(f"broker {number} of the stack in {folder} is not running")
    return server


def _line(server: Server, external: str | None, *, answers: bool) -> str:
    silent = "" if answers else "  does not answer"
    if external is not None:
        return f"{server.name}  external  {without_password(external)}{silent}"
    address, started_at = server.address, server.started_at
    if address is None or started_at is None:
        return f"{server.name}  down"
    since = datetime.fromtimestamp(started_at).astimezone().isoformat(" ", "seconds")
    return f"{server.name}  up  {address}  pid {server.pid}  since {since}{silent}"
