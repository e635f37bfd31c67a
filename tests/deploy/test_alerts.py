"""The shipped alerts as they stand: by promtool, by their texts, by the faults that prove them."""

import re
import subprocess

import pytest
import yaml

from tests.deploy import tools
from tests.deploy.faults import FAULTS
from tests.deploy.prometheus_server import RULES, scaled

# A CPU has no device memory, and the lab's broker lies with nobody who may damage its files or take its replicas away
# (tests/worker/intake/test_damaged_log.py and test_failing_partition.py do): promtool's synthetic series prove these.
# The audit's faults are put into a real broker in tests/worker/commands/audit/test_audit.py, its counters included.
# A real worker refuses a policy in tests/worker/test_decisions.py.
# Servers are no workers of the lab: tests/worker/serving/ loads one, overloads one and ends one.
SYNTHETIC = {
    "ModerationDeviceMemory/ticket",
    "ModerationPartitionUnreadable/ticket",
    "ModerationPartitionFails/ticket",
    "ModerationAuditFaults/page",
    "ModerationPoliciesDiffer/ticket",
    "ModerationServeDown/page",
    "ModerationServeOverloaded/ticket",
}


def rules(name: str) -> list[dict[str, object]]:
    """Return the rules of a file."""
    groups = yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str) -> str:
    """Run promtool on the shipped rules and return what it says."""
    done = subprocess.run([tools.promtool(), *arguments], cwd=RULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.server
def test_promtool_finds_the_rules_good() -> None:
    """Rules and alerts can be loaded; every alert fires and stays quiet where it should."""
    assert "SUCCESS" in promtool("check", "rules", "rules.yml", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    tested = (RULES / "alerts_test.yml").read_text(encoding="utf-8")
    assert {rule["alert"] for rule in rules("alerts.yml")} <= set(re.findall(r'alertname="(\w+)"', tested))


def test_an_alert_says_what_users_notice_and_where_to_read_on() -> None:
    """Every alert has a severity, a summary in one line, a description, and its own section of the runbook."""
    for rule in rules("alerts.yml"):
        name, notes = str(rule["alert"]), rule["annotations"]
        assert isinstance(notes, dict)
        assert rule["labels"] == {"severity": rule["labels"]["severity"]}  # type: ignore[index]
        assert rule["labels"]["severity"] in {"page", "ticket"}  # type: ignore[index]
        assert set(notes) == {"summary", "description", "runbook_url"}
        assert len(notes["summary"]) < 140
        assert len(notes["description"]) > 100
        assert notes["runbook_url"] == f"deploy/runbook.html#{name.lower()}"
        jobs = {"Audit": "moderation-audit", "Serve": "moderation-serve"}
        job = next((job for part, job in jobs.items() if part in name), "moderation-worker")
        assert f'job="{job}"' in str(rule["expr"]), name


def test_scaled_rules_differ_in_their_time_alone() -> None:
    """Dividing time touches windows, `for`, offsets and ages in seconds, and nothing else."""
    for name in ("rules.yml", "alerts.yml"):
        shipped = (RULES / name).read_text(encoding="utf-8")
        times = r"\[\d+[smhd]\]|for: \d+[smhd]\b|offset \d+[smhd]\b|time\(\) - \w+ < \d+"
        assert re.sub(times, "T", scaled(shipped, 60)) == re.sub(times, "T", shipped)
        assert "[5m]" not in scaled(shipped, 60)
    said = "x[5m] offset 1h\nfor: 2m\ntime() - process_start_time_seconds < 3600\ny > 60"
    assert scaled(said, 60) == "x[5s] offset 60s\nfor: 2s\ntime() - process_start_time_seconds < 60\ny > 60"


def test_every_alert_has_a_real_fault() -> None:
    """The faults below cover all alerts but those that nothing here can bring about."""
    shipped = {f"{rule['alert']}/{rule['labels']['severity']}" for rule in rules("alerts.yml")}  # type: ignore[index]
    assert {alert for fault in FAULTS for alert in fault.alerts} == shipped - SYNTHETIC
