"""The metrics of what is committed, and of what the labels say: rows of the one table (`metrics.py`)."""

from worker.telemetry.metric import computed, counter, histogram

_LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

POSTS_LABELLED = counter("moderate_posts_labelled_total", "posts", "Posts whose labels are committed.")
LATENCY_SECONDS = histogram(
    "moderate_latency_seconds",
    "seconds",
    "From a post's Kafka timestamp to the commit of its labels; without posts whose timestamp is no time of writing.",
    buckets=_LATENCY_BUCKETS,
)

# What is no post, or not as it should be?
TOMBSTONES = counter(
    "moderate_tombstones_total",
    "records",
    "Committed deletions of posts, by what became of them: passed, forwarded to the label topics, "
    "no_key (asked to be forwarded, and nothing says what is deleted).",
    "result",
)
NO_POSTS = counter(
    "moderate_no_posts_total",
    "records",
    "Committed records that are neither a post nor the deletion of one, but another event of a social network or "
    "database, such as a like.",
)
ODD_TIMESTAMPS = counter(
    "moderate_odd_timestamps_total",
    "posts",
    "Committed posts whose Kafka timestamp is no time of writing, by kind: none (0 or less), past (before 2000), "
    "future. They count for no age, lag or latency.",
    "kind",
)

# What fails, and what is not read?
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
FIELDS_UNREAD = counter(
    "moderate_fields_unread_total",
    "fields",
    "Fields of labelled posts that could not be read and count as absent: created_at, author_id, community, language.",
    "field",
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
AFTER_COMMIT_FAILURES = counter(
    "moderate_after_commit_failures_total",
    "failures",
    "Failures of what looks at committed posts, by part: counters, traces, or an observer. Labels are not concerned.",
    "part",
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
for _result in ("passed", "forwarded", "no_key"):
    TOMBSTONES.labels(_result)
for _kind in ("none", "past", "future"):
    ODD_TIMESTAMPS.labels(_kind)
