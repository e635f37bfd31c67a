"""Writes the dashboard: `python deploy/grafana/dashboard.py > deploy/grafana/dashboards/moderation.json`.

The files `*_rows.py` say what is shown, `panels.py` how. A test holds that the JSON is what this writes, and that every
query names what a worker exports.
"""
# ruff: noqa: INP001 - a script beside what it writes, no package

import json
import sys
from typing import Any

from lag_rows import KEEPING_UP
from model_rows import DECISIONS, MODEL, PROCESSES, SHADOW
from panels import GROUP, RUNBOOK, SOURCE, WIDTH, WORKERS, Json
from serving_rows import SERVING
from stream_rows import CACHE, FAILURES, TIME

# In the order of the questions at three in the morning: title, panels, whether it is shut until somebody opens it.
ROWS = (
    ("Are we keeping up?", KEEPING_UP, False),
    ("Where does the time go?", TIME, False),
    ("Is the cache worth it?", CACHE, True),
    ("What fails, and why?", FAILURES, False),
    ("What does the model say?", MODEL, True),
    ("What is decided?", DECISIONS, True),
    ("Processes", PROCESSES, True),
    ("Shadow", SHADOW, True),
    ("Over HTTP", SERVING, True),
)


def variable(name: str, label: str, query: str, **more: Any) -> Json:
    """Return a variable that Prometheus fills."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "options": [],
        "current": {},
        **more,
    }


DOCS = "https://docs.example.org"
STARTED = f"on (namespace, job, instance) group_left () process_start_time_seconds{{{WORKERS}}}"
EVERY = {
    "includeAll": True,
    "allValue": ".*",
    "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    "multi": True,
}
VARIABLES = [
    {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "regex": "", "hide": 0,
     "multi": False, "includeAll": False, "refresh": 1, "options": [], "current": {}},
    variable("namespace", "Namespace", "label_values(moderate_topic_partitions, namespace)", **EVERY),
    variable("job", "Group of workers", 'label_values(moderate_topic_partitions{namespace=~"$namespace"}, job)',
             current={"selected": True, "text": "moderation-worker", "value": "moderation-worker"}),
    variable("instance", "Worker", f"label_values(moderate_topic_partitions{{{GROUP}}}, instance)", **EVERY),
    variable("task", "Task", f"label_values(moderate_scores_count{{{GROUP}}}, task)",
             current={"selected": True, "text": "offensiveness", "value": "offensiveness"}),
    variable("label", "Label", f'label_values(moderate_scores_count{{{GROUP}, task=~"$task"}}, label)',
             **{name: value for name, value in EVERY.items() if name != "allValue"}),
    # Put the address of your documentation site here.
    {"type": "constant", "name": "docs", "label": "Documentation site", "query": DOCS, "hide": 2, "skipUrlSync": True,
     "options": [], "current": {"selected": True, "text": DOCS, "value": DOCS}},
]  # fmt: skip

ANNOTATIONS = [
    {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
     "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard"},
    {"name": "Workers start", "datasource": SOURCE, "enable": True, "hide": False, "iconColor": "blue",
     "expr": f"1000 * moderate_model_info{{{WORKERS}}} * {STARTED}",
     "step": "60s", "titleFormat": "{{instance}} starts", "textFormat": "checkpoint {{checkpoint}} {{precision}}",
     "tagKeys": "checkpoint", "useValueForTime": True},
    {"name": "Alerts", "datasource": SOURCE, "enable": True, "hide": False, "iconColor": "red",
     "expr": f'max by (alertname, severity) (ALERTS{{alertname=~"Moderation.*", alertstate="firing", {GROUP}}})',
     "step": "60s", "titleFormat": "{{alertname}}", "textFormat": "{{severity}}", "tagKeys": "severity",
     "useValueForTime": False},
]  # fmt: skip


def placed(panels: list[Json], top: int) -> tuple[list[Json], int]:
    """Return panels with their places, line after line, and the line below them."""
    left = height = 0
    made = []
    for one in panels:
        size = one["gridPos"]
        # Repeats of a panel fill a line of their own.
        if left + size["w"] > WIDTH or (made and "repeat" in made[-1]):
            left, top, height = 0, top + height, 0
        made.append({**one, "gridPos": {**size, "x": left, "y": top}})
        left, height = left + size["w"], max(height, size["h"])
    return made, top + height


def dashboard() -> Json:
    """Return the dashboard."""
    panels: list[Json] = []
    top = number = 0
    for title, own, collapsed in ROWS:
        head = {
            "type": "row",
            "title": title,
            "collapsed": collapsed,
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
        }
        made, below = placed(own, top + 1)
        made = [{"id": number + place, **one} for place, one in enumerate(made, start=2)]
        panels.append({"id": number + 1, **head, "panels": made if collapsed else []})
        panels += [] if collapsed else made
        number += 1 + len(made)
        top = top + 1 if collapsed else below
    return {
        "uid": "moderation",
        "title": "Moderation labels",
        "description": "Are labels in time, where does the time go, what fails, what does the model say?",
        "tags": ["moderation"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timepicker": {},
        "timezone": "",
        "weekStart": "",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "links": [{"type": "link", "title": "Runbook", "icon": "doc", "url": RUNBOOK, "targetBlank": True, "tags": [],
                   "asDropdown": False, "includeVars": False, "keepTime": False, "tooltip": "What to do"}],
        "annotations": {"list": ANNOTATIONS},
        "templating": {"list": VARIABLES},
        "panels": panels,
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n")
