"""The metrics of the page of `moderate serve`: rows of the one table (`metrics.py`)."""

from worker.telemetry.metric import counter, gauge

PAGE_VIEWERS = gauge("moderate_page_viewers", "viewers", "Browsers that are shown the stream by `moderate serve`.")
VERDICTS = counter(
    "moderate_verdicts_total",
    "verdicts",
    "What people said of labels on the page of `moderate serve`, by task: agree, disagree.",
    "task",
    "verdict",
)
