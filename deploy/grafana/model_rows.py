"""What the dashboard shows of the model, the processes and the shadow.

The text of a panel stands behind its (i), and says what to do.
"""
# ruff: noqa: INP001 - beside the script that uses it, no package

from panels import GROUP, RED, WORKERS, graph, heatmap, rate, states, table, target

TASK = f'{WORKERS}, task=~"$task"'
LABELLED = f"(rate(moderate_labels_total{{{TASK}}}[$__rate_interval]))"
DASHED = {
    "matcher": {"id": "byRegexp", "options": "/reference$/"},
    "properties": [
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
        {"id": "custom.fillOpacity", "value": 0},
    ],
}
MODEL = [
    graph(
        "Shares of the labels of $task",
        "Dashed: the reference. A jump at a rollout: the checkpoint. A drift over days: the posts.",
        [
            target(f"sum by (label) {LABELLED} / ignoring (label) group_left () sum {LABELLED}", "{{label}}"),
            target(f"max by (label) (moderate_reference_share{{{TASK}}})", "{{label}}, reference"),
        ],
        width=12,
        unit="percentunit",
        minimum=0,
        maximum=1,
        alerts=("ModerationDrift",),
        overrides=[DASHED],
    ),
    graph(
        "Drift (PSI)",
        "Of the last posts against the reference. Below 0.1 nothing, above 0.25 a shift. None below 500 posts a "
        "worker, and without a reference.",
        [target(f"group:moderate_drift_psi:mean{{{GROUP}}}", "{{task}} {{of}}")],
        width=12,
        steps=((0.25, RED),),
        empty="fewer than 500 posts, or no reference",
        alerts=("ModerationDrift",),
    ),
    heatmap(
        "Scores of $label",
        "Posts by calibrated probability. Two bands at the edges: the model is sure; one in the middle: it is not.",
        f'sum by (le) (increase(moderate_scores_bucket{{{WORKERS}, task=~"$task", label="$label"}}[$__rate_interval]))',
        6,
        repeat="label",
    ),
    table(
        "Checkpoints",
        "More than one for long: a rollout that stopped half-way. `mmorient inspect` says what a checkpoint holds.",
        f"count by (checkpoint, name, precision, graph_context) (moderate_model_info{{{WORKERS}}})",
        24,
        hidden=("Time",),
        height=5,
        alerts=("ModerationCheckpointsDiffer",),
    ),
]

PROCESSES = [
    graph(
        "Processors",
        "Of each worker. At its limit with lag: the device is the limit.",
        [target(f"rate(process_cpu_seconds_total{{{WORKERS}}}[$__rate_interval])", "{{instance}}")],
        width=6,
    ),
    graph(
        "Memory",
        "About 0.9 GB with the shipped checkpoint; large pictures take more. At the limit the kernel ends it: lower "
        "batch.max_in_flight_bytes.",
        [target(f"process_resident_memory_bytes{{{WORKERS}}}", "{{instance}}")],
        width=6,
        unit="bytes",
        alerts=("ModerationWorkerRestarts",),
    ),
    graph(
        "The event loop is late",
        "The worst of the last minute. Above 2 s: too little processor, or a standstill.",
        [target(f"moderate_loop_lag_max_seconds{{{WORKERS}}}", "{{instance}}")],
        width=6,
        unit="s",
        steps=((2, RED),),
        alerts=("ModerationLoopLate",),
    ),
    graph(
        "Restarts within two hours",
        "A rollout is one. Three are a ticket.",
        [target(f"changes(process_start_time_seconds{{{WORKERS}}}[2h])", "{{instance}}")],
        width=6,
        steps=((3, RED),),
        alerts=("ModerationWorkerRestarts",),
    ),
    graph(
        "Open files",
        "Share of what the system allows. Steady growth: connections leak.",
        [target(f"process_open_fds{{{WORKERS}}} / process_max_fds{{{WORKERS}}}", "{{instance}}")],
        width=6,
        unit="percentunit",
        steps=((0.8, RED),),
    ),
    graph(
        "Device memory",
        "Only on a GPU. Little free: batches are cut, which is slower.",
        [target(f"moderate_device_memory_bytes{{{WORKERS}}}", "{{instance}} {{kind}}")],
        width=6,
        unit="bytes",
        empty="no GPU",
        alerts=("ModerationDeviceMemory",),
    ),
    graph(
        "Assignments",
        "How often the group gave partitions out. Steady growth: members come and go.",
        [
            target(f"sum(increase(moderate_assignments_total{{{WORKERS}}}[$__rate_interval]))", "assignments"),
            target(f"sum(increase(moderate_traces_dropped_total{{{WORKERS}}}[$__rate_interval]))", "traces dropped"),
        ],
        width=6,
    ),
    table(
        "Versions",
        "Of program and device. More than one: a rollout is under way.",
        f"count by (version, device) (moderate_build_info{{{WORKERS}}})",
        6,
        hidden=("Time",),
    ),
]

DECISIONS = [
    graph(
        "Decisions by rule",
        "What the policy makes of labels. A jump at a new version: the rules. Otherwise: the posts, or the checkpoint.",
        [target(rate("moderate_decisions_total", "decision, rule"), "{{decision}} by {{rule}}")],
        width=12,
        stacked=True,
        unit="reqps",
        empty="no policies, or no rule is reached",
    ),
    graph(
        "Shadow rules",
        "What each would change if it were active: adds a decision, removes one, or all stays the same.",
        [target(rate("moderate_shadow_decisions_total", "change, rule"), "{{rule}} {{change}}")],
        width=6,
        unit="reqps",
        empty="no shadow rule",
    ),
    graph(
        "Policies that came",
        "Refused: a worker cannot use what is published, and goes on with what it has. Look for policies_refused.",
        [
            target(
                f"sum by (result) (increase(moderate_policies_taken_total{{{WORKERS}}}[$__rate_interval]))",
                "{{result}}",
            )
        ],
        width=6,
    ),
    table(
        "Policies in force",
        "More than one for longer than moments: a worker refused the last one, or has another folder.",
        f"count by (version, source) (moderate_policy_info{{{WORKERS}}})",
        24,
        hidden=("Time",),
        height=5,
        alerts=("ModerationPoliciesDiffer",),
    ),
]

SHADOW = [
    graph(
        "Posts of the shadow",
        "behind, loop_lag, full: no processor to spare. not_ready, died: look for shadow_ended in the log.",
        [target(rate("moderate_shadow_posts_total", "result, reason"), "{{result}} {{reason}}")],
        width=12,
        stacked=True,
        unit="reqps",
        empty="no shadow",
        alerts=("ModerationShadowFallsBehind",),
    ),
    graph(
        "Posts that wait for it",
        "At shadow.max_waiting_posts (256 as shipped) more are passed over.",
        [target(f"moderate_shadow_waiting_posts{{{WORKERS}}}", "{{instance}}")],
        width=6,
    ),
    states(
        "It takes posts",
        "No: it loads, it died, or there is none.",
        [
            target(f"moderate_shadow_ready{{{WORKERS}}}", "{{instance}}"),
            target(f"moderate_shadow_ends_total{{{WORKERS}}} == bool 0", "{{instance}} never died"),
        ],
        6,
        alerts=("ModerationShadowFallsBehind",),
    ),
]
