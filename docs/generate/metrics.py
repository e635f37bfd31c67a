"""The metrics' page, from `worker.telemetry.metrics`."""

from docs.generate.tables import code, table
from worker.telemetry.metrics import METRICS

_HEAD = """\
# Metrics

What the worker says at `/metrics` (`127.0.0.1:8080` unless [`http`](settings.md#http) says otherwise), in the text
format of Prometheus. Histograms have `_bucket`, `_sum` and `_count`. Labels have few values: no id of a post, an author
or a community is ever one.
"""


def page() -> str:
    """Return the page."""
    rows = [
        (code(one.name), one.kind, one.unit, ", ".join(map(code, one.labels)), one.meaning)
        for one in sorted(METRICS, key=lambda one: one.name)
    ]
    return f"{_HEAD}\n{table(('metric', 'kind', 'unit', 'labels', 'meaning'), rows)}"
