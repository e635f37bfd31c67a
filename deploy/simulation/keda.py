"""What KEDA's Kafka scaler says: `getLagForPartition` and `getTotalLag` of `pkg/scalers/kafka_scaler.go`.

KEDA does not scale between one and many by itself. It creates a HorizontalPodAutoscaler and answers that one's
questions; `pollingInterval` is only the pace of its own loop, which decides between zero and one. Each answer is
computed anew, unless the trigger says `useCachedMetrics`: then it is what the loop found last. Loop and answers share
one scaler, so with `excludePersistentLag` each of them moves the offsets that the other compares with. This and the
cache are taken from KEDA's documentation, the arithmetic from its source. A ScaledObject's `fallback` is not here: KEDA
counts no failure towards it where no broker can be connected to, as `tests/kubernetes/test_keda.py` saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trigger:
    """The trigger of a ScaledObject.

    Args:
        lag_threshold: `lagThreshold`, posts a replica.
        polling_seconds: `pollingInterval`.
        use_cached_metrics: `useCachedMetrics`.
        limit_to_partitions_with_lag: `limitToPartitionsWithLag`.
        exclude_persistent_lag: `excludePersistentLag`.
        allow_idle_consumers: `allowIdleConsumers`.
    """

    lag_threshold: int
    polling_seconds: int = 30
    use_cached_metrics: bool = False
    limit_to_partitions_with_lag: bool = False
    exclude_persistent_lag: bool = False
    allow_idle_consumers: bool = False


def capped_lag(lags: Sequence[int], trigger: Trigger) -> int:
    """Return the lag that is divided by the threshold: never more than one replica a partition (`getTotalLag`).

    Args:
        lags: posts, a partition; 0 where it is excluded.
        trigger: of the ScaledObject.
    """
    total = sum(lags)
    if not trigger.allow_idle_consumers or trigger.limit_to_partitions_with_lag:
        most = sum(lag > 0 for lag in lags) if trigger.limit_to_partitions_with_lag else len(lags)
        # Go divides integers, so that up to one post less than the next replica's share passes the cap.
        if total // trigger.lag_threshold > most:
            total = most * trigger.lag_threshold
    return total


@dataclass
class KafkaScaler:
    """The scaler with its memory.

    Args:
        trigger: of the ScaledObject.
    """

    trigger: Trigger
    _previous: dict[int, int] = field(default_factory=dict)
    _cached: int | None = None

    def lags(self, ends: Sequence[int], offsets: Sequence[int]) -> list[int]:
        """Return each partition's lag as it counts for scaling, and remember the offsets (`getLagForPartition`).

        Args:
            ends: next offset to be written, a partition.
            offsets: committed offset, a partition.
        """
        if not self.trigger.exclude_persistent_lag:
            return [end - offset for end, offset in zip(ends, offsets, strict=True)]
        lags = []
        for partition, (end, offset) in enumerate(zip(ends, offsets, strict=True)):
            # Nothing was committed since the last look, by whom ever: taken for stuck.
            lags.append(0 if self._previous.get(partition) == offset else end - offset)
            self._previous[partition] = offset
        return lags

    def poll(self, ends: Sequence[int], offsets: Sequence[int]) -> None:
        """Do a round of KEDA's own loop."""
        self._cached = capped_lag(self.lags(ends, offsets), self.trigger)

    def fail_to_poll(self) -> None:
        """Do a round of KEDA's own loop while no broker answers."""
        self._cached = None

    def answer(self, ends: Sequence[int], offsets: Sequence[int]) -> int:
        """Return the metric, in posts, that the autoscaler gets."""
        if self.trigger.use_cached_metrics and self._cached is not None:
            return self._cached
        return capped_lag(self.lags(ends, offsets), self.trigger)
