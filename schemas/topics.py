"""The events by topic: who writes them, who reads them, which version is current."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.label import Label, LabelSet
from schemas.post import Post
from schemas.replay import Replay
from schemas.verdict import Verdict


@dataclass(frozen=True)
class Event:
    """One kind of record and the side of it that this project stands on.

    `role` decides which change breaks somebody: a reader must go on reading what old producers write,
    a writer must go on writing what old consumers read.
    """

    name: str
    version: int
    owner: str
    topic: str
    role: Literal["read", "written"]
    model: type[BaseModel]

    @property
    def file_name(self) -> str:
        """Name of the JSON Schema file."""
        return f"{self.name}-{self.version}.schema.json"


EVENTS = (
    Event("post", 1, "the social network", "posts", "read", Post),
    Event("label", 1, "moderation", "labels.TASK", "written", Label),
    Event("label-set", 1, "moderation", "a topic that several tasks share", "written", LabelSet),
    Event("decision", 1, "moderation", "decisions", "written", Decision),
    Event("dead-letter", 1, "moderation", "posts.dead-letter (headers)", "written", DeadLetter),
    Event("replay", 1, "moderation", "posts.dead-letter.replays", "written", Replay),
    Event("verdict", 1, "moderation", "moderate.verdicts", "written", Verdict),
)
