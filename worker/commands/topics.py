"""`moderate topics create`."""

from typing import Any

import click

from worker.commands.options import SettingsCommand, settings_options
from worker.commands.run_once import run_once
from worker.commands.startup import read_settings


@click.group()
def topics() -> None:
    """The topics of the stream."""


@topics.command("create", cls=SettingsCommand)
@click.option(
    "--partitions",
    default=None,
    show_default="6, or as many as the topics have that are there",
    type=click.IntRange(1),
    help="of every topic; refused where one is there with another number",
)
@click.option("--at-least", is_flag=True, help="with --partitions: topics may have more")
@click.option("--replication-factor", default=1, show_default=True, type=click.IntRange(1), help="of new topics")
@settings_options("kafka", "policies", "shadow", "stack", "log")
def create(partitions: int | None, at_least: bool, replication_factor: int, **options: Any) -> None:  # noqa: FBT001
    """Create the topics that are missing; refuse partition counts that do not match.

    With --shadow the shadow's too, with --policies those of decisions and of published policies.
    """
    if at_least and partitions is None:
        raise click.UsageError("--at-least needs --partitions")
    settings = read_settings(options)
    from worker.broker.clients import KafkaLinks
    from worker.broker.topics import create_control_topic, create_topics, shadow_topics

    beside = sorted(set(shadow_topics(settings).values()))

    async def work() -> list[str]:
        async with KafkaLinks(settings.kafka.bootstrap_servers or "", settings.kafka).connected_admin() as admin:
            made = await create_topics(
                admin,
                settings.kafka,
                partitions=partitions,
                replication_factor=replication_factor,
                beside=beside,
                exactly=True,
                or_more=at_least,
            )
            if settings.kafka.decisions_topic is None:
                return made
            control = settings.kafka.policies_topic
            return made + await create_control_topic(admin, control, replication_factor=replication_factor)

    made = run_once(work())
    for name in made:
        click.echo(f"created {name}")
    if not made:
        click.echo("all topics exist")
