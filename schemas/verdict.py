"""Verdict: what a person says of a label, written where they look at the stream."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.label import Source


class Verdict(BaseModel):
    """The value of a record on the topic of verdicts; its key is the post's position.

    Of several verdicts of one person on one label the last one counts.
    """

    # Entries are read here too, and a later version may have added to them.
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True)

    post_id: str
    task: str
    label: str = Field(description="what the model said")
    probability: float = Field(ge=0, le=1, description="that the model gave this label")
    verdict: Literal["agree", "disagree"]
    says: str = Field(description="the label that the person gives; the model's where they agree")
    by: str = Field(description="who: the name of an API key, or the one that a proxy says")
    at: datetime
    post: Source = Field(description="where the post stands in Kafka")
    checkpoint: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="whose label it is")
    schema_: Literal["verdict/1"] = Field(default="verdict/1", alias="schema")
