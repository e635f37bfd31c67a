"""What the groups of settings share: the base class, and types of values with their limits."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class Group(BaseModel):
    """A group of settings; a name that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
