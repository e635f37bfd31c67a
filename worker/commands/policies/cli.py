"""`moderate policies`."""

import sys
from pathlib import Path
from typing import Any

import click

from worker.commands.options import SettingsCommand, settings_options

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("policies")
def policies() -> None:
    """Rules that make labels into decisions: try them, publish them to running workers, show what is published."""


@policies.command("check")
@click.argument("folder", type=_FOLDER)
@click.argument("labels", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), required=False)
@click.option(
    "--posts", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="the posts, JSON lines, whose communities labels without one are given",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="one JSON object a post with a decision, and one with the counts")
def check(folder: Path, labels: Path | None, *, posts: Path | None, as_json: bool) -> None:
    """Read the *.toml of FOLDER; say what they decide on the posts of LABELS, a file of JSON lines.

    LABELS has what stands on label topics, or what `mmorient label` prints; - is standard input. No server is needed.
    """
    from worker.commands.policies.checking import check_policies

    if not check_policies(folder, labels, posts, as_json=as_json):
        sys.exit(1)


@policies.command("publish", cls=SettingsCommand)
@click.argument("folder", type=_FOLDER)
@click.option("--dry-run", is_flag=True, help="say what would change; publish nothing")
@settings_options("kafka", "stack", "log")
def publish(folder: Path, *, dry_run: bool, **options: Any) -> None:
    """Put the policy of FOLDER in force in all workers, running ones and later ones, until another is published."""
    from worker.commands.policies.topic import publish_policies
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings

    run_once(publish_policies(read_settings(options).kafka, folder, dry_run=dry_run))


@policies.command("withdraw", cls=SettingsCommand)
@settings_options("kafka", "stack", "log")
def withdraw(**options: Any) -> None:
    """Let each worker go by its own folder again (MODERATE_POLICIES), which may have none."""
    from worker.commands.policies.topic import withdraw_policies
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings

    run_once(withdraw_policies(read_settings(options).kafka))


@policies.command("show", cls=SettingsCommand)
@click.argument("version", required=False)
@click.option("--json", "as_json", is_flag=True, help="for a program to read")
@settings_options("kafka", "stack", "log")
def show(version: str | None, *, as_json: bool, **options: Any) -> None:
    """Print the published policy as TOML: the one in force, or the VERSION that a decision names, or its beginning."""
    from worker.commands.policies.topic import show_policies
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings

    run_once(show_policies(read_settings(options).kafka, version, as_json=as_json))
