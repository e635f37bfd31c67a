"""What the routes take and give, for `/openapi.json`: labels as on the topics, but for their place in Kafka."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.decision import Decided, PolicyStamp
from schemas.label import ModelStamp, PlacelessLabel

_WRITTEN = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ServedLabel(PlacelessLabel):
    """One task's label of one post: the fields of a label record without `source`, digit by digit."""

    schema_: Literal["label/1"] = Field(default="label/1", alias="schema")


class Refused(BaseModel):
    """Why there is no answer. Of a post, what its dead letter would carry; of a request, `stage` is `http`."""

    model_config = _WRITTEN

    stage: str = Field(description="which stage refused it")
    reason: str = Field(description="code, for programs")
    message: str = Field(description="in words; nothing that people wrote")


class Refusal(BaseModel):
    """A request that is not answered."""

    model_config = _WRITTEN

    error: Refused


class PostAnswer(BaseModel):
    """What is said of one post: `labels`, or `error`, or `passed_over`."""

    model_config = _WRITTEN

    post_id: str | None = Field(description="null where it cannot be read")
    labels: dict[str, ServedLabel] | None = Field(default=None, description="by task")
    decisions: list[Decided] | None = Field(
        default=None, description="what the policies make of the labels, where there are policies; empty for nothing"
    )
    policy: PolicyStamp | None = Field(default=None, description="which policies, where there are some")
    error: Refused | None = None
    passed_over: Literal["deletion", "no_post"] | None = Field(
        default=None, description="there is nothing to label: an event that deletes a post, or is none"
    )


class TaskShape(BaseModel):
    """A task's classes, and the degrees of its intensity."""

    classes: list[str]
    degrees: list[str]


class ModelAnswer(ModelStamp):
    """Which model answers, and how: in short what `mmorient inspect --json` says."""

    embedding: str = Field(description="digest of what a cached embedding depends on")
    languages: list[str] = Field(description="that the checkpoint was made for; empty where it does not say")
    bank: dict[str, int] = Field(description="posts that a post is compared with")
    tasks: dict[str, TaskShape]
    answered: list[str] = Field(description="tasks that /v1/label answers: those of MODERATE_KAFKA__ROUTES")
    thresholds: dict[str, float] = Field(description="operators' own")
    policy: PolicyStamp | None = Field(description="which policies make decisions of labels; null for none")
    shares: Any = Field(description="shares of classes for which probabilities are stated")
    device: str
    version: str
