"""Settings of how posts are labelled: batches, limits of the work on one post, thresholds."""

from typing import Annotated

from pydantic import Field

from worker.settings.group import Count, Group, Seconds

Threshold = float | None


class BatchSettings(Group):
    """How many posts go together."""

    max_posts: Count = Field(64, description="posts that are prepared for the model together")
    max_in_flight: Count = Field(3, description="batches that are prepared and labelled at once")
    max_call_tokens: Count | None = Field(
        None, description="tokens of texts in one call of the model, padding included; unset: measured at the start"
    )
    max_call_pictures: Count | None = Field(
        None, description="pictures in one call of the model, each frame counts; unset: measured at the start"
    )
    window: Count = Field(512, description="posts of one partition between fetch and commit")
    max_in_flight_bytes: Count = Field(
        64 * 1024 * 1024, description="bytes of records between fetch and commit; a larger record passes alone"
    )
    recent_bytes: Annotated[int, Field(ge=0)] = Field(
        64 * 1024 * 1024,
        description="embeddings of the last texts and pictures, readings of texts, and labels, that this process keeps",
    )
    max_text_chars: Count = Field(100_000, description="characters of a post's text; longer is a dead letter")


class GuardSettings(Group):
    """What ends a process that hangs, and how a post that kills the process is found."""

    max_work_seconds: Seconds = Field(
        60.0, description="longest time for one model call, one picture, or a standstill of the event loop"
    )
    memory_patience_seconds: Seconds = Field(
        2.0, description="time that a batch waits for memory before a post that does not fit is a dead letter"
    )
    memory_rest_seconds: Seconds = Field(60.0, description="time after which larger model calls are tried again")
    trial_start_seconds: Seconds = Field(120.0, description="longest start of the process that tries suspicious posts")
    trial_memory_bytes: Count = Field(
        2 * 1024 * 1024 * 1024, description="memory that one post may take on trial, above the model's"
    )


class ThresholdSettings(Group):
    """From which probability on a post is called so; unset: the label is the most probable class.

    Tasks of two classes can have one. It is stamped on every label that it decides; probabilities stay as they are.
    """

    humour: Threshold = Field(None, gt=0, lt=1, description="probability from which on a post is called humorous")
    sarcasm: Threshold = Field(None, gt=0, lt=1, description="probability from which on a post is called sarcastic")
    offensiveness: Threshold = Field(
        None, gt=0, lt=1, description="probability from which on a post is called offensive"
    )
    motivation: Threshold = Field(
        None, gt=0, lt=1, description="probability from which on a post is called motivational"
    )

    def by_task(self) -> dict[str, float]:
        """Return the thresholds that are set."""
        return self.model_dump(exclude_none=True)
