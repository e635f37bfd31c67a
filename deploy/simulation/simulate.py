"""One run: a load, settings and figures in, seconds out."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from deploy.simulation.figures import Figures
from deploy.simulation.hpa import SYNC_SECONDS, Autoscaler, replicas_for_average, replicas_for_utilization
from deploy.simulation.keda import KafkaScaler
from deploy.simulation.load import Array, Load
from deploy.simulation.settings import Settings
from deploy.simulation.workers import Fleet

# When in its rounds the autoscaler asks; KEDA's own loop runs at the rounds' start.
ASKS_AT = 7
# What the metrics server averages over, in rounds of the autoscaler.
_CPU_ROUNDS = 2
# Nodes are not alike: seconds that starts take beyond the least, used in turn.
STARTS = (0.0, 4.0, 1.0, 8.0, 2.0, 6.0, 3.0)


@dataclass(frozen=True)
class Run:
    """What became of a load.

    Args:
        load: that arrived.
        settings: under which.
        done: [t, p] posts labelled up to the end of each second.
        replicas: [t] pods that are paid for.
        rebalances: pauses of all partitions.
    """

    load: Load
    settings: Settings
    done: Array
    replicas: NDArray[np.int64]
    rebalances: int


def run(
    load: Load,
    settings: Settings,
    figures: Figures,
    *,
    asks_at: int = ASKS_AT,
    starts: Sequence[float] = STARTS,
    plan: Callable[[int, Fleet], None] | None = None,
) -> Run:
    """Simulate second by second.

    Args:
        load: with as many partitions as the settings say.
        settings: of scaling.
        figures: of the workers.
        asks_at: second of its round of 15 in which the autoscaler asks.
        starts: seconds that each next start takes beyond the figures', used in turn.
        plan: called each second in place of any scaling, to repeat what a real run did.

    Raises:
        ValueError: load and settings have different partitions.
    """
    if load.partitions != settings.partitions:
        raise ValueError(f"a load of {load.partitions} partitions for settings of {settings.partitions}")
    late = figures.latency_seconds
    # A post is labelled at the earliest `late` after it came; a second's posts come evenly over it.
    readable = load.arrivals * (1 - late)
    readable[1:] += load.arrivals[:-1] * late
    ends = np.cumsum(load.arrivals, axis=0)
    done = np.zeros_like(ends)
    replicas = np.zeros(load.seconds, dtype=np.int64)
    fleet = Fleet(figures, settings.partitions, settings.leave_on_stop, settings.sticky, starts)
    control = _Control(settings, fleet, asks_at)
    if plan is None:
        rate = float(load.arrivals[:60].mean(axis=0).sum())
        needed = int(rate / figures.posts_per_second * 1.2) + 1
        fleet.begin(min(settings.max_replicas, max(settings.min_replicas, needed)))
    now = 0
    while now < load.seconds:
        if plan is not None:
            plan(now, fleet)
            until = now + 1
        else:
            until = min(load.seconds, control.next_look(now) + 1)
        skipped = None if load.dead[now:until].any() else fleet.skip(now, readable[now:until])
        if skipped is not None:
            done[now:until] = skipped
            replicas[now:until] = fleet.paid
        else:
            for second, arrived in enumerate(readable[now:until].tolist(), now):
                fleet.step(second, arrived, dead=bool(load.dead[second]))
                done[second] = fleet.done
                replicas[second] = fleet.paid
        now = until
        if plan is None:
            control.look(now - 1, ends[now - 1], dead=bool(load.dead[now - 1]))
    return Run(load, settings, done, replicas, fleet.rebalances)


class _Control:
    """The autoscaler and what it asks, for the metric of the settings."""

    def __init__(self, settings: Settings, fleet: Fleet, asks_at: int) -> None:
        self._settings = settings
        self._fleet = fleet
        self._asks_at = asks_at
        self._scaler = KafkaScaler(settings.trigger)
        self._autoscaler = Autoscaler(settings.min_replicas, settings.max_replicas, settings.up, settings.down)
        self._labelled: deque[dict[int, float]] = deque(maxlen=_CPU_ROUNDS)

    def next_look(self, now: int) -> int:
        """Return the next second, from `now` on, at which KEDA's loop runs or the autoscaler asks."""
        polling = self._settings.trigger.polling_seconds
        return now + min(-now % polling, (self._asks_at - now) % SYNC_SECONDS)

    def look(self, now: int, ends: Array, *, dead: bool) -> None:
        """Ask and scale where it is time to."""
        settings, fleet = self._settings, self._fleet
        if settings.metric == "fixed":
            return
        if settings.metric != "cpu" and now % settings.trigger.polling_seconds == 0:
            if dead:
                self._scaler.fail_to_poll()
            else:
                self._scaler.poll(*self._offsets(ends))
        if now % SYNC_SECONDS != self._asks_at % SYNC_SECONDS:
            return
        self._labelled.append(fleet.take_labelled())
        # A broker that nobody can connect to leaves KEDA's answer out.
        by_lag = None if settings.metric == "cpu" or dead else self._by_lag(ends)
        by_cpu = None if settings.metric == "lag" else self._by_cpu()
        wanted = [count for count in (by_lag, by_cpu) if count is not None]
        # With one metric unknown the autoscaler takes the others' word for more replicas, not for fewer.
        if not wanted or (settings.metric == "both" and len(wanted) < 2 and max(wanted) < fleet.replicas):
            return
        new = self._autoscaler.scale(now, fleet.replicas, max(wanted))
        if new != fleet.replicas:
            fleet.scale(now, new)

    def _offsets(self, ends: Array) -> tuple[list[int], list[int]]:
        return [int(end) for end in ends], [int(done) for done in self._fleet.done]

    def _by_lag(self, ends: Array) -> int:
        value = self._scaler.answer(*self._offsets(ends))
        return replicas_for_average(value, self._settings.trigger.lag_threshold, self._fleet.replicas)

    def _by_cpu(self) -> int:
        fleet, figures = self._fleet, self._fleet.figures
        most = figures.posts_per_second * SYNC_SECONDS * len(self._labelled)
        ready = [
            figures.cpu_idle
            + (figures.cpu_flat_out - figures.cpu_idle) * sum(each.get(ordinal, 0.0) for each in self._labelled) / most
            for ordinal in fleet.ready
        ]
        unready = fleet.replicas - len(ready)
        return replicas_for_utilization(ready, unready, self._settings.cpu_target, fleet.replicas)


def replay(load: Load, figures: Figures, events: dict[int, int]) -> Run:
    """Simulate a run whose workers are known.

    Args:
        load: that arrived.
        figures: of the workers.
        events: second to the number of workers from then on; the workers of second 0 are there at once.
    """

    def plan(now: int, fleet: Fleet) -> None:
        if now == 0:
            fleet.begin(events[0])
        elif now in events:
            fleet.scale(now, events[now])

    most = max(accumulate(events.values(), max))
    settings = Settings("replay", load.partitions, 1, most, metric="fixed")
    return run(load, settings, figures, plan=plan)
