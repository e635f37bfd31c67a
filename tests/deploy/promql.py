"""What a PromQL expression names: metrics and labels, held against the table that workers export and the rules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from tests.deploy.prometheus_server import RULES
from worker.telemetry.metrics import METRICS

# Of every scraped series.
TARGET = frozenset({"namespace", "job", "instance"})
_WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_LABEL_LIST = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MATCHERS = re.compile(r"([a-zA-Z_:][\w:]*)?\s*\{([^}]*)\}")
_NAME = re.compile(r"[a-zA-Z_:][\w:]*")


@dataclass(frozen=True)
class Named:
    """Names in an expression.

    Attributes:
        metrics: of series.
        matched: by metric, the labels that its selectors ask for.
        listed: labels in `by (…)`, `on (…)` and the like.
    """

    metrics: frozenset[str]
    matched: Mapping[str, frozenset[str]]
    listed: frozenset[str]


def named(expression: str) -> Named:
    """Return what an expression names."""
    text = _STRING.sub('""', expression)
    listed = {name for found in _LABEL_LIST.findall(text) for name in _NAME.findall(found)}
    text = re.sub(r"\[[^\]]*\]", "", _LABEL_LIST.sub("", text))
    matched: dict[str, frozenset[str]] = {}
    for metric, inside in _MATCHERS.findall(text):
        labels = frozenset(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside))
        matched[metric] = matched.get(metric, frozenset()) | labels
    text = _MATCHERS.sub(r"\1", text)
    metrics = {
        found.group()
        for found in _NAME.finditer(text)
        if found.group() not in _WORDS
        and not text[found.end() :].lstrip().startswith("(")
        and not re.search(r"[\d.]$", text[: found.start()])
    }
    return Named(frozenset(metrics), matched, frozenset(listed))


def known() -> dict[str, frozenset[str]]:
    """Return the labels of every series that there can be: of workers, of recording rules, of Prometheus itself."""
    series: dict[str, frozenset[str]] = {
        "up": TARGET,
        "ALERTS": TARGET | {"alertname", "alertstate", "severity"},
    }
    for metric in METRICS:
        labels = TARGET | frozenset(metric.labels)
        if metric.kind == "histogram":
            series |= {f"{metric.name}_{part}": labels for part in ("sum", "count")}
            series[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            series[metric.name] = labels
    for group in yaml.safe_load((RULES / "rules.yml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            series[rule["record"]] = TARGET | named(rule["expr"]).listed
    return series


def unknown(expression: str, *, legend: str = "") -> list[str]:
    """Return what an expression, or the legend of its query, names that does not exist."""
    series, names = known(), named(expression)
    wrong = [metric for metric in names.metrics if metric not in series]
    for metric, labels in names.matched.items():
        wrong += [f"{metric}{{{label}}}" for label in labels - series.get(metric, labels)]
    there = frozenset[str]().union(*(series.get(metric, frozenset()) for metric in names.metrics))
    shown = frozenset(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
    return sorted({*wrong, *(names.listed - there), *(shown - there)})
