"""`moderate audit`."""

import sys
from typing import Any

import click

from worker.commands.options import SettingsCommand, settings_options
from worker.errors import SettingsError

_FAULTY = 3
_ANY = "any"


@click.command(cls=SettingsCommand)
@click.option(
    "--from", "start", default="earliest", show_default=True, metavar="BOUND",
    help="first post to look at, of each partition: earliest, an offset, or a time such as 2026-11-20T12:00:00Z",
)  # fmt: skip
@click.option(
    "--progress", "progress_group", metavar="GROUP",
    help="keep how far the audit is in the offsets of this group, and go on from there",
)  # fmt: skip
@click.option(
    "--expect-checkpoint", "checkpoints", multiple=True, metavar="DIGEST",
    help="of which labels may be, sha256:… or `any`; may be repeated  [the checkpoint of the settings]",
)  # fmt: skip
@click.option(
    "--expect-policy", is_flag=True,
    help="all decisions follow from the folder of --policies, and none is missing  [from whatever they name]",
)  # fmt: skip
@click.option("--follow", is_flag=True, help="go on as posts are labelled, until Ctrl-C, and serve metrics")
@click.option(
    "--every", "seconds", default=10.0, show_default=True, type=click.FloatRange(0.1),
    help="seconds between two looks, with --follow",
)  # fmt: skip
@click.option(
    "--limit", default=1000, show_default=True, type=click.IntRange(0), help="faults to name; all are counted"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object a fault, and one with the count at the end")
@settings_options("kafka", "checkpoint", "policies", "http", "stack", "log")
def audit(
    *,
    start: str,
    progress_group: str | None,
    checkpoints: tuple[str, ...],
    expect_policy: bool,
    follow: bool,
    seconds: float,
    limit: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Prove from the topics that every post has exactly one label a task, or one dead letter.

    Where decisions are on, they are worked out again from the labels, by the policy that they name.

    Reads posts and outputs up to what the workers' group has committed, offset by offset, and names each fault with its
    position. Ends with 3 where there is one. Use the workers' settings.
    """
    from mmorient import CheckpointError, PostReader, checkpoint_digest
    from worker.broker.ranges import parse_range
    from worker.commands.audit.command import Request, audit_for_ever, audit_once
    from worker.commands.audit.terms import PolicyTerms, Terms
    from worker.commands.listening import refuse_taken_address
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings
    from worker.policies.reading import folder_policies

    since, _ = parse_range(start, "latest")
    settings = read_settings(options)
    kafka = settings.kafka
    if progress_group == kafka.group_id:
        raise SettingsError(f"--progress: {progress_group} is the workers' group; an audit has one of its own")
    expected: frozenset[str] | None = frozenset(checkpoints)
    if _ANY in checkpoints:
        expected = None
    elif not checkpoints:
        try:
            expected = frozenset({checkpoint_digest(settings.checkpoint)})
        except (CheckpointError, OSError) as error:
            raise SettingsError(f"MODERATE_CHECKPOINT: {error}") from error
    if expect_policy and settings.policies is None:
        raise SettingsError("--expect-policy needs --policies (MODERATE_POLICIES), the folder of the policy")
    folder = folder_policies(settings)
    policies = PolicyTerms([folder], folder if expect_policy else None)
    terms = Terms(kafka, expected, PostReader(kafka.text_format, kafka.post_fields), policies)
    request = Request(terms, since, progress_group, limit, as_json)
    if follow:
        refuse_taken_address(settings.http)
        clean = run_once(audit_for_ever(request, settings.http, seconds=seconds))
    else:
        clean = run_once(audit_once(request))
    if not clean:
        sys.exit(_FAULTY)
