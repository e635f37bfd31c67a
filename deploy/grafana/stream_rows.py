"""What the dashboard shows of the work on posts: where the time goes, the cache, failures.

The text of a panel stands behind its (i), and says what to do.
"""
# ruff: noqa: INP001 - beside the script that uses it, no package

from panels import (
    GROUP,
    RED,
    WORKERS,
    YELLOW,
    graph,
    mean,
    quantile,
    rate,
    states,
    target,
)

TIME = [
    graph(
        "A batch in its stages",
        "Mean time in each stage, waiting included. infer grows: the device is the limit. publish: the broker. "
        "media: slow picture servers. embed: pictures to decode, or Redis.",
        [target(mean("moderate_stage_seconds", "stage"), "{{stage}}")],
        width=12,
        stacked=True,
        unit="s",
    ),
    graph(
        "The slowest stages",
        "99 % of the batches are below.",
        [target(quantile(0.99, "moderate_stage_seconds", "stage"), "{{stage}}")],
        width=12,
        unit="s",
    ),
    graph(
        "The device is busy",
        "Share of time in which the torch thread works. Near 100 % with a growing lag: more workers, or a GPU. Low "
        "with a growing lag: it waits for something else.",
        [target(f"rate(moderate_model_seconds_total{{{WORKERS}}}[$__rate_interval])", "{{instance}}")],
        width=6,
        unit="percentunit",
        maximum=1,
        steps=((0.9, YELLOW),),
        alerts=("ModerationLabelsLate",),
    ),
    graph(
        "The model's time by part",
        "Seconds a second. texts and pictures: the encoders. posts: all after them.",
        [target(rate("moderate_model_call_seconds_total", "part"), "{{part}}")],
        width=6,
        stacked=True,
        unit="s",
    ),
    graph(
        "Time of one item",
        "What a text or a picture costs the encoder. If it grows, threads fight for processors, or texts are longer.",
        [
            target(
                f"{rate('moderate_model_call_seconds_total', 'part')} / {rate('moderate_model_items_total', 'part')}",
                "{{part}}",
            )
        ],
        width=6,
        unit="s",
    ),
    graph(
        "Commits",
        "One transaction a slice. Above a second: look at the broker before anything else.",
        [target(quantile(share, "moderate_commit_seconds"), f"p{share * 100:.0f}") for share in (0.5, 0.99)],
        width=6,
        unit="s",
    ),
    graph(
        "Posts in a batch",
        "Batches grow with the backlog, up to batch.max_posts.",
        [target(mean("moderate_batch_posts", "job"), "mean")],
        width=12,
    ),
    graph(
        "Bytes between fetch and commit",
        "At batch.max_in_flight_bytes (64 MiB as shipped) nothing more is fetched.",
        [
            target(f"moderate_in_flight_bytes{{{WORKERS}}}", "{{instance}}"),
            target(f"moderate_held_picture_bytes{{{WORKERS}}}", "pictures: {{instance}}"),
        ],
        width=12,
        unit="bytes",
    ),
]

HITS = WORKERS + ', result="hit"'
SAVED = f"""sum(
  label_replace(label_replace(
    {rate("moderate_cache_lookups_total", "namespace, job, content", HITS)},
    "part", "texts", "content", "text"), "part", "pictures", "content", "image")
  * on (namespace, job, part) group_left () group:moderate_encode_seconds:mean{{{GROUP}}})"""
LOOKUPS = "moderate_cache_lookups_total"
CACHE = [
    graph(
        "Hits",
        "Share of texts and pictures that Redis had. Falls after a new checkpoint with other encoders, and when Redis "
        "lost its memory.",
        [target(f"{rate(LOOKUPS, 'content', HITS)} / {rate(LOOKUPS, 'content')}", "{{content}}")],
        unit="percentunit",
        minimum=0,
        maximum=1,
    ),
    graph(
        "Seconds saved and spent, a second",
        "Saved: hits, times what an encoder takes for one. Spent: in requests to Redis. Spent above saved for days: "
        "do without.",
        [target(SAVED, "saved on the device"), target(rate("moderate_cache_seconds_sum", "access"), "{{access}}")],
        unit="s",
    ),
    graph(
        "Equal contents, a second",
        "Posts that waited for a text or picture that was being encoded for another post already; labels: posts that "
        "repeat all of one that was labelled a moment ago.",
        [
            target(rate("moderate_units_shared_total", "part"), "{{part}}"),
            target(rate("moderate_posts_repeated_total"), "labels"),
        ],
    ),
    graph(
        "Time of one request",
        "At redis.slow_seconds (0.1 as shipped) on average Redis is left alone for a while.",
        [
            target(quantile(0.99, "moderate_cache_seconds", "access"), "{{access}} p99"),
            target(mean("moderate_cache_seconds", "access"), "{{access}} mean"),
        ],
        unit="s",
        steps=((0.1, YELLOW),),
        alerts=("ModerationCacheFailing",),
    ),
]

FAILURES = [
    graph(
        "Dead letters",
        "decode: a producer writes something else. media: picture servers, for posts without a text. infer: the "
        "model cannot read them. poison: they killed a worker. `moderate dead-letters list` quotes them.",
        [target(rate("moderate_dead_letters_total", "stage, reason") + " > 0", "{{stage}}: {{reason}}")],
        stacked=True,
        unit="reqps",
        empty="none",
        alerts=("ModerationDeadLetters", "ModerationPoison"),
    ),
    graph(
        "Pictures that cannot be used",
        "Their posts are labelled by what is left. http_status, fetch_…: their servers, the way out of the cluster, "
        "or addresses that are never asked (moderate_fetches_refused_total).",
        [
            target(rate("moderate_media_unavailable_total", "reason"), "{{reason}}"),
            target(rate("moderate_fetches_refused_total", "kind") + " > 0", "never asked: {{kind}}"),
            target(rate("moderate_outage_media_total", "what") + " > 0", "host is out: {{what}}"),
            target(rate("moderate_decoder_ends_total", "cause") + " > 0", "decoder ended: {{cause}}"),
            target(f"sum(moderate_picture_hosts_out{{{WORKERS}}}) > 0", "hosts that are out"),
            target(f"sum(rate(moderate_skipped_media_total{{{WORKERS}}}[$__rate_interval])) > 0", "host is skipped"),
            target(f"sum by (host) (moderate_picture_hosts_skipped{{{WORKERS}}}) > 0", "skipped: {{host}}"),
        ],
        stacked=True,
        unit="reqps",
        empty="none",
        alerts=("ModerationMediaUnavailable",),
    ),
    graph(
        "Texts by language",
        "Of the committed posts. Not supported: the checkpoint does not claim to read that language.",
        [target(rate("moderate_texts_read_total", "language, supported"), "{{language}}, supported {{supported}}")],
        stacked=True,
        unit="reqps",
        empty="none",
    ),
    graph(
        "Texts that were not read whole",
        "Truncated: longer than the budget of windows. Unread: more than half of the text said nothing to the model.",
        [
            target(rate("moderate_texts_truncated_total", ""), "truncated"),
            target(rate("moderate_texts_unread_total", ""), "mostly unread"),
        ],
        unit="reqps",
        empty="none",
    ),
    graph(
        "Share of posts and pictures that fail",
        "Posts: a ticket above 5 %, a page above 50 %. Pictures: a ticket above 20 %.",
        [
            target(f"group:moderate_dead_letters:share15m{{{GROUP}}}", "posts: dead letters"),
            target(f"group:moderate_media_unavailable:share15m{{{GROUP}}}", "pictures: unavailable"),
        ],
        unit="percentunit",
        minimum=0,
        alerts=("ModerationDeadLetters", "ModerationMediaUnavailable"),
    ),
    graph(
        "Read in part, or passed over",
        "Fields that count as absent: a producer writes them otherwise. Passed over: deletions and other events in "
        "their envelopes. Schema Registry: its failures; posts wait until it answers.",
        [
            target(rate("moderate_fields_unread_total", "field") + " > 0", "field {{field}}"),
            target(rate("moderate_tombstones_total", "result") + " > 0", "deletions: {{result}}"),
            target(rate("moderate_no_posts_total") + " > 0", "other events"),
            target(rate("moderate_registry_failures_total", "kind") + " > 0", "Schema Registry: {{kind}}"),
            target(rate("moderate_after_commit_failures_total", "part") + " > 0", "after the commit: {{part}}"),
        ],
        width=24,
        unit="reqps",
        empty="none",
    ),
    graph(
        "Claims that break",
        "A few: a rebalance, or a broker that restarts. Many that are fenced: two deployments with one group id.",
        [
            target(
                f"sum by (reason) (increase(moderate_lanes_failed_total{{{WORKERS}}}[$__rate_interval])) > 0",
                "{{reason}}",
            )
        ],
        width=6,
        empty="none",
        alerts=("ModerationLanesBreak",),
    ),
    graph(
        "Redis failures",
        "Labels go on without it.",
        [target(rate("moderate_cache_failures_total", "kind") + " > 0", "{{kind}}")],
        width=6,
        unit="reqps",
        empty="none",
        alerts=("ModerationCacheFailing",),
    ),
    graph(
        "Posts gone without labels",
        "Retention was shorter than the backlog. They have no labels for good, unless an archive has them.",
        [target(f"sum(increase(moderate_records_gone_total{{{WORKERS}}}[$__rate_interval]))", "posts")],
        width=6,
        steps=((1, RED),),
        alerts=("ModerationRecordsGone",),
    ),
    states(
        "Redis is asked",
        "No: it failed and is left alone for some seconds; or there is none.",
        [target(f"moderate_cache_available{{{WORKERS}}}", "{{instance}}")],
        6,
        alerts=("ModerationCacheFailing",),
    ),
    graph(
        "Damaged partitions",
        "What comes next in them cannot be read, and nothing behind it is labelled. The other partitions go on.",
        [target(f"sum by (instance) (moderate_unreadable_partitions{{{WORKERS}}}) > 0", "{{instance}}")],
        width=12,
        empty="none",
        steps=((1, RED),),
        alerts=("ModerationPartitionUnreadable",),
    ),
    graph(
        "Failing partitions",
        "Their outputs cannot be written though the broker answers. Their posts wait; the other partitions go on.",
        [target(f"sum by (instance) (moderate_failing_partitions{{{WORKERS}}}) > 0", "{{instance}}")],
        width=12,
        empty="none",
        steps=((1, RED),),
        alerts=("ModerationPartitionFails",),
    ),
    graph(
        "Odd timestamps, faulty records, gaps",
        "Times that count for no age, records that are not as they should be, and fetches that were made again because "
        "records were missing in them.",
        [
            target(rate("moderate_odd_timestamps_total", "kind") + " > 0", "timestamp {{kind}}"),
            target(rate("moderate_record_faults_total", "kind") + " > 0", "{{kind}}"),
            target(rate("moderate_gaps_refused_total", "job") + " > 0", "gap, read again"),
        ],
        width=12,
        unit="reqps",
        empty="none",
    ),
    graph(
        "What the audit found wrong",
        "Of `moderate audit --follow`. Anything here is a post without its labels, or with labels that are not right.",
        [
            target(
                'sum by (kind) (increase(moderate_audit_faults_total{namespace=~"$namespace"}[$__rate_interval])) > 0',
                "{{kind}}",
            )
        ],
        width=12,
        empty="none",
        steps=((1, RED),),
        alerts=("ModerationAuditFaults",),
    ),
    graph(
        "What the audit has looked at",
        "Offsets by what became of them, those that workers have not committed, and how often it has looked.",
        [
            target(
                'sum by (outcome) (rate(moderate_audit_offsets_total{namespace=~"$namespace"}[$__rate_interval])) > 0',
                "{{outcome}}",
            ),
            target('sum(moderate_audit_pending_offsets{namespace=~"$namespace"})', "not committed yet"),
            target(
                'sum(increase(moderate_audit_rounds_total{namespace=~"$namespace"}[$__rate_interval])) > 0', "looks"
            ),
        ],
        width=12,
        empty="none",
    ),
    states(
        "Ready, and why not",
        "The three checks of /readyz, by worker.",
        [target(f"moderate_ready{{{WORKERS}}}", "{{instance}} {{check}}")],
        24,
        alerts=("ModerationNoWorkerReady", "ModerationBrokerUnreachable", "ModerationWorkerNotReady"),
    ),
]
