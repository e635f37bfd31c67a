"""What the dashboard shows first: whether labels are in time, and which partitions are behind.

The text of a panel stands behind its (i), and says what to do.
"""
# ruff: noqa: INP001 - beside the script that uses it, no package

from panels import BLUE, GREEN, GROUP, RED, WORKERS, YELLOW, graph, quantile, rate, stat, target

KEEPING_UP = [
    stat(
        "Alerts that fire",
        "Start here: each has a section in the runbook, linked at the top.",
        f'count(ALERTS{{alertname=~"Moderation.*", alertstate="firing", {GROUP}}}) or vector(0)',
        steps=((1, RED),),
        decimals=0,
    ),
    stat(
        "Workers ready",
        "Ready: model loaded, broker reachable, every partition of its own open. None: nothing is labelled.",
        f"sum(instance:moderate_ready:min{{{GROUP}}})",
        base=RED,
        steps=((1, GREEN),),
        decimals=0,
        alerts=("ModerationNoWorkerReady", "ModerationWorkerNotReady"),
    ),
    stat(
        "Oldest post without labels",
        "Promised are 10 s. If it grows: posts a second below say whether less is labelled than comes.",
        f"max(group:moderate_lag_seconds:max{{{GROUP}}})",
        unit="s",
        steps=((10, YELLOW), (60, RED)),
        alerts=("ModerationLabelsLate",),
    ),
    stat(
        "Posts that wait",
        "Many with a small age are a burst; few with a great age are a stuck partition.",
        f"sum(group:moderate_lag_posts:sum{{{GROUP}}})",
        base=BLUE,
        decimals=0,
        alerts=("ModerationLabelsLate",),
    ),
    stat(
        "Latency, 99 %",
        "From a post's Kafka timestamp to the commit of its labels, within the last five minutes.",
        f"max(group:moderate_latency_seconds:p99_5m{{{GROUP}}})",
        unit="s",
        steps=((5, YELLOW), (10, RED)),
        alerts=("ModerationLatencyBudget",),
    ),
    stat(
        "Late posts, last hour",
        "Waited longer than 10 s. One per cent is allowed; at 14.4 % a page comes.",
        f"max(group:moderate_late_posts:share1h{{{GROUP}}})",
        unit="percentunit",
        steps=((0.01, YELLOW), (0.144, RED)),
        minimum=0,
        alerts=("ModerationLatencyBudget",),
    ),
    stat(
        "Partitions without a worker",
        "Nobody labels them. Some seconds are a rebalance; minutes are not.",
        f"sum(group:moderate_partitions_unowned:count{{{GROUP}}})",
        steps=((1, RED),),
        decimals=0,
        alerts=("ModerationPartitionsUnowned",),
    ),
    stat(
        "Partitions that stand still",
        "Nothing labelled for a minute, though posts wait.",
        f"sum(group:moderate_partitions_stalled:count{{{GROUP}}})",
        steps=((1, RED),),
        decimals=0,
        alerts=("ModerationPartitionsStalled",),
    ),
    graph(
        "Age of the oldest post, by partition",
        "One partition alone is stuck, or has a burst of one key. All of them: too few workers, or the broker.",
        [target(f"topk(8, max by (partition) (moderate_lag_seconds{{{WORKERS}}}))", "partition {{partition}}")],
        unit="s",
        steps=((60, RED),),
        alerts=("ModerationLabelsLate", "ModerationPartitionsStalled"),
    ),
    graph(
        "Latency",
        "The line: 10 s, which 99 % of the posts shall keep.",
        [target(quantile(share, "moderate_latency_seconds"), f"p{share * 100:.0f}") for share in (0.5, 0.9, 0.99)],
        unit="s",
        steps=((10, RED),),
        alerts=("ModerationLatencyBudget",),
    ),
    graph(
        "Posts a second",
        "Read above labelled: falling behind. Nothing read and nothing waits: the producers write nothing.",
        [target(rate(f"moderate_posts_{what}_total", "job"), what) for what in ("read", "labelled")]
        + [target(rate("moderate_dead_letters_total", "job"), "dead letters")],
        unit="reqps",
    ),
    graph(
        "Posts that wait, over time",
        "From the oldest post without committed labels to the end, all partitions.",
        [target(f"sum(max by (partition) (moderate_lag_posts{{{WORKERS}}}))", "posts")],
    ),
    graph(
        "Partitions",
        "Open on all workers together should be the topic's. Opening for long: the broker refuses, or an output "
        "topic has too few partitions.",
        [
            target(f"max(moderate_topic_partitions{{{GROUP}}})", "of the topic"),
            target(f"sum by (state) (moderate_lanes{{{WORKERS}}})", "{{state}}"),
            target(f"max(group:moderate_partitions_unowned:count{{{GROUP}}})", "without a worker"),
        ],
        alerts=("ModerationPartitionsUnowned",),
    ),
    graph(
        "Partitions of each worker",
        "Uneven for long: a worker that owns none is one too many.",
        [target(f'moderate_lanes{{{WORKERS}, state="open"}}', "{{instance}}")],
        stacked=True,
    ),
]
