"""The metrics of decisions, and of the policy in force: rows of the one table (`metrics.py`)."""

from worker.telemetry.metric import counter, gauge

DECISIONS = counter(
    "moderate_decisions_total",
    "decisions",
    "Committed decisions, by the rule that was in force and what it decides. Of more than a thousand rules since the "
    "start, those that came last are `other`.",
    "rule",
    "decision",
)
SHADOW_DECISIONS = counter(
    "moderate_shadow_decisions_total",
    "posts",
    "Committed posts on which a shadow rule that was active would decide: adds (a decision there is not), removes (one "
    "there is), same.",
    "rule",
    "change",
)
POLICY_INFO = gauge(
    "moderate_policy_info",
    "policies",
    "1 for the policy in force: its version, and where it is from: folder, topic.",
    "version",
    "source",
)
POLICIES_TAKEN = counter(
    "moderate_policies_taken_total",
    "policies",
    "What came on the control topic, by result: taken, withdrawn (the folder's holds again), refused.",
    "result",
)

# There from the start: Prometheus sees how much a series has grown, not that it has begun.
for _result in ("taken", "withdrawn", "refused"):
    POLICIES_TAKEN.labels(_result)
