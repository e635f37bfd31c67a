"""Every metric of the worker, in one table before it is emitted: name, kind, unit, meaning, labels.

Labels have few values: tasks, stages, reason codes, and the partitions that this worker owns. No id of a post, an
author or a community is ever one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import ProcessCollector
from prometheus_client.registry import Collector

from worker.telemetry import page_metrics, serving_metrics
from worker.telemetry.metric import REGISTRY, ROWS, computed, counter, gauge, histogram

METRICS = ROWS
SERVING, PAGE = serving_metrics, page_metrics  # their rows are of the same table

_LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

# Are we keeping up? Is any partition stuck?
LAG_POSTS = computed(
    "gauge",
    "moderate_lag_posts",
    "posts",
    "Offsets from the oldest post that is not committed to the end of an owned partition.",
    "partition",
)
LAG_SECONDS = computed(
    "gauge",
    "moderate_lag_seconds",
    "seconds",
    "Age of the oldest post of an owned partition whose labels are not committed, by its Kafka timestamp; 0 where "
    "there is none. Posts that wait in the broker are at most so old.",
    "partition",
)
STALLED_SECONDS = computed(
    "gauge",
    "moderate_stalled_seconds",
    "seconds",
    "Time since an owned partition last moved, while posts wait in it or its lane is not open; 0 otherwise.",
    "partition",
)
TOPIC_PARTITIONS = gauge("moderate_topic_partitions", "partitions", "Partitions of the posts topic.")
LANES = gauge(
    "moderate_lanes", "partitions", "Partitions owned by this worker, by state: open (labelled), opening.", "state"
)
LANES_FAILED = counter(
    "moderate_lanes_failed_total",
    "lanes",
    "Lanes that broke and were opened anew: fenced (another process took the partition), timeout, connection, other.",
    "reason",
)
ASSIGNMENTS = counter("moderate_assignments_total", "assignments", "Times that the group gave this worker partitions.")
RECORDS_GONE = counter(
    "moderate_records_gone_total", "offsets", "Offsets passed over because retention was shorter than the lag."
)
UNREADABLE_PARTITIONS = gauge(
    "moderate_unreadable_partitions",
    "partitions",
    "Owned partitions that stand still because what comes next in them is damaged or of an unknown format.",
)
GAPS_REFUSED = counter(
    "moderate_gaps_refused_total",
    "fetches",
    "Fetched records that were refused, and read again, because posts before them were fetched and lost on the way.",
)

# Of `moderate audit --follow`, which serves these alone.
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

# How fast?
POSTS_READ = counter("moderate_posts_read_total", "posts", "Records read from the posts topic.")
POSTS_LABELLED = counter("moderate_posts_labelled_total", "posts", "Posts whose labels are committed.")
LATENCY_SECONDS = histogram(
    "moderate_latency_seconds",
    "seconds",
    "From a post's Kafka timestamp to the commit of its labels; without posts whose timestamp is no time of writing.",
    buckets=_LATENCY_BUCKETS,
)
BATCH_POSTS = histogram("moderate_batch_posts", "posts", "Posts in a batch.", buckets=_BATCH_BUCKETS)
IN_FLIGHT_BYTES = gauge("moderate_in_flight_bytes", "bytes", "Bytes of records between fetch and commit.")
HELD_PICTURE_BYTES = gauge(
    "moderate_held_picture_bytes", "bytes", "Bytes of pictures that are held, or may still come of fetches under way."
)

# Where does the time go? Is the device busy?
STAGE_SECONDS = histogram(
    "moderate_stage_seconds",
    "seconds",
    "Time of a batch in a stage, waiting included: decode, media, drawn, embed, infer, publish.",
    "stage",
    buckets=_STAGE_BUCKETS,
)
COMMIT_SECONDS = histogram(
    "moderate_commit_seconds", "seconds", "Time of one transaction, from begin to commit.", buckets=_STAGE_BUCKETS
)
MODEL_SECONDS = counter("moderate_model_seconds_total", "seconds", "Time in which the torch thread was at work.")
MODEL_CALL_SECONDS = counter(
    "moderate_model_call_seconds_total",
    "seconds",
    "Time in calls of the model, by part: texts and pictures (the encoders), posts (all after them).",
    "part",
)
MODEL_ITEMS = counter("moderate_model_items_total", "items", "What these calls were given.", "part")
UNITS_SHARED = counter(
    "moderate_units_shared_total",
    "posts",
    "Posts that waited for a text or a picture which was being encoded for another post already.",
    "part",
)
DEVICE_MEMORY_BYTES = computed(
    "gauge",
    "moderate_device_memory_bytes",
    "bytes",
    "Memory of the GPU: allocated (tensors), reserved (by torch), free, total. None on a CPU.",
    "kind",
)

# Is the cache worth it?
CACHE_LOOKUPS = counter(
    "moderate_cache_lookups_total",
    "embeddings",
    "Embeddings asked of Redis, by content (text, image) and result (hit, miss).",
    "content",
    "result",
)
CACHE_SECONDS = histogram(
    "moderate_cache_seconds",
    "seconds",
    "Time of one request to Redis, by access: find, store.",
    "access",
    buckets=_STAGE_BUCKETS,
)
CACHE_FAILURES = counter(
    "moderate_cache_failures_total",
    "requests",
    "Failures of Redis, by kind: timeout, error, full, failover, slow, garbage, wrong_size, forged.",
    "kind",
)
CACHE_AVAILABLE = gauge("moderate_cache_available", "boolean", "1 while Redis is asked, 0 while it is left alone.")

# What is no post, or not as it should be?
TOMBSTONES = counter(
    "moderate_tombstones_total",
    "records",
    "Committed deletions of posts, by what became of them: passed, forwarded to the label topics, "
    "no_key (asked to be forwarded, and nothing says what is deleted).",
    "result",
)
RECORD_FAULTS = counter(
    "moderate_record_faults_total",
    "records",
    "What was read of Kafka that is not as it should be, by kind: header_name (not UTF-8; read, with escapes), "
    "unreadable (a record, or a batch whose records cannot be told apart; dead-lettered with its bytes), too_large (a "
    "batch that grows too large when it is decompressed; the same). Counted again where records are read again.",
    "kind",
)
ODD_TIMESTAMPS = counter(
    "moderate_odd_timestamps_total",
    "posts",
    "Committed posts whose Kafka timestamp is no time of writing, by kind: none (0 or less), past (before 2000), "
    "future. They count for no age, lag or latency.",
    "kind",
)

# What fails, and why?
DEAD_LETTERS = counter(
    "moderate_dead_letters_total",
    "posts",
    "Committed dead letters, by the stage that refused and its reason.",
    "stage",
    "reason",
)
MEDIA_UNAVAILABLE = counter(
    "moderate_media_unavailable_total", "media", "Media left out of labelled posts, by reason code.", "reason"
)
DECODER_ENDS = counter(
    "moderate_decoder_ends_total",
    "processes",
    "Ends of a process that decodes pictures, by cause: crash, killed (from outside), memory, time. It is started "
    "again; the picture is tried once more, but where it took too much time.",
    "cause",
)
AFTER_COMMIT_FAILURES = counter(
    "moderate_after_commit_failures_total",
    "failures",
    "Failures of what looks at committed posts, by part: counters, traces, or an observer. Labels are not concerned.",
    "part",
)
FETCHES_REFUSED = counter(
    "moderate_fetches_refused_total",
    "media",
    "Pictures that were not asked for because of where their address leads, by kind: protected (private, loopback, "
    "link-local), port, denied, not_allowed, downgrade (from https to http), numbers (an address that is none).",
    "kind",
)
HOSTS_OUT = gauge(
    "moderate_picture_hosts_out",
    "hosts",
    "Picture hosts that gave pictures to this worker before, and are out now; the log line picture_host_is_out names "
    "them.",
)
OUTAGE_MEDIA = counter(
    "moderate_outage_media_total",
    "media",
    "Pictures of hosts that are out, by what was done: held (waited for), left_out (labelled without), dead_letter.",
    "what",
)
TEXTS_READ = counter(
    "moderate_texts_read_total",
    "texts",
    "Texts of labelled posts, by language (ISO 639-1, of some fifty; unknown where it cannot be told) and by whether "
    "the checkpoint was made for it.",
    "language",
    "supported",
)
TEXTS_TRUNCATED = counter(
    "moderate_texts_truncated_total", "texts", "Texts of labelled posts that are too long to be read whole."
)
TEXTS_UNREAD = counter(
    "moderate_texts_unread_total", "texts", "Texts of labelled posts of which the model knows less than half."
)
FIELDS_UNREAD = counter(
    "moderate_fields_unread_total",
    "fields",
    "Fields of labelled posts that could not be read and count as absent: created_at, author_id, community, language.",
    "field",
)
NO_POSTS = counter(
    "moderate_no_posts_total",
    "records",
    "Committed records that are neither a post nor the deletion of one, but another event of a social network or "
    "database, such as a like.",
)
REGISTRY_FAILURES = counter(
    "moderate_registry_failures_total",
    "requests",
    "Failures of the Schema Registry, by kind: connection, status (in trouble), denied. Posts wait until it answers.",
    "kind",
)
READY = gauge(
    "moderate_ready",
    "boolean",
    "1 where a check of /readyz holds: model_loaded, broker_reachable, partitions_ready; of `moderate serve`, "
    "model_loaded and accepting.",
    "check",
)
LOOP_LAG_SECONDS = gauge("moderate_loop_lag_seconds", "seconds", "How late the event loop ran when last measured.")
LOOP_LAG_MAX_SECONDS = gauge(
    "moderate_loop_lag_max_seconds", "seconds", "The latest that the event loop ran within the last minute."
)
SPANS_DROPPED = counter(
    "moderate_traces_dropped_total", "posts", "Posts whose trace was not written because too many waited."
)

# What does the model say, and does it drift?
LABELS = counter("moderate_labels_total", "labels", "Committed labels.", "task", "label")
SCORES = computed(
    "histogram",
    "moderate_scores",
    "probability",
    "Calibrated probabilities of committed labels, in ten bins, for every label of every task.",
    "task",
    "label",
)
REFERENCE_SHARE = computed(
    "gauge", "moderate_reference_share", "share", "Share of a label in the drift reference.", "task", "label"
)
DRIFT_PSI = computed(
    "gauge",
    "moderate_drift_psi",
    "PSI",
    "Population stability index of the last posts (setting drift.window_posts) against the reference: of a task's "
    "label shares, or of the scores of its label that moved most. Absent below 500 posts and without a reference.",
    "task",
    "of",
)
MODEL_INFO = gauge(
    "moderate_model_info",
    "boolean",
    "1, with the model in the labels.",
    "name",
    "checkpoint",
    "precision",
    "graph_context",
    "arithmetic",
)
BUILD_INFO = gauge("moderate_build_info", "boolean", "1, with versions and device in the labels.", "version", "device")

# What is decided, and by which policy?
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

# What does the shadow manage?
SHADOW_POSTS = counter(
    "moderate_shadow_posts_total",
    "posts",
    "Posts chosen for the shadow, once their live labels are committed. labelled; dropped: not_ready, full, behind "
    "(the live path is), loop_lag; failed: rejected, unpublished, died.",
    "result",
    "reason",
)
SHADOW_WAITING_POSTS = gauge("moderate_shadow_waiting_posts", "posts", "Posts kept for the shadow or with it.")
SHADOW_WAITING_BYTES = gauge("moderate_shadow_waiting_bytes", "bytes", "Bytes of these posts.")
SHADOW_READY = gauge("moderate_shadow_ready", "boolean", "1 while the shadow takes posts.")
SHADOW_ENDS = counter("moderate_shadow_ends_total", "processes", "Times that the shadow's process ended by itself.")

# The process, by prometheus_client, in its words.
ProcessCollector(registry=REGISTRY)
for _name, _unit, _meaning in (
    ("process_virtual_memory_bytes", "bytes", "Virtual memory size in bytes."),
    ("process_resident_memory_bytes", "bytes", "Resident memory size in bytes."),
    ("process_start_time_seconds", "seconds", "Start time of the process since unix epoch in seconds."),
    ("process_open_fds", "descriptors", "Number of open file descriptors."),
    ("process_max_fds", "descriptors", "Maximum number of open file descriptors."),
):
    computed("gauge", _name, _unit, _meaning)
computed("counter", "process_cpu_seconds_total", "seconds", "Total user and system CPU time spent in seconds.")


# There from the start: Prometheus sees how much a series has grown, not that it has begun.
for _stage, _reasons in (
    ("fetch", ("unreadable",)),
    (
        "decode",
        (
            "empty",
            "no_json",
            "no_post",
            "not_of_schema",
            "nothing_to_read",
            "too_long",
            "unknown_schema",
            "unsupported",
        ),
    ),
    ("media", ("nothing_usable",)),
    ("infer", ("model_error", "no_memory")),
    ("poison", ("poison",)),
):
    for _reason in _reasons:
        DEAD_LETTERS.labels(_stage, _reason)
for _field in ("created_at", "author_id", "community", "language"):
    FIELDS_UNREAD.labels(_field)
for _kind in ("connection", "status", "denied"):
    REGISTRY_FAILURES.labels(_kind)
for _reason in ("fenced", "timeout", "connection", "other"):
    LANES_FAILED.labels(_reason)
for _result in ("passed", "forwarded", "no_key"):
    TOMBSTONES.labels(_result)
for _kind in ("header_name", "unreadable", "too_large"):
    RECORD_FAULTS.labels(_kind)
for _kind in ("none", "past", "future"):
    ODD_TIMESTAMPS.labels(_kind)
for _kind in ("timeout", "error", "full", "failover", "slow", "garbage", "wrong_size", "forged"):
    CACHE_FAILURES.labels(_kind)
for _result in ("taken", "withdrawn", "refused"):
    POLICIES_TAKEN.labels(_result)
for _access in ("find", "store"):
    # A worker that never had an answer of Redis has a share of failures, too.
    CACHE_SECONDS.labels(_access)


@contextmanager
def exported(*collectors: Collector) -> Iterator[None]:
    """Export what these compute, within the block."""
    for collector in collectors:
        REGISTRY.register(collector)
    try:
        yield
    finally:
        for collector in collectors:
            REGISTRY.unregister(collector)


def sample(name: str, **labels: str) -> float:
    """Return what a metric stands at in this process; 0 where nothing was counted yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def total(name: str, **labels: str) -> float:
    """Return the sum of a metric over all of its series that have these labels."""
    return sum(
        entry.value
        for metric in REGISTRY.collect()
        for entry in metric.samples
        if entry.name == name and labels.items() <= entry.labels.items()
    )
