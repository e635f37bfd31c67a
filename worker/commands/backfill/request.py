"""What is asked of a backfill, and what of that decides the labels and where they go."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from pydantic import ValidationError

from worker.broker.ranges import Bound
from worker.broker.topics import output_topics
from worker.errors import SettingsError
from worker.policies.reading import folder_policies
from worker.settings import KafkaSettings, Settings

# The word that lets a backfill write where the live stream writes.
LIVE = "live"
DEFAULT_OUTPUT = "labels.{task}.{checkpoint}"
# A process that waits for its turn does not hang, and a backfill may wait long.
_PATIENCE = 10
# Cached posts pass so fast that a transaction for each batch of the live size would slow them down.
_BATCH_POSTS = 256


@dataclass(frozen=True)
class Request:
    """A backfill as it was asked for.

    Args:
        start, end: bounds of the range.
        partitions: those to read; None for all.
        checkpoint: digest of the checkpoint that labels.
        settings: the worker's, with the backfill's own group, topics and tasks.
    """

    start: Bound
    end: Bound
    partitions: frozenset[int] | None
    checkpoint: str
    settings: Settings

    @property
    def asked(self) -> str:
        """The range in words, as messages and the group's offsets have it."""
        chosen = "" if self.partitions is None else f" of partitions {','.join(map(str, sorted(self.partitions)))}"
        return f"{self.start} to {self.end}{chosen}"

    @property
    def labels(self) -> str:
        """Digest of all that decides which labels are written, and where; processes that share a backfill agree."""
        settings = self.settings
        parts = {
            "posts": settings.kafka.posts_topic,
            "routes": dict(sorted(settings.kafka.routes.items())),
            "dead_letters": settings.kafka.dead_letter_topic,
            "checkpoint": self.checkpoint,
            "precision": settings.precision,
            "graph_context": settings.graph_context,
        }
        # Only where there are some: a backfill that was begun before they existed goes on.
        if thresholds := settings.thresholds.by_task():
            parts["thresholds"] = thresholds
        if settings.kafka.decisions_topic is not None:
            parts["decisions"] = [settings.kafka.decisions_topic, folder_policies(settings).version]
        return blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()


def backfill_settings(
    live: Settings, *, checkpoint: str, group_id: str | None, output: str, tasks: Sequence[str]
) -> Settings:
    """Return the settings of the backfill's workers.

    Args:
        live: the live stream's.
        checkpoint: digest of the checkpoint that labels.
        group_id: the backfill's; None for one named after the checkpoint.
        output: pattern of the label topics, or `live`.
        tasks: those to label; all that have a route, if empty.

    Raises:
        SettingsError: the group or a topic is the live one's, or a task is unknown.
    """
    kafka = live.kafka
    short = checkpoint.removeprefix("sha256:")[:12]
    group = group_id or f"{kafka.group_id}.backfill.{short}"
    if group == kafka.group_id:
        raise SettingsError(f"--group-id: {group} is the live group; a backfill has one of its own")
    unknown = [task for task in tasks if task not in kafka.routes]
    if unknown and output == LIVE:
        raise SettingsError(f"--tasks: {unknown[0]} has no live topic; tasks with one are {', '.join(kafka.routes)}")
    routes = (
        {task: topic for task, topic in kafka.routes.items() if not tasks or task in tasks}
        if output == LIVE
        else {task: _named(output, task, short) for task in tasks or kafka.routes}
    )
    dead = kafka.dead_letter_topic if output == LIVE else _beside(output, "dead-letter", short)
    # What is published while it runs would decide about some of its posts.
    decisions = None if live.policies is None else kafka.decisions_topic
    if decisions is not None and output != LIVE:
        decisions = _beside(output, "decisions", short)
    if output != LIVE:
        _refuse_live(kafka, {*routes.values(), dead, *([] if decisions is None else [decisions])})
    guard = live.guard.model_copy(update={"max_work_seconds": live.guard.max_work_seconds * _PATIENCE})
    changed = {
        "group_id": group,
        "routes": routes,
        "dead_letter_topic": dead,
        "decisions_topic": decisions,
        "start_at": "earliest",
    }
    # Checked anew: the pattern may name what no topic may be.
    try:
        checked = KafkaSettings.model_validate({**kafka.model_dump(), **changed})
    except ValidationError as error:
        raise SettingsError(f"--output, --tasks: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
    chosen = "max_posts" in live.batch.model_fields_set
    batch = live.batch if chosen else live.batch.model_copy(update={"max_posts": _BATCH_POSTS})
    return live.model_copy(update={"kafka": checked, "guard": guard, "batch": batch})


def _named(output: str, task: str, short: str) -> str:
    try:
        return output.format(task=task, checkpoint=short)
    except (KeyError, IndexError, ValueError) as error:
        allowed = "{task} and {checkpoint}, nothing else in braces"
        raise SettingsError(f"--output: {output!r} may hold {allowed}") from error


def _beside(output: str, what: str, short: str) -> str:
    """Return the topic of the backfill's dead letters or decisions: named as its labels are, and never one of those."""
    if "{task}" in output:
        return _named(output, what, short)
    return f"{_named(output, '', short)}.{what}"


def _refuse_live(kafka: KafkaSettings, topics: set[str]) -> None:
    taken = sorted(topics & {*output_topics(kafka), kafka.posts_topic, kafka.policies_topic})
    if taken:
        raise SettingsError(f"--output: {taken[0]} belongs to the live stream; `--output {LIVE}` says that it is meant")
