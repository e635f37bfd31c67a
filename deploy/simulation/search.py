"""Which settings by lag meet the objective at the least cost: all of a grid are tried."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

from deploy.simulation.figures import Figures
from deploy.simulation.outcome import outcome
from deploy.simulation.scenarios import DEAD, RECOVERY_SECONDS, SPIKE, Verdict, judge, load_of, worst
from deploy.simulation.settings import Settings, by_lag
from deploy.simulation.simulate import run

LAG_SECONDS = (5.0, 10.0, 20.0)
CPU_TARGETS = (None, 0.6, 0.7)
WINDOW_SECONDS = (60, 300, 600)
MIN_REPLICAS = (1, 2, 3)
PARTITIONS = (12, 16, 24)
# Of a day: ten an hour.
MAX_REBALANCES = 240
FINALISTS = 10
SEEDS = (1, 2, 3)
# The slowest of several measurements of one worker was 0.8 times their median.
SLOWER = 0.8


def candidates(figures: Figures, *, leave_on_stop: bool) -> Iterator[Settings]:
    """Give every point of the grid."""
    for partitions, least, lag, cpu, window in product(
        PARTITIONS, MIN_REPLICAS, LAG_SECONDS, CPU_TARGETS, WINDOW_SECONDS
    ):
        yield by_lag(
            partitions, least, lag, window, figures.posts_per_second, cpu_target=cpu, leave_on_stop=leave_on_stop
        )


def search(tried: Iterable[Settings], figures: Figures, seed: int = 1) -> Iterator[Verdict]:
    """Give the verdict of each that recovers in time; a day is simulated for those alone.

    Args:
        tried: settings.
        figures: of the workers.
        seed: of what is left to chance.
    """
    possible: dict[int, bool] = {}
    for settings in tried:
        partitions = settings.partitions
        if partitions not in possible:
            # With all replicas there from the start: if a partition is too hot then, no threshold helps.
            all_there = Settings("all", partitions, partitions, partitions, metric="fixed")
            possible[partitions] = recovers(all_there, figures, seed)
        if possible[partitions] and recovers(settings, figures, seed):
            yield judge(settings, figures, seeds=(seed,))


def recovers(settings: Settings, figures: Figures, seed: int) -> bool:
    """Return whether spike and dead broker are over in time."""
    return all(
        outcome(run(load_of(name, settings.partitions, seed), settings, figures)).recovery_seconds <= RECOVERY_SECONDS
        for name in (SPIKE, DEAD)
    )


def finals(verdicts: Iterable[Verdict], figures: Figures) -> Iterator[Verdict]:
    """Give the worst figures, over seeds and over workers that are slower or less busy, of settings to choose from.

    Those are tried that met the objective with no more than ten rebalances an hour and cost least: a rebalance stops
    every partition, and now and then for longer than its median.

    Args:
        verdicts: of the search.
        figures: of the workers.
    """
    met = [each for each in verdicts if each.meets and each.wave.rebalances <= MAX_REBALANCES]
    others = (
        figures,
        replace(figures, posts_per_second=SLOWER * figures.posts_per_second),
        replace(figures, cpu_flat_out=SLOWER * figures.cpu_flat_out),
    )
    for each in sorted(met, key=lambda verdict: verdict.rank)[:FINALISTS]:
        yield worst([judge(each.settings, changed, seeds=SEEDS) for changed in others])


def front(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return those of which no other is both cheaper and less late, cheapest first (the Pareto front)."""
    best: list[Verdict] = []
    for verdict in sorted(verdicts, key=lambda each: (each.cost, each.wave.p99)):
        if not best or verdict.wave.p99 < best[-1].wave.p99:
            best.append(verdict)
    return best
