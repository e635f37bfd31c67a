"""The kinds of panels that the dashboard is made of, as Grafana's JSON, and the queries that they share."""
# ruff: noqa: INP001 - beside the script that uses it, no package

from typing import Any

Json = dict[str, Any]

# A group of workers is a job in a namespace. `=~` and `.*` also find series that have no such label.
GROUP = 'namespace=~"$namespace", job=~"$job"'
WORKERS = f'{GROUP}, instance=~"$instance"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RUNBOOK = "${docs}/deploy/runbook.html"
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
STAT_HEIGHT, GRAPH_HEIGHT = 4, 8
WIDTH = 24

# Of a bad value: from where on, in which colour.
Steps = tuple[tuple[float, str], ...]


def target(expr: str, legend: str = "", *, instant: bool = False, form: str = "time_series") -> Json:
    """Return one query of a panel."""
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": " ".join(expr.split()),
        "format": form,
        "instant": instant,
        "range": not instant,
        "legendFormat": legend or "__auto",
    }


def panel(kind: str, title: str, about: str, targets: list[Json], width: int, **more: Any) -> Json:
    """Return a panel without its place.

    Args:
        kind: of panel, as Grafana names it.
        title, about: what is seen, and what to do about it.
        targets: queries.
        width: of 24.
        more: `unit`, `steps` (thresholds), `options`, `custom`, `alerts` (whose sections of the runbook to link),
            `minimum`, `maximum`, `mappings`, `overrides`, `height`, `repeat`, `transformations`.
    """
    steps: Steps = more.get("steps", ())
    defaults: Json = {
        "color": {"mode": more.get("color", "palette-classic")},
        "custom": more.get("custom", {}),
        "mappings": more.get("mappings", []),
        "thresholds": {
            "mode": "absolute",
            "steps": [
                {"color": more.get("base", GREEN), "value": None},
                *({"color": colour, "value": value} for value, colour in steps),
            ],
        },
        "unit": more.get("unit", "short"),
    }
    for name, key in (("min", "minimum"), ("max", "maximum"), ("decimals", "decimals"), ("noValue", "empty")):
        if key in more:
            defaults[name] = more[key]
    made: Json = {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "targets": [{**one, "refId": chr(ord("A") + number)} for number, one in enumerate(targets)],
        "fieldConfig": {"defaults": defaults, "overrides": more.get("overrides", [])},
        "options": more.get("options", {}),
        "links": [
            {"title": f"Runbook: {alert}", "url": f"{RUNBOOK}#{alert.lower()}", "targetBlank": True}
            for alert in more.get("alerts", ())
        ],
        "gridPos": {"w": width, "h": more.get("height", GRAPH_HEIGHT)},
    }
    if "repeat" in more:
        made |= {"repeat": more["repeat"], "repeatDirection": "h", "maxPerRow": 4}
    if "transformations" in more:
        made["transformations"] = more["transformations"]
    return made


def stat(title: str, about: str, expr: str, **more: Any) -> Json:
    """Return a large figure."""
    options = {
        "colorMode": "background",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": more.pop("text", "auto"),
        "wideLayout": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    more = {"color": "thresholds", "height": STAT_HEIGHT, "width": 3, **more}
    return panel(
        "stat", title, about, [target(expr, more.pop("legend", ""))], more.pop("width"), options=options, **more
    )


def graph(title: str, about: str, targets: list[Json], width: int = 8, *, stacked: bool = False, **more: Any) -> Json:
    """Return lines over time."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 25 if stacked else 8,
        "gradientMode": "none",
        "showPoints": "never",
        "spanNulls": False,
        "axisPlacement": "auto",
        "axisSoftMin": 0,
        "scaleDistribution": {"type": "linear"},
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
        "thresholdsStyle": {"mode": "line" if more.get("steps") else "off"},
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
    }
    options = {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, about, targets, width, custom=custom, options=options, **more)


def heatmap(title: str, about: str, expr: str, width: int, **more: Any) -> Json:
    """Return a histogram over time: buckets by `le`."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "fill": "dark-orange",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": False},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "percentunit"},
    }
    custom = {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}
    return panel(
        "heatmap", title, about, [target(expr, "{{le}}", form="heatmap")], width, options=options, custom=custom, **more
    )


def states(title: str, about: str, targets: list[Json], width: int, **more: Any) -> Json:
    """Return what holds and what does not, over time."""
    mappings = [
        {
            "type": "value",
            "options": {
                "0": {"color": RED, "index": 0, "text": "no"},
                "1": {"color": GREEN, "index": 1, "text": "yes"},
            },
        }
    ]
    options = {
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 70, "lineWidth": 0, "hideFrom": {"legend": False, "tooltip": False, "viz": False}}
    return panel(
        "state-timeline", title, about, targets, width, options=options, custom=custom, mappings=mappings,
        color="thresholds", base=RED, steps=((1, GREEN),), **more,
    )  # fmt: skip


def table(title: str, about: str, expr: str, width: int, *, hidden: tuple[str, ...], **more: Any) -> Json:
    """Return a table of the series of now, without some of their labels."""
    options = {
        "cellHeight": "sm",
        "footer": {"show": False, "countRows": False, "fields": "", "reducer": ["sum"]},
        "showHeader": True,
    }
    organize = {
        "id": "organize",
        "options": {"excludeByName": dict.fromkeys(hidden, True), "indexByName": {}, "renameByName": {}},
    }
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}
    return panel(
        "table", title, about, [target(expr, instant=True, form="table")], width, options=options, custom=custom,
        transformations=[organize], **more,
    )  # fmt: skip


def rate(name: str, by: str = "", selector: str = WORKERS) -> str:
    """Return the rate of a counter, summed by labels, or over all."""
    return f"sum{f' by ({by})' if by else ''} (rate({name}{{{selector}}}[$__rate_interval]))"


def mean(name: str, by: str, selector: str = WORKERS) -> str:
    """Return what one observation of a histogram is on average."""
    return f"{rate(name + '_sum', by, selector)} / {rate(name + '_count', by, selector)}"


def quantile(share: float, name: str, by: str = "", selector: str = WORKERS) -> str:
    """Return a quantile of a histogram."""
    return f"histogram_quantile({share}, {rate(name + '_bucket', ', '.join(filter(None, (by, 'le'))), selector)})"
