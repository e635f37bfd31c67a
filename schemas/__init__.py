"""The events of the stream: read from `posts`, written to `labels.*`, `decisions` and `posts.dead-letter`."""

from schemas.dead_letter import DeadLetter, own_headers
from schemas.decision import Decided, Decision, PolicyStamp
from schemas.label import (
    MAX_COMMUNITY,
    UNAVAILABLE_REASONS,
    Intensity,
    Label,
    LabelSet,
    ModelStamp,
    Reading,
    Source,
    TaskLabel,
    Unavailable,
)
from schemas.post import Medium, Post
from schemas.replay import Replay
from schemas.topics import EVENTS, Event
from schemas.verdict import Verdict

__all__ = [
    "EVENTS",
    "MAX_COMMUNITY",
    "UNAVAILABLE_REASONS",
    "DeadLetter",
    "Decided",
    "Decision",
    "Event",
    "Intensity",
    "Label",
    "LabelSet",
    "Medium",
    "ModelStamp",
    "PolicyStamp",
    "Post",
    "Reading",
    "Replay",
    "Source",
    "TaskLabel",
    "Unavailable",
    "Verdict",
    "own_headers",
]
