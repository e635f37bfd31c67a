"""What the stream must know of a run that ends by itself."""

from dataclasses import dataclass
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient


@dataclass(frozen=True)
class Restraint:
    """How much a run leaves to others.

    Args:
        max_posts_per_second: of this process; None for no limit.
        device_share: part of the time in which the model may compute, over 0 and at most 1.
    """

    max_posts_per_second: float | None = None
    device_share: float = 1.0


class BoundedRun(Protocol):
    """A run over ranges that were frozen beside the group's offsets before it began."""

    @property
    def restraint(self) -> Restraint:
        """How much it leaves to others."""
        ...

    async def follow(self, admin: AIOKafkaAdminClient) -> None:
        """Watch the group's offsets, report on the way, and return when every range is done, whoever did it."""
        ...
