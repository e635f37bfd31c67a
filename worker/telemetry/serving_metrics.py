"""The metrics of `moderate serve`: rows of the one table (`metrics.py`)."""

from worker.telemetry.metric import counter, gauge, histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

HTTP_REQUESTS = counter(
    "moderate_http_requests_total",
    "requests",
    "Answered requests of `moderate serve`, by route (other: no such address) and status code.",
    "route",
    "code",
)
HTTP_SECONDS = histogram(
    "moderate_http_seconds",
    "seconds",
    "From a request's head to the end of its answer, by route; refused requests (4xx) are left out.",
    "route",
    buckets=_SECONDS,
)
SERVING_POSTS = gauge(
    "moderate_serving_posts", "posts", "Posts of `moderate serve` that are accepted and not answered."
)
SERVING_BYTES = gauge("moderate_serving_bytes", "bytes", "Bytes of these posts.")
SERVING_BODY_BYTES = gauge(
    "moderate_serving_body_bytes", "bytes", "Bytes of request bodies that are held, or may still come."
)
SERVING_OPEN = gauge(
    "moderate_serving_open",
    "boolean",
    "1 while `moderate serve` accepts posts; 0 before its model works and at its end.",
)
SERVED_POSTS = counter(
    "moderate_served_posts_total",
    "posts",
    "Posts that `moderate serve` answered, by result: labelled, refused (a dead letter in the stream), passed_over, "
    "explained.",
    "result",
)
SERVING_REFUSED = counter(
    "moderate_serving_refused_total",
    "requests",
    "Requests that were refused, by reason: full (too much waits), late (they could not be done before their "
    "deadline), rate (of their key), key (none, or an unknown one), body (too large, or too slow), closing.",
    "reason",
)
SERVING_DROPPED = counter(
    "moderate_serving_dropped_total",
    "requests",
    "Accepted requests that were given up, by reason: deadline, gone (their client went away).",
    "reason",
)

# There from the start: Prometheus sees how much a series has grown, not that it has begun.
for _result in ("labelled", "refused", "passed_over", "explained"):
    SERVED_POSTS.labels(_result)
for _reason in ("full", "late", "rate", "key", "body", "closing"):
    SERVING_REFUSED.labels(_reason)
for _reason in ("deadline", "gone"):
    SERVING_DROPPED.labels(_reason)
