"""Every metric of the worker, in one table before it is emitted: name, kind, unit, meaning, labels.

Labels have few values: tasks, stages, reason codes, and the partitions that this worker owns. No id of a post, an
author or a community is ever one. The rows of some rooms stand in files of their own beside this one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import ProcessCollector
from prometheus_client.registry import Collector

from worker.telemetry import (
    audit_metrics,
    output_metrics,
    page_metrics,
    policy_metrics,
    serving_metrics,
    shadow_metrics,
)
from worker.telemetry.metric import REGISTRY, ROWS, computed, counter, gauge, histogram

METRICS = ROWS
# Their rows are of the same table.
PARTS = (output_metrics, policy_metrics, shadow_metrics, serving_metrics, page_metrics, audit_metrics)

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
FAILING_PARTITIONS = gauge(
    "moderate_failing_partitions",
    "partitions",
    "Owned partitions whose lanes have failed for a while although the broker answers; each waits by itself.",
)
GAPS_REFUSED = counter(
    "moderate_gaps_refused_total",
    "fetches",
    "Fetched records that were refused, and read again, because posts before them were fetched and lost on the way.",
)

# How fast?
POSTS_READ = counter("moderate_posts_read_total", "posts", "Records read from the posts topic.")
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
POSTS_REPEATED = counter(
    "moderate_posts_repeated_total",
    "posts",
    "Posts that repeat all of another's contents, which this process labelled a moment ago: they have its labels.",
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

# What of Kafka is not as it should be?
RECORD_FAULTS = counter(
    "moderate_record_faults_total",
    "records",
    "What was read of Kafka that is not as it should be, by kind: header_name (not UTF-8; read, with escapes), "
    "unreadable (a record, or a batch whose records cannot be told apart; dead-lettered with its bytes), too_large (a "
    "batch that grows too large when it is decompressed; the same). Counted again where records are read again.",
    "kind",
)

# What fails, and why?
DECODER_ENDS = counter(
    "moderate_decoder_ends_total",
    "processes",
    "Ends of a process that decodes pictures, by cause: crash, killed (from outside), memory, time. It is started "
    "again; the picture is tried once more, but where it took too much time.",
    "cause",
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
HOSTS_SKIPPED = gauge(
    "moderate_picture_hosts_skipped",
    "hosts",
    "Picture hosts that gave nothing many times in a row and are skipped for now: 1 for each of up to 16 hosts by "
    "name; under others how many more there are.",
    "host",
)
SKIPPED_MEDIA = counter(
    "moderate_skipped_media_total", "media", "Pictures that were left out at once because their host is skipped."
)
OUTAGE_MEDIA = counter(
    "moderate_outage_media_total",
    "media",
    "Pictures of hosts that are out, by what was done: held (waited for), left_out (labelled without), dead_letter.",
    "what",
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

# Which model, and which version of the worker?
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
for _kind in ("connection", "status", "denied"):
    REGISTRY_FAILURES.labels(_kind)
for _reason in ("fenced", "timeout", "connection", "other"):
    LANES_FAILED.labels(_reason)
for _kind in ("header_name", "unreadable", "too_large"):
    RECORD_FAULTS.labels(_kind)
for _kind in ("timeout", "error", "full", "failover", "slow", "garbage", "wrong_size", "forged"):
    CACHE_FAILURES.labels(_kind)
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
