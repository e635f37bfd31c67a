"""The workers: pods that start, join, label, leave; partitions, and the pauses in which nobody labels them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from aiokafka import TopicPartition

from deploy.simulation.figures import Figures
from deploy.simulation.load import Array
from worker.broker.assignment import dealt

POD = "moderation-worker-"


@dataclass
class Pod:
    """One replica.

    Args:
        ready_at: second at which it joins the group.
    """

    ready_at: float


def assign(ordinals: Sequence[int], partitions: int, held: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    """Return each member's partitions, as the worker that leads a group deals them.

    Args:
        ordinals: of the group's members.
        partitions: of the topic.
        held: what each ordinal has now and keeps, as far as that is even; where nobody has any, this is round robin.
    """
    # The broker puts a hyphen and a UUID behind a static name, so that 10 comes between 1 and 2.
    names = {f"{POD}{ordinal}-": ordinal for ordinal in ordinals}
    if not names:
        return {}
    claims = {name: [TopicPartition("posts", one) for one in held.get(names[name], ())] for name in names}
    given = dealt([TopicPartition("posts", partition) for partition in range(partitions)], claims)
    return {names[name]: [one.partition for one in given[name]] for name in sorted(names)}


@dataclass
class Fleet:
    """A StatefulSet's pods and their group.

    Args:
        figures: of one worker and its start.
        partitions: of the topic.
        leave_on_stop: whether a worker that ends in order leaves the group, or its partitions wait for the session.
        sticky: whether partitions stay with their workers when others come and go.
        starts: extra seconds that each next start takes, used in turn: nodes are not alike.
    """

    figures: Figures
    partitions: int
    leave_on_stop: bool = False
    sticky: bool = False
    starts: Sequence[float] = (0.0,)

    pods: dict[int, Pod] = field(default_factory=dict)
    members: set[int] = field(default_factory=set)
    owned: dict[int, list[int]] = field(default_factory=dict)
    ready: list[int] = field(default_factory=list)
    labelled: dict[int, float] = field(default_factory=dict)
    rebalances: int = 0
    _gone: dict[int, float] = field(default_factory=dict)
    _draining: list[float] = field(default_factory=list)
    _paused_until: float = 0.0
    _turns: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    _started: int = 0
    _next_change: float = math.inf

    def __post_init__(self) -> None:
        self._ownership: Array = np.zeros((self.partitions, 0))
        self.waiting = [0.0] * self.partitions
        self.done = [0.0] * self.partitions

    @property
    def replicas(self) -> int:
        """Pods that the StatefulSet wants."""
        return len(self.pods)

    @property
    def paid(self) -> int:
        """Pods that take up a place: starting, running or draining."""
        return len(self.pods) + len(self._draining)

    def begin(self, replicas: int) -> None:
        """Start with so many members, in calm."""
        for ordinal in range(replicas):
            self.pods[ordinal] = Pod(0.0)
            self.members.add(ordinal)
        self.owned = assign(sorted(self.members), self.partitions, {})
        self._look()

    def scale(self, now: float, replicas: int) -> None:
        """Start the next ordinals or end the highest ones, as a StatefulSet with parallel pods does."""
        figures = self.figures
        for ordinal in range(self.replicas, replicas):
            extra = self.starts[self._started % len(self.starts)]
            self._started += 1
            self.pods[ordinal] = Pod(now + figures.schedule_seconds + figures.start_seconds + extra)
        for ordinal in range(self.replicas - 1, replicas - 1, -1):
            del self.pods[ordinal]
            if ordinal not in self.members or ordinal in self._gone:
                # It was only starting.
                continue
            self._draining.append(now + figures.drain_seconds)
            # A static member's last heartbeat is that of its end, and nobody else has its partitions before.
            wait = 0.0 if self.leave_on_stop else figures.session_timeout_seconds
            self._gone[ordinal] = now + figures.drain_seconds + wait
        self._look()

    def step(self, now: int, arrived: Sequence[float], *, dead: bool) -> None:
        """Live through one second.

        Args:
            now: its beginning.
            arrived: posts that can be read from now on, a partition.
            dead: whether the broker answers nobody.
        """
        waiting = self.waiting
        for partition, posts in enumerate(arrived):
            waiting[partition] += posts
        if self._draining:
            self._draining = [until for until in self._draining if until > now]
        if dead:
            # Sessions and lanes begin anew when the broker is back.
            self._paused_until = now + 1 + self.figures.resume_seconds
            return
        if self._next_change <= now:
            self._change_members(now)
        available = min(1.0, max(0.0, now + 1 - self._paused_until))
        if available > 0.0:
            for ordinal in self.ready:
                posts = self._label(ordinal, self.figures.posts_per_second * available)
                self.labelled[ordinal] = self.labelled.get(ordinal, 0.0) + posts

    def skip(self, now: int, arrived: Array) -> Array | None:
        """Live through seconds in which every worker keeps up and nothing changes; None where one does not.

        Args:
            now: the first second.
            arrived: [t, p] posts that can be read from then on.
        """
        if (
            self._next_change <= now + len(arrived)
            or self._paused_until > now
            or self._draining
            or len(self.ready) < len(self.owned)
            or sum(self.waiting) > 0.0
        ):
            return None
        posts = arrived @ self._ownership  # [t, p] @ [p, w] -> [t, w]
        if posts.max() > self.figures.posts_per_second:
            return None
        for ordinal, count in zip(self.owned, posts.sum(axis=0).tolist(), strict=True):
            self.labelled[ordinal] = self.labelled.get(ordinal, 0.0) + count
        done = np.cumsum(arrived, axis=0) + self.done
        self.done = done[-1].tolist()
        return done

    def take_labelled(self) -> dict[int, float]:
        """Return the posts that each pod labelled since this was asked last."""
        labelled, self.labelled = self.labelled, {}
        return labelled

    def _change_members(self, now: float) -> None:
        changed = False
        for ordinal in [ordinal for ordinal, until in self._gone.items() if until <= now]:
            del self._gone[ordinal]
            self.members.discard(ordinal)
            changed = True
        for ordinal, pod in self.pods.items():
            if pod.ready_at > now or (ordinal in self.members and ordinal not in self._gone):
                continue
            if ordinal in self._gone:
                # Back under its name before the session ended: it has its partitions, and nobody else's move.
                del self._gone[ordinal]
            else:
                self.members.add(ordinal)
                changed = True
        if changed:
            self.rebalances += 1
            self.owned = assign(sorted(self.members), self.partitions, self.owned if self.sticky else {})
            self._paused_until = max(self._paused_until, now + self.figures.rebalance_seconds)
            self._turns.clear()
        self._look()

    def _look(self) -> None:
        """Note who labels, and when that changes next: asked for in every second, changed in few."""
        self.ready = [ordinal for ordinal in self.pods if ordinal in self.members and ordinal not in self._gone]
        self._ownership = np.zeros((self.partitions, len(self.owned)))
        for column, owned in enumerate(self.owned.values()):
            self._ownership[owned, column] = 1.0
        self._next_change = min(
            (*self._gone.values(), *(pod.ready_at for ordinal, pod in self.pods.items() if ordinal not in self.ready)),
            default=math.inf,
        )

    def _label(self, ordinal: int, budget: float) -> float:
        """Label up to `budget` posts of a worker's partitions, and return how many there were.

        Partitions take turns: a batch comes from what was fetched of one partition until that is used up.
        """
        owned, waiting, done = self.owned[ordinal], self.waiting, self.done
        if sum(waiting[partition] for partition in owned) <= budget:
            self._turns.pop(ordinal, None)
            labelled = 0.0
            for partition in owned:
                labelled += waiting[partition]
                done[partition] += waiting[partition]
                waiting[partition] = 0.0
            return labelled
        left = budget
        turns = self._turns.setdefault(ordinal, [])
        while left > 1e-9:
            if not turns:
                # What one fetch of each partition holds.
                fetched = [(partition, min(waiting[partition], self.figures.fetch_posts)) for partition in owned]
                turns.extend((partition, posts) for partition, posts in fetched if posts > 0.0)
            partition, posts = turns[0]
            taken = min(posts, left)
            waiting[partition] -= taken
            done[partition] += taken
            left -= taken
            if taken < posts:
                turns[0] = (partition, posts - taken)
            else:
                turns.pop(0)
        return budget
