"""The events of the stream: what is read from `posts` and written to `labels.*` and `posts.dead-letter`."""

from schemas.dead_letter import DeadLetter, own_headers
from schemas.label import MAX_COMMUNITY, Intensity, Label, LabelSet, ModelStamp, Reading, Source, TaskLabel, Unavailable
from schemas.post import Medium, Post
from schemas.replay import Replay
from schemas.topics import EVENTS, Event
from schemas.verdict import Verdict

__all__ = [
    "EVENTS",
    "MAX_COMMUNITY",
    "DeadLetter",
    "Event",
    "Intensity",
    "Label",
    "LabelSet",
    "Medium",
    "ModelStamp",
    "Post",
    "Reading",
    "Replay",
    "Source",
    "TaskLabel",
    "Unavailable",
    "Verdict",
    "own_headers",
]
