"""Decision: what an operator's policy makes of a post's labels. A function of the labels and the policy alone."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.label import Community, CreatedAt, ModelStamp, Source

_WRITTEN = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)


class Decided(BaseModel):
    """One decision, and the rule that it follows from."""

    model_config = _WRITTEN

    decision: str = Field(description="what is decided, in the operator's word")
    rule: str = Field(description="name of the rule that was in force")
    task: str
    label: str = Field(description="class or degree that the rule looks at")
    probability: float = Field(description="of it, as the task's label says it")
    threshold: float = Field(description="the rule's, which the probability reaches")


class PolicyStamp(BaseModel):
    """Which policy decided."""

    model_config = _WRITTEN

    version: str = Field(
        pattern=r"^sha256:[0-9a-f]{64}$", description="digest of the meaning of all rules; where it is equal, they are"
    )


class Decision(BaseModel):
    """What was decided on one post: the value of a record on `decisions`. A post on which nothing was has none."""

    model_config = _WRITTEN

    post_id: str
    decisions: Annotated[tuple[Decided, ...], Field(min_length=1, description="those of the highest priority first")]
    policy: PolicyStamp
    community: Community = None
    created_at: CreatedAt = None
    model: ModelStamp
    source: Source
    schema_: Literal["decision/1"] = Field(default="decision/1", alias="schema")
