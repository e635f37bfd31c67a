"""What a run is asked for."""

from dataclasses import dataclass

from tests.chaos.plan import CLUSTER_KINDS, FAMILIES, PLAIN_KINDS, WORKER_KINDS
from tests.chaos.subjects import CONTROLS


@dataclass(frozen=True)
class Settings:
    """What a run is made of.

    Args:
        seed: of the plan, the posts and all that is left to chance.
        minutes: about how long faults are injected.
        workers: how many, at first.
        partitions: of the topics, at first.
        rate: posts a second.
        subject: the program under test.
        poison: posts that kill their worker; none for the others.
        brokers: how many; each topic has a copy on three of them.
        only: kinds of faults to deal; all that suit the subject, if there are none.
    """

    seed: int
    minutes: float = 2.0
    workers: int = 3
    partitions: int = 12
    rate: float = 40.0
    subject: str = "worker"
    poison: int = 2
    brokers: int = 1
    only: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """What may be broken."""
        if self.only:
            return frozenset(self.only)
        if self.subject == "worker":
            return CLUSTER_KINDS if self.brokers > 1 else frozenset(FAMILIES)
        return WORKER_KINDS if self.subject in CONTROLS else PLAIN_KINDS
