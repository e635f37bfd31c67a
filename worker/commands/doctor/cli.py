"""`moderate doctor`."""

from typing import Any

import click

from worker.commands.options import SettingsCommand, settings_options


@click.command(cls=SettingsCommand)
@click.option(
    "--only", multiple=True, metavar="AREA",
    help="look only at an area (settings, broker, topics, permissions, …) or a check (topics.sizes), and at what it "
    "needs; may be repeated or joined by commas",
)  # fmt: skip
@click.option(
    "--timeout", "seconds", default=30.0, show_default=True, type=click.FloatRange(min=1), help="seconds for all of it"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object: findings and a summary")
@settings_options()
@click.pass_context
def doctor(context: click.Context, /, *, only: tuple[str, ...], seconds: float, as_json: bool, **options: Any) -> None:
    """Look whether a worker with these settings would run here, and say what to change where it would not.

    Nothing is written to any topic, no offset is moved, no worker loses a partition. Exit code 1 where a worker
    would not run.
    """
    from worker.commands.doctor.command import look

    names = [name.strip() for entry in only for name in entry.split(",") if name.strip()]
    context.exit(look(options, only=names, seconds=seconds, as_json=as_json))
