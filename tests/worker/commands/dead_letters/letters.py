"""Dead letters as the worker writes them, without a worker."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.worker.system import Stream, headers_of
from worker.broker.ranges import parse_bound
from worker.commands.dead_letters.labelled import Unavailable
from worker.commands.dead_letters.question import Question
from worker.commands.dead_letters.selecting import Selection


@dataclass
class Draft:
    """A dead letter to be written; `parts` cuts its value."""

    value: bytes | None
    offset: int
    partition: int = 0
    stage: str = "decode"
    message: str = "record: Invalid JSON: EOF at line 1 column 7 (got b'…')"
    name: str = "pydantic_core._pydantic_core.ValidationError"
    topic: str | None = None
    key: bytes | None = b"k"
    own: list[tuple[str, bytes | None]] = field(default_factory=list)
    parts: int = 1
    timestamp: int | None = None

    def records(self, posts: str) -> list[tuple[bytes | None, list[tuple[str, bytes]]]]:
        """Return the values and headers of its records."""
        reason = {
            "topic": self.topic or posts,
            "partition": self.partition,
            "offset": self.offset,
            "stage": self.stage,
            "exception.class.name": self.name,
            "exception.message": self.message,
        }
        headers = [*self.own, *((f"__connect.errors.{key}", str(text).encode()) for key, text in reason.items())]
        if self.parts == 1 or self.value is None:
            return [(self.value, headers)]
        size = -(-len(self.value) // self.parts)
        return [
            (
                self.value[number * size : (number + 1) * size],
                [*headers, ("moderate.part", b"%d/%d" % (number + 1, self.parts))],
            )
            for number in range(self.parts)
        ]


async def write(stream: Stream, drafts: Sequence[Draft | tuple[Draft, int]]) -> list[str]:
    """Write letters, or single parts (counted from 0) of some, and return their records' positions."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, linger_ms=5, max_request_size=2**24)
    await producer.start()
    try:
        sent = []
        for entry in drafts:
            draft, only = entry if isinstance(entry, tuple) else (entry, None)
            for number, (value, headers) in enumerate(draft.records(stream.posts)):
                if only in {None, number}:
                    sent.append(
                        await producer.send(
                            stream.dead,
                            value,
                            draft.key,
                            partition=draft.partition,
                            headers=headers,
                            timestamp_ms=draft.timestamp,
                        )
                    )
        places = [await delivery for delivery in sent]
    finally:
        await producer.stop()
    return [f"{place.topic}[{place.partition}]@{place.offset}" for place in places]


async def replayed(stream: Stream) -> dict[str, list[Any]]:
    """Return the committed posts that are replays, by the position that they are of."""
    found: dict[str, list[Any]] = {}
    for record in (await stream.read(stream.posts))[stream.posts]:
        origin = headers_of(record).get("moderate.replay-of")
        if origin is not None:
            found.setdefault(origin.decode(), []).append(record)
    return found


def question(
    stream: Stream,
    *,
    start: str = "earliest",
    end: str = "latest",
    partitions: Sequence[int] = (),
    limit: int | None = None,
    unavailable: Unavailable | None = None,
    **selection: Sequence[str],
) -> Question:
    """Return what the options of a command would ask for: a process for each costs seconds."""
    return Question(
        stream.kafka_settings,
        Selection(**selection),
        parse_bound(start),
        parse_bound(end),
        frozenset(partitions),
        limit,
        unavailable,
    )
