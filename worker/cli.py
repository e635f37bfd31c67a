"""The `moderate` command."""

import asyncio
import os
import signal
import ssl
import sys
from typing import Any, NoReturn

import click

from mmorient.commands.usage import usage_in_one_line
from worker.commands.backfill.cli import backfill
from worker.commands.dead_letters.cli import dead_letters
from worker.commands.demo.cli import demo
from worker.commands.diff.cli import diff
from worker.commands.doctor.cli import doctor
from worker.commands.import_archive.cli import import_
from worker.commands.labels.cli import labels
from worker.commands.options import nested, settings_options
from worker.commands.stack.cli import stack
from worker.errors import SettingsError, WorkerError
from worker.settings import Settings, load_settings
from worker.telemetry.logs import configure_logs


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mm-orient-moderation")
def moderate() -> None:
    """Label posts from Kafka with sentiment, sarcasm and offensiveness.

    Settings come from options, then MODERATE_… environment variables, then a .env file.
    Where no broker or Redis is named, the local stack (`moderate stack up`) is used.
    """


moderate.add_command(stack)
moderate.add_command(demo)
moderate.add_command(backfill)
moderate.add_command(diff)
moderate.add_command(dead_letters)
moderate.add_command(labels)
moderate.add_command(import_)
moderate.add_command(doctor)


@moderate.command()
@settings_options()
def run(**options: Any) -> None:
    """Run the worker until it is told to stop (SIGTERM or Ctrl-C)."""
    # Until the shell takes the signal over nothing is in flight; a container's first process would not even hear it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    settings = read_settings(options)
    refuse_missing_files(settings)
    from worker.app import run_worker
    from worker.broker.topics import shadow_topics

    shadow_topics(settings)  # or one line why there can be none
    run_worker(settings)


@moderate.group()
def topics() -> None:
    """The topics of the stream."""


@topics.command("create")
@click.option(
    "--partitions",
    default=6,
    show_default=True,
    type=click.IntRange(1),
    help="of the posts topic, where it is missing",
)
@click.option("--replication-factor", default=1, show_default=True, type=click.IntRange(1), help="of new topics")
@settings_options("kafka", "shadow", "stack", "log")
def create(partitions: int, replication_factor: int, **options: Any) -> None:
    """Create the topics that are missing, with --shadow the shadow's too; refuse partition counts that do not match."""
    settings = read_settings(options)
    from worker.broker.clients import KafkaLinks
    from worker.broker.topics import create_topics, shadow_topics

    beside = sorted(set(shadow_topics(settings).values()))

    async def work() -> list[str]:
        async with KafkaLinks(settings.kafka.bootstrap_servers or "", settings.kafka).connected_admin() as admin:
            return await create_topics(
                admin,
                settings.kafka,
                partitions=partitions,
                replication_factor=replication_factor,
                beside=beside,
            )

    made = asyncio.run(work())
    for name in made:
        click.echo(f"created {name}")
    if not made:
        click.echo("all topics exist")


def read_settings(options: dict[str, Any]) -> Settings:
    """Read the settings, fill in the local stack's addresses where none are given, and set up the logs.

    Raises:
        SettingsError: a setting cannot be used, or there is no broker to talk to.
    """
    settings = load_settings(nested(options))
    configure_logs(settings.log.level, settings.log.format)
    refuse_missing_authority(settings)
    return with_local_stack(settings)


def refuse_missing_authority(settings: Settings) -> None:
    """Read the certificate authority's file, where one is named, before a client does in the middle of something.

    Raises:
        SettingsError: there is none, or it holds no certificates.
    """
    file = settings.kafka.ssl_cafile
    if file is None:
        return
    try:
        ssl.create_default_context(cafile=str(file))
    except (OSError, ssl.SSLError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "no certificates in PEM can be read"
        raise SettingsError(f"MODERATE_KAFKA__SSL_CAFILE: {reason} (got {str(file)!r})") from error


def refuse_missing_files(settings: Settings) -> None:
    """Look for checkpoints and reference before torch is loaded, which takes seconds.

    Raises:
        SettingsError: there is none where one is named.
    """
    for variable, folder in (
        ("MODERATE_CHECKPOINT", settings.checkpoint),
        ("MODERATE_SHADOW__CHECKPOINT", settings.shadow.checkpoint),
    ):
        if folder is not None and not (folder / "config.json").is_file():
            raise SettingsError(f"{variable}: no checkpoint in {folder} (its config.json is missing)")
    if (reference := settings.drift.reference) is not None and not reference.is_file():
        raise SettingsError(f"MODERATE_DRIFT__REFERENCE: there is no file {reference} (`mmorient reference` makes one)")


def with_local_stack(settings: Settings) -> Settings:
    """Return the settings with the local stack's addresses in the place of those not given.

    Raises:
        SettingsError: no broker is named and no local stack is up.
    """
    from worker.commands.stack.stack import Stack

    local = Stack(settings.stack.folder).status()
    kafka = settings.kafka.bootstrap_servers or local.kafka
    redis = settings.redis.url if settings.redis.url is not None else local.redis
    if not kafka:
        raise SettingsError(
            "MODERATE_KAFKA__BOOTSTRAP_SERVERS: no broker is named and no local stack is up in "
            f"{settings.stack.folder} (start one with `moderate stack up`)"
        )
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": kafka}),
            "redis": settings.redis.model_copy(update={"url": redis}),
        }
    )


def main() -> NoReturn:
    """Run the command; exit 0 when done, 2 for wrong usage or settings, 1 for anything else."""
    try:
        with usage_in_one_line("moderate"):
            code = moderate.main(standalone_mode=False)
    except SettingsError as error:
        click.echo(f"moderate: {error}", err=True)
        sys.exit(2)
    except WorkerError as error:
        click.echo(f"moderate: {error}", err=True)
        sys.exit(1)
    # click answers --help with the exit code, and commands with None.
    sys.exit(code or 0)
