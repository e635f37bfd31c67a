"""A post that came over HTTP, in the place of a record: the stages see no difference."""

from dataclasses import dataclass

from worker.items import Headers

TOPIC = "http"


@dataclass(frozen=True, slots=True)
class PostedRecord:
    """What the stages use of a record.

    Attributes:
        value: The post's bytes, as they came.
        offset: Its number among the posts that this process was given: logs and the watchdog name it by that.
        timestamp: When it came, in milliseconds since the epoch.
        headers: Those that carry a trace.
    """

    value: bytes
    offset: int
    timestamp: int
    headers: Headers = ()
    topic: str = TOPIC
    partition: int = 0
    key: bytes | None = None
