"""`moderate demo`."""

import asyncio
import sys
from pathlib import Path
from uuid import uuid4

import click
from rich.console import Console

from worker.commands.stack.stack import Stack
from worker.secrets import without_password
from worker.settings import KafkaSettings, load_settings


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(".stack-demo"),
    show_default=True,
    help="of the demo's own stack",
)
@click.option(
    "--posts-per-second",
    type=click.FloatRange(min=0.1),
    default=30.0,
    show_default=True,
    help="how fast samples are fed",
)
@click.option(
    "--page", is_flag=True, help="then show the stream on the page of `moderate serve`, fed slowly, until Ctrl-C"
)
def demo(folder: Path, posts_per_second: float, page: bool) -> None:
    """Stream the sample posts through a local Kafka, Redis and the worker, and count what comes out."""
    from worker.commands.demo.run import Demo

    settings = load_settings()
    console = Console(highlight=False)
    stack = Stack(folder)
    console.print("starting Kafka and Redis …")
    stack.down()
    try:
        endpoints = stack.up()
        console.print(f"Kafka at {endpoints.kafka}, Redis at {without_password(endpoints.redis or '')}")
        # On a broker that is not the demo's own, it keeps to topics of its own.
        prefix = f"demo-{uuid4().hex[:8]}." if settings.kafka.bootstrap_servers else ""
        kafka = KafkaSettings(
            **{
                **settings.kafka.model_dump(exclude={"group_instance_id"}),
                "bootstrap_servers": endpoints.kafka,
                "group_id": f"{prefix}moderate",
                "posts_topic": f"{prefix}posts",
                "dead_letter_topic": f"{prefix}posts.dead-letter",
                "routes": {task: f"{prefix}labels.{task}" for task in ("sentiment", "sarcasm", "offensiveness")},
            }
        )
        outcome = asyncio.run(Demo(console, kafka, endpoints.redis or "", folder, posts_per_second, page=page).run())
    finally:
        stack.down(keep_logs=True)
    click.echo(str(outcome))
    if outcome.lost or outcome.duplicated or not outcome.labelled:
        sys.exit(1)
