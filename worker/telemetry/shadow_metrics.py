"""The metrics of the shadow: what it manages: rows of the one table (`metrics.py`)."""

from worker.telemetry.metric import counter, gauge

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
