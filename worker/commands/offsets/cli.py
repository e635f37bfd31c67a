"""`moderate offsets`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from worker.commands.options import SettingsCommand, settings_options

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group("offsets")
def offsets() -> None:
    """Say where the workers' group goes on, once its offsets are gone. Stop the workers first."""


@offsets.command("go-on", cls=SettingsCommand)
@settings_options("kafka", "stack", "log")
def go_on(**options: Any) -> None:
    """Go on behind the last post that the group has labelled, in each partition of which it has no offset."""
    _run(options, None, anew=False)


@offsets.command("begin-anew", cls=SettingsCommand)
@click.option("--partitions", metavar="LIST", help="such as 0,3-5, also of those with an offset  [those without one]")
@settings_options("kafka", "stack", "log")
def begin_anew(partitions: str | None, **options: Any) -> None:
    """Begin with the oldest post that is there, whether it is labelled or not."""
    _run(options, partitions, anew=True)


def _run(options: dict[str, Any], partitions: str | None, *, anew: bool) -> None:
    from worker.broker.ranges import parse_partitions
    from worker.commands.offsets.command import set_group
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings

    chosen = None if partitions is None else parse_partitions(partitions)
    run_once(set_group(read_settings(options).kafka, chosen, anew=anew))
