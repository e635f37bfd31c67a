"""The metrics of `moderate audit --follow`, which serves no others: rows of the one table (`metrics.py`)."""

from worker.telemetry.metric import counter, gauge

AUDIT_OFFSETS = counter(
    "moderate_audit_offsets_total",
    "offsets",
    "Offsets of the posts topic that the audit has looked at, by outcome: labelled, dead_lettered, why it was passed "
    "over, faulty.",
    "outcome",
)
AUDIT_FAULTS = counter(
    "moderate_audit_faults_total",
    "faults",
    "What the audit found wrong, by kind: missing, doubled, both, wrong_partition, wrong_checkpoint, and others.",
    "kind",
)
AUDIT_PENDING = gauge(
    "moderate_audit_pending_offsets", "offsets", "Offsets that the workers have not committed, as the audit saw them."
)
AUDIT_ROUNDS = counter("moderate_audit_rounds_total", "rounds", "Looks of the audit at all partitions.")
