"""How messages write partitions and records, and commands read them: `posts[3]` and `posts[3]@1017`."""

import re
from dataclasses import dataclass
from typing import Self

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from worker.errors import SettingsError

_WRITTEN = re.compile(r"(.+)\[(\d{1,9})\]@(\d{1,18})", re.ASCII)


@dataclass(frozen=True, order=True)
class Position:
    """One record's place in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @classmethod
    def of(cls, record: ConsumerRecord) -> Self:
        """Return the place of a record."""
        return cls(record.topic, record.partition, record.offset)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a place as `str` writes it.

        Raises:
            SettingsError: it is none.
        """
        found = cls.read(text)
        if found is None:
            raise SettingsError(f"{text!r} is not a position such as posts[3]@1017")
        return found

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read a place as `str` writes it; None where it is none."""
        found = _WRITTEN.fullmatch(text)
        return found and cls(found[1], int(found[2]), int(found[3]))


def name_of(source: TopicPartition) -> str:
    """Return a partition as messages write it."""
    return f"{source.topic}[{source.partition}]"
