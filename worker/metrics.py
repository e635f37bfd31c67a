"""Every metric of the worker, registered in one table before it is emitted: name, kind, unit, meaning."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

_LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

POSTS_READ = Counter("moderate_posts_read", "Records read from the posts topic.", registry=REGISTRY)
POSTS_LABELLED = Counter("moderate_posts_labelled", "Posts whose labels are committed.", registry=REGISTRY)
LABELS = Counter("moderate_labels", "Committed labels.", ["task", "label"], registry=REGISTRY)
DEAD_LETTERS = Counter(
    "moderate_dead_letters",
    "Committed dead letters, by the stage that refused.",
    ["stage"],
    registry=REGISTRY,
)
MEDIA_UNAVAILABLE = Counter(
    "moderate_media_unavailable",
    "Media left out of labelled posts, by reason code.",
    ["reason"],
    registry=REGISTRY,
)
CACHE_LOOKUPS = Counter("moderate_cache_lookups", "Embeddings asked of Redis.", ["result"], registry=REGISTRY)
CACHE_FAILURES = Counter(
    "moderate_cache_failures",
    "Failures of Redis, by kind: timeout, error, full, slow, garbage, wrong_size.",
    ["kind"],
    registry=REGISTRY,
)
BATCH_POSTS = Histogram(
    "moderate_batch_posts",
    "Posts in a batch.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    registry=REGISTRY,
)
STAGE_SECONDS = Histogram(
    "moderate_stage_seconds",
    "Time of a batch in a stage, waiting included.",
    ["stage"],
    buckets=_STAGE_BUCKETS,
    registry=REGISTRY,
)
MODEL_SECONDS = Counter("moderate_model_seconds", "Seconds that the model was computing.", registry=REGISTRY)
LATENCY_SECONDS = Histogram(
    "moderate_latency_seconds",
    "From a post's Kafka timestamp to the commit of its labels.",
    buckets=_LATENCY_BUCKETS,
    registry=REGISTRY,
)
IN_FLIGHT_BYTES = Gauge("moderate_in_flight_bytes", "Bytes of records between fetch and commit.", registry=REGISTRY)
RECORDS_GONE = Counter(
    "moderate_records_gone", "Offsets passed over because retention was shorter than the lag.", registry=REGISTRY
)
SHADOW_POSTS = Counter(
    "moderate_shadow_posts",
    "Posts chosen for the shadow, once their live labels are committed. labelled; dropped: not_ready, full, behind "
    "(the live path is), loop_lag; failed: rejected, unpublished, died.",
    ["result", "reason"],
    registry=REGISTRY,
)
SHADOW_WAITING_POSTS = Gauge(
    "moderate_shadow_waiting_posts", "Posts kept for the shadow or with it.", registry=REGISTRY
)
SHADOW_WAITING_BYTES = Gauge("moderate_shadow_waiting_bytes", "Bytes of these posts.", registry=REGISTRY)
SHADOW_READY = Gauge("moderate_shadow_ready", "1 while the shadow takes posts.", registry=REGISTRY)
SHADOW_ENDS = Counter("moderate_shadow_ends", "Times that the shadow's process ended by itself.", registry=REGISTRY)
LANES = Gauge("moderate_lanes", "Partitions owned by this worker, by state.", ["state"], registry=REGISTRY)
LANES_FAILED = Counter("moderate_lanes_failed", "Lanes that were fenced, timed out or cut off.", registry=REGISTRY)
LAG_POSTS = Gauge("moderate_lag_posts", "Posts behind the end of a partition.", ["partition"], registry=REGISTRY)
LOOP_LAG_SECONDS = Gauge("moderate_loop_lag_seconds", "How late the event loop runs.", registry=REGISTRY)
MODEL_INFO = Gauge(
    "moderate_model_info",
    "1, with the model in the labels.",
    ["name", "checkpoint", "precision", "graph_context"],
    registry=REGISTRY,
)


def sample(name: str, **labels: str) -> float:
    """Return what a metric stands at in this process; 0 where nothing was counted yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def total(name: str) -> float:
    """Return the sum of a metric over all of its labels."""
    return sum(entry.value for metric in REGISTRY.collect() for entry in metric.samples if entry.name == name)
