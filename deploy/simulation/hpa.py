"""The HorizontalPodAutoscaler's formulas: `pkg/controller/podautoscaler` of kubernetes/kubernetes 1.34.

`replica_calculator.go` (`GetExternalPerPodMetricReplicas`, `GetResourceReplicas`) turns a metric into a number of
replicas; `horizontal.go` (`stabilizeRecommendationWithBehaviors`, `convertDesiredReplicasWithBehaviorRate`) holds it
back. Described at https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

SYNC_SECONDS = 15
TOLERANCE = 0.1


@dataclass(frozen=True)
class Policy:
    """How much may change within a period.

    Args:
        kind: whether `value` is pods or percent of those at the period's start.
        value: pods, or percent.
        period_seconds: of the policy.
    """

    kind: Literal["Pods", "Percent"]
    value: int
    period_seconds: int


@dataclass(frozen=True)
class Rules:
    """One direction of `behavior`.

    Args:
        stabilization_seconds: `stabilizationWindowSeconds`.
        policies: of which the one that allows most counts (`selectPolicy: Max`).
    """

    stabilization_seconds: int
    policies: tuple[Policy, ...]


# What a HorizontalPodAutoscaler has where nothing is said.
DEFAULT_UP = Rules(0, (Policy("Percent", 100, 15), Policy("Pods", 4, 15)))
DEFAULT_DOWN = Rules(300, (Policy("Percent", 100, 15),))


def replicas_for_average(value: float, target: float, replicas: int) -> int:
    """Return how many replicas bring an external metric's average to its target (type AverageValue).

    Args:
        value: the metric, all replicas together.
        target: of each replica.
        replicas: that there are.
    """
    if abs(1.0 - value / (target * replicas)) <= TOLERANCE:
        return replicas
    return math.ceil(value / target)


def replicas_for_utilization(ready: Sequence[float], unready: int, target: float, replicas: int) -> int:
    """Return how many replicas bring the CPU's use to its target (type Resource, Utilization).

    Args:
        ready: use of each ready pod, as a share of its request.
        unready: pods that are not ready; they count as idle when more are wanted.
        target: share of the request.
        replicas: that there are.
    """
    if not ready:
        return replicas
    ratio = sum(ready) / len(ready) / target
    if unready == 0 or ratio <= 1.0:
        return replicas if abs(1.0 - ratio) <= TOLERANCE else math.ceil(ratio * len(ready))
    count = len(ready) + unready
    corrected = sum(ready) / count / target
    wanted = math.ceil(corrected * count)
    if abs(1.0 - corrected) <= TOLERANCE or corrected < 1.0 or wanted < replicas:
        return replicas
    return wanted


@dataclass
class Autoscaler:
    """One HorizontalPodAutoscaler with its memory; times in seconds.

    Args:
        min_replicas, max_replicas: bounds.
        up, down: its `behavior`.
    """

    min_replicas: int
    max_replicas: int
    up: Rules = DEFAULT_UP
    down: Rules = DEFAULT_DOWN
    _recommended: list[tuple[float, int]] = field(default_factory=list)
    _added: list[tuple[float, int]] = field(default_factory=list)
    _removed: list[tuple[float, int]] = field(default_factory=list)

    def scale(self, now: float, replicas: int, wanted: int) -> int:
        """Return the new number of replicas.

        Args:
            now: time.
            replicas: that there are.
            wanted: what the metric asks for.
        """
        if replicas > self.max_replicas:
            new = self.max_replicas
        elif replicas < self.min_replicas:
            new = self.min_replicas
        else:
            new = self._rate_limited(now, replicas, self._stabilized(now, replicas, wanted))
        if new != replicas:
            (self._added if new > replicas else self._removed).append((now, abs(new - replicas)))
        return new

    def _stabilized(self, now: float, replicas: int, wanted: int) -> int:
        """Stay between the lowest and the highest of what was recommended within the windows."""
        longest = max(self.up.stabilization_seconds, self.down.stabilization_seconds)
        self._recommended = [(at, count) for at, count in self._recommended if at >= now - longest]
        least = min([wanted, *(c for at, c in self._recommended if at > now - self.up.stabilization_seconds)])
        most = max([wanted, *(c for at, c in self._recommended if at > now - self.down.stabilization_seconds)])
        self._recommended.append((now, wanted))
        return min(max(replicas, least), most)

    def _rate_limited(self, now: float, replicas: int, wanted: int) -> int:
        if wanted > replicas:
            limits = (
                start + policy.value if policy.kind == "Pods" else math.ceil(start * (100 + policy.value) / 100)
                for policy in self.up.policies
                for start in [self._at_period_start(now, replicas, policy.period_seconds)]
            )
            return min(wanted, self.max_replicas, max(replicas, *limits, 0))
        if wanted < replicas:
            limits = (
                start - policy.value if policy.kind == "Pods" else int(start * (100 - policy.value) / 100)
                for policy in self.down.policies
                for start in [self._at_period_start(now, replicas, policy.period_seconds)]
            )
            return max(wanted, self.min_replicas, min(replicas, *limits, replicas))
        return min(max(wanted, self.min_replicas), self.max_replicas)

    def _at_period_start(self, now: float, replicas: int, seconds: float) -> int:
        added = sum(count for at, count in self._added if at > now - seconds)
        removed = sum(count for at, count in self._removed if at > now - seconds)
        return replicas - added + removed
