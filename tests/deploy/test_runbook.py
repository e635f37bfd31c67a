"""The runbook: a section for every alert, no other, and only metrics, settings and events that exist."""

import re

import yaml

from tests.deploy.prometheus_server import RULES
from tests.deploy.promql import known, unknown
from worker.settings import Settings

ROOT = RULES.parent.parent
TEXT = (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")
SEVERITIES: dict[str, set[str]] = {}
for _group in yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))["groups"]:
    for _rule in _group["rules"]:
        SEVERITIES.setdefault(_rule["alert"], set()).add(_rule["labels"]["severity"])


def sections() -> dict[str, str]:
    """Return the sections of alerts, by heading."""
    parts = re.split(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    return {name: text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name.startswith("Moderation")}


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    """In the order of the alerts, and each says first whether it is a page or a ticket."""
    assert sections().keys() == SEVERITIES.keys()
    for name, text in sections().items():
        first = text.strip().splitlines()[0].lower()
        assert {severity for severity in ("page", "ticket") if f"**{severity}" in first} == SEVERITIES[name], name


def test_what_it_names_exists() -> None:
    """Metrics and their labels, settings, links within the page and events of the log."""
    series = known()
    for name in re.findall(r"\b(?:moderate|process)_[a-z_]+\b|\b(?:group|instance):\w+:\w+", TEXT):
        starts = [one for one in series if one.startswith(name)]
        assert starts, name
    for block in re.findall(r"```promql\n(.*?)```", TEXT, flags=re.DOTALL):
        for expression in block.splitlines():
            assert not unknown(expression), expression
    for name in re.findall(r"\bMODERATE_([A-Z_]+[A-Z])\b", TEXT):
        group, _, field = name.lower().partition("__")
        assert group in Settings.model_fields, name
        if field:
            assert field in type(getattr(Settings(), group)).model_fields, name
    headings = {re.sub(r"[^\w -]", "", found).lower().replace(" ", "-") for found in re.findall(r"(?m)^#+ (.+)$", TEXT)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= headings
    for path in re.findall(r"\]\((\.\./[^)#]+)\)", TEXT):
        assert (ROOT / "deploy" / path).exists(), path
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "worker").rglob("*.py"))
    for event in ("worker_fails", "lane_broken", "hung", "records_gone", "dead_letter", "redis_unavailable",
                  "broker_unreachable", "shadow_ended", "outputs_too_few_partitions", "died_on_trial",
                  "partition_unreadable", "policies_refused"):  # fmt: skip
        assert event in TEXT
        assert f'"{event}"' in code, event
