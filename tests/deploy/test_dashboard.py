"""The dashboard: what its script writes, in a shape that Grafana reads, and queries that a real worker answers."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import Monitored
from tests.deploy.prometheus_server import JOB, RULES
from tests.deploy.promql import known, named, unknown

GRAFANA = RULES.parent / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "moderation.json").read_text(encoding="utf-8"))
# Nothing to see over a healthy worker on a CPU, without a shadow, that has labelled fewer than 500 posts.
MAY_BE_EMPTY = {
    "moderate_media_unavailable_total",
    "moderate_lanes_failed_total",
    "moderate_cache_failures_total",
    "moderate_device_memory_bytes",
    "moderate_shadow_posts_total",
    "group:moderate_drift_psi:mean",
    "group:moderate_media_unavailable:share15m",
}
VALUES = {
    "$namespace": "healthy",
    "$job": JOB,
    "$instance": ".*",
    "$task": "sarcasm",
    "$label": "sarcastic",
    "$__rate_interval": "20s",
}


def panels() -> Iterator[dict[str, Any]]:
    """Yield all panels but rows."""
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def targets() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every query with the title of its panel."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target


def filled(text: str) -> str:
    """Return a query with values in the place of variables."""
    for name, value in VALUES.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text


def test_the_script_writes_the_dashboard() -> None:
    """What is checked in is what `dashboard.py` writes."""
    written = subprocess.run(
        [sys.executable, GRAFANA / "dashboard.py"], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(written) == DASHBOARD
    assert written == (GRAFANA / "dashboards" / "moderation.json").read_text(encoding="utf-8")


def test_its_shape_is_one_that_grafana_reads() -> None:
    """Ids are unique, places do not overlap, panels have unit, thresholds and text, sources are variable."""
    rows = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    everything = [*rows, *panels()]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert len({panel["title"] for panel in everything}) == len(everything)
    assert all(panel["collapsed"] == bool(panel["panels"]) for panel in rows)
    top = [DASHBOARD["panels"], *(row["panels"] for row in rows)]
    for level in top:
        taken: set[tuple[int, int]] = set()
        for panel in level:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells
    for panel in panels():
        assert panel["type"] in {"stat", "timeseries", "heatmap", "state-timeline", "table"}
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    assert DASHBOARD["uid"] == "moderation"
    assert DASHBOARD["schemaVersion"] >= 39


def test_its_links_lead_to_sections_of_the_runbook() -> None:
    """Each link of a panel names an alert that exists, and each alert is linked by a panel."""
    alerts = {
        rule["alert"]
        for group in yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }
    linked = set()
    for panel in panels():
        for link in panel["links"]:
            found = re.fullmatch(r"\$\{docs\}/deploy/runbook\.html#(\w+)", link["url"])
            assert found
            linked.add(found[1])
    assert linked == {alert.lower() for alert in alerts}


def test_its_queries_name_what_workers_export() -> None:
    """Metrics, labels and legends exist in the table of the worker, in the recording rules, or in Prometheus."""
    queries = [(title, target["expr"], target["legendFormat"]) for title, target in targets()]
    queries += [
        (one["name"], one["expr"], one["titleFormat"] + one["textFormat"])
        for one in DASHBOARD["annotations"]["list"]
        if "expr" in one
    ]
    for title, expression, legend in queries:
        assert not unknown(filled(expression), legend=legend), title
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
            assert not unknown(filled(selector))
            (metric,) = named(filled(selector)).metrics
            assert label in known()[metric]


def test_a_name_that_nobody_exports_is_found() -> None:
    """What the test above looks for would be found: a metric, a matcher, a grouping and a legend that do not exist."""
    assert unknown("rate(moderate_posts_total[5m])") == ["moderate_posts_total"]
    assert unknown('moderate_lag_seconds{topic="posts"}') == ["moderate_lag_seconds{topic}"]
    assert unknown("sum by (reason) (moderate_lag_seconds)", legend="{{topic}}") == ["reason", "topic"]
    assert unknown("max(group:moderate_lag_seconds:mean) or vector(0)") == ["group:moderate_lag_seconds:mean"]
    assert not unknown('sum by (le) (rate(moderate_scores_bucket{label="a b {x}"}[5m])) > on (le) 1e3', legend="{{le}}")


def test_it_shows_every_metric_of_the_table() -> None:
    """No metric of the worker is exported for nobody: a panel shows it, or a recording rule that a panel shows."""
    shown = {name for _, target in targets() for name in named(filled(target["expr"])).metrics}
    rules = {
        rule["record"]: named(rule["expr"]).metrics
        for group in yaml.safe_load((RULES / "rules.yml").read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }
    for _ in rules:
        shown |= {name for record in shown & rules.keys() for name in rules[record]}
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} | shown
    left_out = {name for name in known() if ":" not in name and re.sub(r"_(bucket|sum|count)$", "", name) not in bare}
    assert left_out <= {
        "process_virtual_memory_bytes",
        "moderate_shadow_waiting_bytes",
        "moderate_loop_lag_seconds",
        "up",
    }


@pytest.mark.timeout(400)
def test_a_real_worker_answers_its_queries(monitored: Monitored) -> None:
    """Every query can be run; over a healthy worker it has data, unless it shows failures, a GPU or a shadow."""
    prometheus = monitored.lab.prometheus
    empty = []
    for title, target in targets():
        expression = filled(target["expr"])
        found = monitored.loop.run(prometheus.query(expression))
        values = [one["value"][1] for one in found]
        if not [value for value in values if value != "NaN"] and not named(expression).metrics & MAY_BE_EMPTY:
            empty.append((title, expression))
    assert not empty
    for annotation in DASHBOARD["annotations"]["list"]:
        if "expr" in annotation:
            monitored.loop.run(prometheus.query(filled(annotation["expr"])))
