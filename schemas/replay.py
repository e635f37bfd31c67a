"""Replay: the note that a dead letter's post was written to the posts topic again, in one transaction with it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.label import Source


class Replay(BaseModel):
    """The value of a record on the ledger of replays; its key is the dead letter's position."""

    # Unlike labels, entries are read here too, and a later version may have added to them.
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True)

    dead_letter: Source = Field(
        description="the dead letter; of a post that was labelled without a picture, the post itself"
    )
    dead_letter_timestamp: int = Field(
        description="of that record, in milliseconds since the epoch: tells a topic from its namesake before it"
    )
    post: Source = Field(description="the post that the dead letter is of")
    attempt: int = Field(ge=1, description="as in the header moderate.attempt of the post that was written")
    replayed_at: datetime
    schema_: Literal["replay/1"] = Field(default="replay/1", alias="schema")
