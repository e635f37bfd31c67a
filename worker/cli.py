"""The `moderate` command."""

import sys
from typing import NoReturn

import click

from mmorient.commands.usage import Commands, usage_in_one_line
from worker.commands.audit.cli import audit
from worker.commands.backfill.cli import backfill
from worker.commands.dead_letters.cli import dead_letters
from worker.commands.demo.cli import demo
from worker.commands.diff.cli import diff
from worker.commands.doctor.cli import doctor
from worker.commands.forget.cli import forget
from worker.commands.import_archive.cli import import_
from worker.commands.labels.cli import labels
from worker.commands.offsets.cli import offsets
from worker.commands.policies.cli import policies
from worker.commands.run import run
from worker.commands.serve import serve
from worker.commands.stack.cli import stack
from worker.commands.topics import topics
from worker.commands.verdicts.cli import verdicts
from worker.errors import SettingsError, WorkerError


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mm-orient-moderation")
def moderate() -> None:
    """Label posts from Kafka with sentiment, sarcasm and offensiveness.

    Settings come from options, then MODERATE_… environment variables, then a .env file.
    Where no broker or Redis is named, the local stack (`moderate stack up`) is used.
    """


moderate.add_command(run)
moderate.add_command(serve)
moderate.add_command(topics)
moderate.add_command(stack)
moderate.add_command(demo)
moderate.add_command(backfill)
moderate.add_command(diff)
moderate.add_command(dead_letters)
moderate.add_command(labels)
moderate.add_command(audit)
moderate.add_command(offsets)
moderate.add_command(policies)
moderate.add_command(forget)
moderate.add_command(import_)
moderate.add_command(verdicts)
moderate.add_command(doctor)

moderate.show_examples(
    {
        "": "run --kafka-bootstrap-servers broker:9092",
        "run": "run --kafka-bootstrap-servers broker:9092 --redis-url redis://cache:6379/0 --http-port 8081",
        "serve": "serve --serve-port 8090 --serve-keys-file keys --redis-url redis://cache:6379/0",
        "topics": "topics create --partitions 12",
        "topics create": "topics create --partitions 12 --replication-factor 3",
        "stack": "stack up",
        "stack up": "stack up --folder .stack",
        "stack down": "stack down --keep-data",
        "stack status": "stack status --json",
        "stack broker": "stack broker kill 2",
        "stack broker kill": "stack broker kill 2 --folder .stack",
        "stack broker pause": "stack broker pause 2",
        "stack broker resume": "stack broker resume 2",
        "stack broker restart": "stack broker restart 2",
        "demo": "demo --posts-per-second 30",
        "backfill": "backfill --from 2026-11-01T00:00:00Z --checkpoint new/ --dry-run",
        "diff": "diff labels.{task} labels.{task}.shadow --from 2026-11-01T00:00:00Z",
        "dead-letters": "dead-letters list --by stage",
        "dead-letters list": "dead-letters list --by community --from 2026-11-20T12:00:00Z",
        "dead-letters show": "dead-letters show --stage decode --limit 3",
        "dead-letters replay": "dead-letters replay --stage media --wait",
        "labels": "labels p-1017 --key u-9 --post post.json",
        "audit": "audit --from 2026-11-20T12:00:00Z --progress moderation.audit --json",
        "offsets": "offsets go-on",
        "offsets go-on": "offsets go-on --kafka-group-id moderate",
        "offsets begin-anew": "offsets begin-anew --partitions 0,3-5",
        "policies": "policies check policies/ labels.jsonl",
        "policies check": "policies check policies/ labels.jsonl --posts posts.jsonl",
        "policies publish": "policies publish policies/ --dry-run",
        "policies withdraw": "policies withdraw --kafka-policies-topic moderate.policies",
        "policies show": "policies show sha256:3f9c1a2b7d60 --json",
        "forget": "forget p-1017 --key u-9 --dry-run",
        "import": "import archive/ --max-posts-per-second 100",
        "verdicts": "verdicts export verdicts.jsonl",
        "verdicts export": "verdicts export verdicts.jsonl --from 2026-11-01T00:00:00Z",
        "doctor": "doctor --only broker --only topics",
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
