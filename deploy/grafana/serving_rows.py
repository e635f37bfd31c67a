"""What the dashboard shows of `moderate serve`, whose pods are a job of their own.

The text of a panel stands behind its (i), and says what to do.
"""
# ruff: noqa: INP001 - beside the script that uses it, no package

from panels import RED, graph, quantile, rate, states, target

SERVERS = 'namespace=~"$namespace", job="moderation-serve"'
_NONE = "no `moderate serve`"

SERVING = [
    graph(
        "Requests over HTTP",
        "By route and status. 429: too much waits, or a key asks too often; 503: a server loads its model, or ends; "
        "504: what was accepted took too long.",
        [target(rate("moderate_http_requests_total", "route, code", SERVERS), "{{route}} {{code}}")],
        width=8,
        stacked=True,
        unit="reqps",
        empty=_NONE,
        alerts=("ModerationServeDown",),
    ),
    graph(
        "Time of a request",
        "Without those that were refused. Near `serve.deadline_seconds`: the next are refused; add pods.",
        [
            target(quantile(0.5, "moderate_http_seconds", "route", SERVERS), "{{route}}, half"),
            target(quantile(0.99, "moderate_http_seconds", "route", SERVERS), "{{route}}, 99 %"),
        ],
        width=8,
        unit="s",
        steps=((5, RED),),
        empty=_NONE,
    ),
    graph(
        "Posts that wait for an answer",
        "What the autoscaler goes by. At `serve.max_waiting_posts` (512 as shipped) requests are refused.",
        [target(f"moderate_serving_posts{{{SERVERS}}}", "{{instance}}")],
        width=8,
        empty=_NONE,
        alerts=("ModerationServeOverloaded",),
    ),
    graph(
        "Requests refused or given up",
        "full, late: more than the pods can do. rate, key, body: a client's own. deadline: accepted, took too long. "
        "gone: the client went away.",
        [
            target(rate("moderate_serving_refused_total", "reason", SERVERS), "{{reason}}"),
            target(rate("moderate_serving_dropped_total", "reason", SERVERS), "given up: {{reason}}"),
        ],
        width=8,
        unit="reqps",
        empty=_NONE,
        alerts=("ModerationServeOverloaded",),
    ),
    graph(
        "Posts answered",
        "refused: what would be a dead letter in the stream; the answer says why.",
        [target(rate("moderate_served_posts_total", "result", SERVERS), "{{result}}")],
        width=8,
        stacked=True,
        unit="reqps",
        empty=_NONE,
    ),
    graph(
        "Bytes held for requests",
        "Of bodies and of posts that wait; each at most `serve.max_waiting_bytes`.",
        [
            target(f"sum by (instance) (moderate_serving_body_bytes{{{SERVERS}}})", "{{instance}}, bodies"),
            target(f"sum by (instance) (moderate_serving_bytes{{{SERVERS}}})", "{{instance}}, posts"),
        ],
        width=4,
        unit="bytes",
        empty=_NONE,
    ),
    states(
        "It accepts posts",
        "No: the model loads, or the process ends.",
        [target(f"moderate_serving_open{{{SERVERS}}}", "{{instance}}")],
        4,
        alerts=("ModerationServeDown",),
    ),
    graph(
        "What people say of labels",
        "Verdicts on the page, by task. Many that disagree: export them, calibrate, or train.",
        [target(rate("moderate_verdicts_total", "task, verdict", SERVERS), "{{task}}, {{verdict}}")],
        width=8,
        empty="no verdicts",
    ),
    graph(
        "Browsers that see the stream",
        "One reader of the label topics serves them all. At `page.max_viewers` (32 as shipped) nobody else is let in.",
        [target(f"moderate_page_viewers{{{SERVERS}}}", "{{instance}}")],
        width=8,
        empty=_NONE,
    ),
]
