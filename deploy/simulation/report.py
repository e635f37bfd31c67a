"""The README's tables, as Markdown."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from deploy.simulation.figures import Figures
from deploy.simulation.load import shares
from deploy.simulation.scenarios import MEAN_POSTS_PER_SECOND, Verdict, judge
from deploy.simulation.search import SLOWER
from deploy.simulation.settings import Settings, threshold, with_trigger

# A spike of ten times the mean and the time to recover from it, both ten minutes: (10 + 1) / 2 times the mean.
PEAK_FACTOR = 5.5
PARTITION_COUNTS = (6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)

HEAD = (
    "settings",
    "meets",
    "wave: replica hours",
    "p99 lag, s",
    "longest, s",
    "posts over 60 s",
    "rebalances",
    "spike: recovery, s",
    "replica hours",
    "dead broker: recovery, s",
    "replica hours",
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def row(verdict: Verdict, name: str = "") -> list[str]:
    """Return settings' line, under `HEAD`."""
    wave = verdict.wave
    return [
        name or verdict.settings.name,
        "yes" if verdict.meets else "no",
        f"{wave.replica_hours:.1f}",
        f"{wave.p99:.0f}",
        f"{wave.longest:.0f}",
        f"{100 * wave.late_share:.3f} %",
        str(wave.rebalances),
        *disturbed(verdict),
    ]


def disturbed(verdict: Verdict) -> list[str]:
    """Return the last cells of a line: what came of the spike and of the dead broker."""
    return [
        cell
        for outcome in (verdict.spike, verdict.dead)
        for cell in (f"{outcome.recovery_seconds:.0f}", f"{outcome.replica_hours:.1f}")
    ]


def switches(chosen: Settings) -> Iterator[Settings]:
    """Give the chosen settings with one switch changed each, and two that know what was measured but not of lag."""
    yield replace(chosen, name="as chosen")
    by_lag = replace(chosen, name="without the `cpu` trigger", metric="lag")
    yield by_lag
    yield replace(chosen, name="without the `kafka` trigger", metric="cpu")
    yield replace(chosen, name="without `leave_on_stop`", leave_on_stop=False)
    yield replace(chosen, name="with `assignment=sticky`, the worker's default", sticky=True)
    yield with_trigger(by_lag, "lag alone, with `excludePersistentLag`", exclude_persistent_lag=True)
    yield with_trigger(
        by_lag,
        "lag alone, with that and `limitToPartitionsWithLag`",
        exclude_persistent_lag=True,
        limit_to_partitions_with_lag=True,
    )
    yield with_trigger(by_lag, "lag alone, with `useCachedMetrics`", use_cached_metrics=True)
    yield replace(by_lag, name="lag alone, without `leave_on_stop`", leave_on_stop=False)
    partitions = chosen.partitions
    yield Settings("CPU at 60 %, all else Kubernetes' own", partitions, 1, partitions, metric="cpu", cpu_target=0.6)
    yield Settings("four replicas, the peak's, fixed", partitions, 4, 4, metric="fixed")


def variations(figures: Figures) -> Iterator[tuple[str, Figures]]:
    """Give the figures with one changed each."""
    yield "as measured", figures
    yield "a process takes 23 s to start (median beside other work)", replace(figures, start_seconds=23.0)
    for seconds in (5.0, 60.0, 180.0):
        yield f"a pod's process starts after {seconds:.0f} s", replace(figures, schedule_seconds=seconds)
    for factor in (0.8, 1.5):
        rate = factor * figures.posts_per_second
        yield f"a worker labels {rate:.0f} posts/s, unknown to the threshold", replace(figures, posts_per_second=rate)
    for use in (0.68, 1.0):
        yield f"flat out it uses {100 * use:.0f} % of its request", replace(figures, cpu_flat_out=use)
    for seconds in (1.0, 5.0, 15.0):
        yield f"a rebalance pauses for {seconds:.0f} s", replace(figures, rebalance_seconds=seconds)
    for posts in (100.0, 10_000.0):
        yield f"a fetch holds {posts:.0f} posts", replace(figures, fetch_posts=posts)


def sensitivity(chosen: Settings, figures: Figures) -> Iterator[tuple[str, Verdict]]:
    """Give what the chosen settings are worth where a figure or the stream is another."""
    for name, changed in variations(figures):
        yield name, judge(chosen, changed)
    for mean in (50.0, 150.0, 200.0):
        yield f"{mean:.0f} posts/s on average", judge(chosen, figures, mean=mean)


def for_rate(
    chosen: Settings, figures: Figures, posts_per_second: float, *, by_cpu: bool = True
) -> tuple[Settings, Figures, float]:
    """Return the chosen settings for workers of another speed, their figures, and the mean load that they are for.

    Lag is counted in seconds of work: what is chosen is a number of those, and the threshold is that many of a
    worker's posts. All else stays, as long as the stream is as large for the workers as the one of the tables.

    Args:
        chosen: for the measured speed.
        figures: measured.
        posts_per_second: of one worker.
        by_cpu: whether the processors' use says how much a worker has to do; on a GPU it does not.
    """
    factor = posts_per_second / figures.posts_per_second
    seconds = round(chosen.trigger.lag_threshold / figures.posts_per_second)
    changed = with_trigger(
        chosen if by_cpu else replace(chosen, metric="lag"),
        "for this speed",
        lag_threshold=threshold(posts_per_second, seconds),
    )
    # A fetch is bytes, not seconds: it holds what it holds.
    return changed, replace(figures, posts_per_second=posts_per_second), MEAN_POSTS_PER_SECOND * factor


def for_stream(settings: Settings, figures: Figures, mean: float) -> Settings:
    """Return settings with bounds and partitions for a stream.

    A spike of ten times the mean that lasts as long as its recovery may take needs half of its height in workers, and
    its hottest partition half of its share in one. Two workers are the fewest: one node may go.

    Args:
        settings: with the threshold of these workers.
        figures: of the workers.
        mean: posts a second.

    Raises:
        ValueError: a single partition would be more than one worker can label, however many there are.
    """
    needed = PEAK_FACTOR * mean / (SLOWER * figures.posts_per_second)
    for partitions in PARTITION_COUNTS:
        if partitions >= needed and max(shares(partitions)) * needed <= 1.0:
            least = max(settings.min_replicas, round(mean / figures.posts_per_second))
            # More than is needed, while workers start and a backlog grows; more only costs.
            most = min(partitions, math.ceil(2.5 * needed))
            return replace(settings, partitions=partitions, min_replicas=least, max_replicas=most)
    raise ValueError(
        f"{mean:.0f} posts/s in workers of {figures.posts_per_second:.0f}: with {PARTITION_COUNTS[-1]} partitions too, "
        "the busiest author is more in a tenfold spike than one worker recovers from; key posts by post, not by author"
    )
