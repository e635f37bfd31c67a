"""What a metric is: a row of the table of metrics, and the collector that the row describes."""

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


def histogram(name: str, unit: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    """Add a row, and return the histogram that it describes."""
    computed("histogram", name, unit, meaning, *labels)
    return Histogram(name, meaning, labels, buckets=buckets, registry=REGISTRY)
