"""What will be broken, and in which order: a deck of faults, shuffled by the seed and dealt in rounds.

A deck rather than independent draws, so that a run of some minutes holds its share of every kind, whatever the seed.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Family = Literal["worker", "broker", "redis", "pictures"]

FAMILIES: dict[str, Family] = {
    "worker-kill": "worker",
    "worker-pause": "worker",
    "worker-restart": "worker",
    "scale-up": "worker",
    "scale-down": "worker",
    "broker-kill": "broker",
    "broker-restart": "broker",
    "broker-pause": "broker",
    "quota": "broker",
    "partitions-added": "broker",
    "labels-under-min-isr": "broker",
    "damaged-batch": "broker",
    "redis-kill": "redis",
    "redis-pause": "redis",
    "redis-out-of-memory": "redis",
    "redis-evicting": "redis",
    "redis-garbage": "redis",
    "redis-away-at-start": "redis",
    "picture-tarpit": "pictures",
    "dns-blackhole": "pictures",
}
# Of several brokers; the round after one is lost brings it back.
CLUSTER_FAMILIES: dict[str, Family] = {"broker-lost": "broker", "broker-back": "broker", "broker-frozen": "broker"}
WORKER_KINDS = frozenset(kind for kind, family in FAMILIES.items() if family == "worker")
_ONE_BROKER = frozenset({"broker-kill", "broker-restart", "broker-pause"})
CLUSTER_KINDS = frozenset(
    {*WORKER_KINDS, *(kind for kind, family in FAMILIES.items() if family == "redis")}
    | {"quota", "partitions-added", "broker-lost", "broker-frozen"}
)
# What any consumer must survive: no Redis, and no partitions of which it may hear within minutes.
PLAIN_KINDS = WORKER_KINDS | _ONE_BROKER | {"quota"}

# How long a fault lasts, in seconds. A pause is longer than the session of 3 s; the broker's is as long as a long
# pause of a virtual machine, and shorter than its own session, after which it would have to register anew.
_SECONDS: dict[str, tuple[float, float]] = {
    "worker-pause": (4.0, 6.0),
    "broker-pause": (10.0, 10.0),
    "broker-restart": (0.0, 1.0),
    # Longer than its session of 9 s: the others have taken over when it comes back and does not know.
    "broker-frozen": (12.0, 15.0),
    "quota": (6.0, 8.0),
    # Longer than a transaction may take, so that lanes break over it.
    "labels-under-min-isr": (12.0, 16.0),
    "damaged-batch": (3.0, 8.0),
    "picture-tarpit": (6.0, 9.0),
    "dns-blackhole": (6.0, 9.0),
    "redis-kill": (1.0, 6.0),
    "redis-pause": (2.0, 6.0),
    "redis-out-of-memory": (3.0, 6.0),
    "redis-evicting": (3.0, 6.0),
    "redis-garbage": (2.0, 4.0),
}
# Cards a minute. Those of one line are dealt in turn, the first one first.
_SHARES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (3.2, ("worker-kill",)),
    (1.8, ("worker-pause",)),
    (0.6, ("worker-restart",)),
    (1.4, ("scale",)),
    (0.35, ("broker-kill",)),
    (0.34, ("broker-restart", "broker-pause")),
    (0.34, ("redis-kill",)),
    (0.67, ("redis-garbage", "redis-away-at-start", "redis-pause", "redis-out-of-memory", "redis-evicting")),
    (0.34, ("quota",)),
    (0.34, ("partitions-added",)),
    (0.67, ("broker-lost",)),
    (0.34, ("broker-frozen",)),
    (0.34, ("labels-under-min-isr",)),
    (0.34, ("damaged-batch",)),
    (0.34, ("picture-tarpit", "dns-blackhole")),
)
_AT_LEAST_ONCE = frozenset(
    {"broker-kill", "broker-lost", "redis-kill", "worker-restart"}
    | {"labels-under-min-isr", "damaged-batch", "picture-tarpit"}
)
_ONCE = frozenset({"partitions-added"})
_ALL = FAMILIES | CLUSTER_FAMILIES
_MOST_A_ROUND = 3
_JOIN_CHANCE = 0.45
_MOST_DELAY_SECONDS = 2.0


@dataclass(frozen=True)
class Step:
    """One fault to come.

    Args:
        kind: what; a key of `FAMILIES` or `CLUSTER_FAMILIES`.
        delay: seconds from the start of its round.
        seconds: how long it lasts; 0 where that is not ours to say.
        pick: which worker, modulo those that are there.
    """

    kind: str
    delay: float
    seconds: float
    pick: int

    @property
    def family(self) -> Family:
        """What it breaks."""
        return _ALL[self.kind]


Round = tuple[Step, ...]


def make_plan(seed: int, minutes: float, kinds: Iterable[str] = FAMILIES) -> list[Round]:
    """Return rounds of faults that overlap; between two rounds everything may recover.

    Args:
        seed: same seed, minutes and kinds, same plan.
        minutes: about how long the rounds will take.
        kinds: the kinds to deal; others are left out.
    """
    chosen = frozenset(kinds)
    if unknown := chosen - set(_ALL):
        raise ValueError(f"unknown kinds of faults: {', '.join(sorted(unknown))}")
    chance = random.Random(f"{seed}/{minutes:g}")
    deck = _deck(minutes, chosen, chance)
    chance.shuffle(deck)
    level = 0
    rounds: list[list[Step]] = []
    for card in deck:
        kind, level = _directed(card, level, chosen, chance)
        first = not rounds or not _may_join(kind, rounds[-1]) or chance.random() > _JOIN_CHANCE
        low, high = _SECONDS.get(kind, (0.0, 0.0))
        delay = 0.0 if first else round(chance.uniform(0, _MOST_DELAY_SECONDS), 2)
        step = Step(kind, delay, round(chance.uniform(low, high), 2), chance.randrange(1000))
        if first:
            rounds.append([step])
        else:
            rounds[-1].append(step)
    return list(_with_returns(rounds))


def _with_returns(rounds: Iterable[list[Step]]) -> Iterator[Round]:
    """Bring back each lost broker in a round of its own."""
    for steps in rounds:
        yield tuple(steps)
        if any(step.kind == "broker-lost" for step in steps):
            yield (Step("broker-back", 0.0, 0.0, 0),)


def _deck(minutes: float, chosen: frozenset[str], chance: random.Random) -> list[str]:
    deck: list[str] = []
    for share, kinds in _SHARES:
        dealt = [kind for kind in kinds if kind in chosen or (kind == "scale" and {"scale-up", "scale-down"} & chosen)]
        if not dealt:
            continue
        # Rounded up for what every run must hold, else at random, so that many short runs hold what is rare too.
        whole = share * minutes
        count = math.floor(whole) + (chance.random() < whole % 1)
        if share > 1:
            count = math.ceil(whole)
        if _AT_LEAST_ONCE & set(dealt):
            count = max(1, count)
        if _ONCE & set(dealt):
            count = min(1, count)
        offset = chance.randrange(len(dealt))
        deck += [dealt[(offset + number) % len(dealt)] for number in range(count)]
    return deck


def _directed(card: str, level: int, chosen: frozenset[str], chance: random.Random) -> tuple[str, int]:
    """Make scaling go up or down, at most one worker away from where it began."""
    if card != "scale":
        return card, level
    ways = [way for way, name in ((1, "scale-up"), (-1, "scale-down")) if abs(level + way) <= 1 and name in chosen]
    way = chance.choice(ways or [1])
    return ("scale-up" if way == 1 else "scale-down"), level + way


def _may_join(kind: str, steps: list[Step]) -> bool:
    """Whether a fault may overlap with others: one of each server at a time, and never all workers."""
    families = Counter(step.family for step in steps)
    family = _ALL[kind]
    if len(steps) >= _MOST_A_ROUND or families[family] >= (2 if family == "worker" else 1):
        return False
    # It is itself a fault of a worker and of Redis.
    return not (kind == "redis-away-at-start" and families["worker"] > 1)
