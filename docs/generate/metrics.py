"""The metrics' page, from `worker.metrics`."""

from collections.abc import Iterator
from dataclasses import dataclass

from docs.generate.tables import code, table
from worker.metrics import REGISTRY

_HEAD = """\
# Metrics

What the worker says at `/metrics` (`127.0.0.1:8080` unless [`http`](settings.md#http) says otherwise), in the text
format of Prometheus. Histograms have `_bucket`, `_sum` and `_count`.
"""


@dataclass(frozen=True)
class Metric:
    """A metric as its readers see it."""

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    meaning: str


def metrics() -> Iterator[Metric]:
    """Return all metrics, in the order in which they are registered."""
    # The registry says the labels of those alone that were counted already; its collectors say them of all.
    for collector in REGISTRY._collector_to_names:  # noqa: SLF001
        for family in collector.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = tuple(getattr(collector, "_labelnames", ()))
            yield Metric(name, family.type, _unit(family.name), labels, family.documentation)


def page() -> str:
    """Return the page."""
    return (
        _HEAD
        + "\n"
        + table(
            ("metric", "kind", "unit", "labels", "meaning"),
            ((code(one.name), one.kind, one.unit, ", ".join(map(code, one.labels)), one.meaning) for one in metrics()),
        )
    )


def _unit(name: str) -> str:
    last = name.rsplit("_", 1)[-1]
    return {"seconds": "seconds", "bytes": "bytes", "posts": "posts"}.get(last, "")
