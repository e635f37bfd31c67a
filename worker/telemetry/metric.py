"""What a metric is: a row of the table of metrics, and the collector that the row describes."""

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

# It would add a series to each counter: the time of its creation, which nothing here uses.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    Attributes:
        name: As Prometheus shows it; a histogram's series end in `_bucket`, `_sum` and `_count`.
        kind: Of metric.
        unit: Of its value.
        meaning: One or two sentences.
        labels: Names of its labels.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()

    def gauge(self) -> GaugeMetricFamily:
        """Return an empty family, for a collector that computes its samples when it is asked."""
        return GaugeMetricFamily(self.name, self.meaning, labels=self.labels)

    def histogram(self) -> HistogramMetricFamily:
        """Return an empty family, for a collector that computes its samples when it is asked."""
        return HistogramMetricFamily(self.name, self.meaning, labels=self.labels)


ROWS: list[Metric] = []


def computed(kind: Kind, name: str, unit: str, meaning: str, *labels: str) -> Metric:
    """Add a row whose samples a collector computes when it is asked, and return it."""
    ROWS.append(row := Metric(name, kind, unit, meaning, labels))
    return row


def counter(name: str, unit: str, meaning: str, *labels: str) -> Counter:
    """Add a row, and return the counter that it describes."""
    computed("counter", name, unit, meaning, *labels)
    return Counter(name, meaning, labels, registry=REGISTRY)


def gauge(name: str, unit: str, meaning: str, *labels: str) -> Gauge:
    """Add a row, and return the gauge that it describes."""
    computed("gauge", name, unit, meaning, *labels)
    return Gauge(name, meaning, labels, registry=REGISTRY)


class ManyHistogram(Histogram):
    """A histogram that takes many values at once: each bucket's lock is taken once, and not once a value."""

    def observe_all(self, values: Sequence[float]) -> None:
        """Observe each value."""
        for bucket, count in Counts(bisect_left(self._upper_bounds, value) for value in values).items():
            self._buckets[bucket].inc(count)
        self._sum.inc(sum(values))


def histogram(name: str, unit: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> ManyHistogram:
    """Add a row, and return the histogram that it describes."""
    computed("histogram", name, unit, meaning, *labels)
    return ManyHistogram(name, meaning, labels, buckets=buckets, registry=REGISTRY)
