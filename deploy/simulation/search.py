"""Which settings meet the objective at the least cost: all of a grid are tried, and what is left is tried harder."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from itertools import product, starmap
from pathlib import Path

from deploy.simulation.figures import Figures
from deploy.simulation.outcome import TARGET_SECONDS, outcome
from deploy.simulation.scenarios import DEAD, RECOVERY_SECONDS, SPIKE, Verdict, judge, load_of, worst
from deploy.simulation.settings import Settings, by_lag
from deploy.simulation.simulate import run

FOUND = Path(__file__).with_name("search.csv")

LAG_SECONDS = (5.0, 10.0, 20.0)
# Percent of the request; 0 for no such trigger.
CPU_PERCENT = (0, 60, 70)
WINDOW_SECONDS = (60, 300, 600)
MIN_REPLICAS = (1, 2, 3)
PARTITIONS = (12, 16, 24)

# One node may go.
FEWEST = 2
# A rebalance stops every partition, and now and then for longer than its median: ten an hour at most.
MAX_REBALANCES = 240
# Of each window.
FINALISTS = 5
SEEDS = (1, 2, 3)
# One worker's speed in several measurements of a day: 74 to 98 posts a second.
SLOWER = 0.8


@dataclass(frozen=True)
class Point:
    """A point of the grid, and what came of it; the arguments are those of `by_lag` and `Outcome`."""

    partitions: int
    min_replicas: int
    lag_seconds: float
    cpu_percent: int
    window_seconds: int
    replica_hours: float = 0.0
    p99: float = 0.0
    longest: float = 0.0
    rebalances: int = 0
    spike_recovery_seconds: float = 0.0
    dead_recovery_seconds: float = 0.0

    def settings(self, figures: Figures) -> Settings:
        """Return it as settings for workers of the measured speed."""
        return by_lag(
            self.partitions,
            self.min_replicas,
            self.lag_seconds,
            self.window_seconds,
            figures.posts_per_second,
            cpu_target=self.cpu_percent / 100 or None,
        )


def grid() -> Iterator[Point]:
    """Give every point."""
    yield from starmap(Point, product(PARTITIONS, MIN_REPLICAS, LAG_SECONDS, CPU_PERCENT, WINDOW_SECONDS))


def search(figures: Figures, seed: int = 1) -> Iterator[Point]:
    """Give the points that recover in time, with what came of them; a day is simulated for those alone.

    Args:
        figures: of the workers.
        seed: of what is left to chance.
    """
    possible: dict[int, bool] = {}
    for point in grid():
        partitions, settings = point.partitions, point.settings(figures)
        if partitions not in possible:
            # With all replicas there from the start: if a partition is too hot then, no threshold helps.
            all_there = Settings("all", partitions, partitions, partitions, metric="fixed")
            possible[partitions] = _recovers(all_there, figures, seed)
        if possible[partitions] and _recovers(settings, figures, seed):
            verdict = judge(settings, figures, seeds=(seed,))
            yield replace(
                point,
                replica_hours=round(verdict.cost, 1),
                p99=round(verdict.wave.p99),
                longest=verdict.wave.longest,
                rebalances=verdict.wave.rebalances,
                spike_recovery_seconds=verdict.spike.recovery_seconds,
                dead_recovery_seconds=verdict.dead.recovery_seconds,
            )


def _recovers(settings: Settings, figures: Figures, seed: int) -> bool:
    return all(
        outcome(run(load_of(name, settings.partitions, seed), settings, figures)).recovery_seconds <= RECOVERY_SECONDS
        for name in (SPIKE, DEAD)
    )


def finals(points: Iterable[Point], figures: Figures) -> Iterator[Verdict]:
    """Give the worst figures, over seeds and over workers that are slower or less busy, of settings to choose from.

    Args:
        points: of the search.
        figures: of the workers.
    """
    others = (
        figures,
        replace(figures, posts_per_second=SLOWER * figures.posts_per_second),
        replace(figures, cpu_flat_out=SLOWER * figures.cpu_flat_out),
    )
    met = [each for each in points if each.min_replicas >= FEWEST and each.p99 <= TARGET_SECONDS]
    for window in WINDOW_SECONDS:
        of_window = [each for each in met if each.window_seconds == window]
        for each in sorted(of_window, key=lambda point: (point.replica_hours, point.p99))[:FINALISTS]:
            yield worst([judge(each.settings(figures), changed, seeds=SEEDS) for changed in others])


def front(points: Iterable[Point]) -> list[Point]:
    """Return those of which no other is both cheaper and less late, cheapest first (the Pareto front)."""
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (each.replica_hours, each.p99)):
        if not best or point.p99 < best[-1].p99:
            best.append(point)
    return best


def write_found(points: Iterable[Point], path: Path = FOUND) -> None:
    """Write points as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Point))
        writer.writerows(astuple(point) for point in points)


def read_found(path: Path = FOUND) -> list[Point]:
    """Return the points of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Point(**{field.name: field.type(row[field.name]) for field in fields(Point)})  # type: ignore[operator]
            for row in csv.DictReader(file)
        ]
