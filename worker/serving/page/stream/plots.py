"""The last minutes as small pictures: points of SVG, in a box of `WIDTH` by `HEIGHT`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mmorient import TASKS
from worker.serving.page.stream.figures import Figures, Step

WIDTH, HEIGHT = 240, 48
# Of all other tasks the first class says that there is nothing.
_TONES = {"negative": "loud", "neutral": "quiet", "positive": "good"}


@dataclass(frozen=True)
class Line:
    """A line and what is under it.

    Args:
        lines: points of each stretch without a gap.
        areas: the same, closed at the bottom.
        top: what the upper edge stands for.
    """

    lines: Sequence[str]
    areas: Sequence[str]
    top: float


@dataclass(frozen=True)
class Band:
    """One label's share over time, on top of the others.

    Args:
        label: its name.
        share: over all the time.
        tone: of its colour: quiet, good or loud.
        areas: points of each stretch without a gap.
    """

    label: str
    share: float
    tone: str
    areas: Sequence[str]


def rates(steps: Sequence[Step], step_seconds: float) -> Line:
    """Return posts a second over time."""
    return _line([step.posts / step_seconds for step in steps])


def latencies(steps: Sequence[Step]) -> Line:
    """Return the middle latency of each step; a gap where nothing was shown."""
    return _line([_middle(step.latencies) for step in steps])


def _middle(values: Sequence[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def _line(values: Sequence[float | None]) -> Line:
    top = _round_up(max((value for value in values if value is not None), default=0))
    lines, areas = [], []
    for start, stretch in _stretches(values):
        points = [
            (_across(start + place, len(values)), HEIGHT * (1 - value / top)) for place, value in enumerate(stretch)
        ]
        # A single step has a width, too.
        points = points if len(points) > 1 else [points[0], (points[0][0] + 2, points[0][1])]
        lines.append(_written(points))
        areas.append(_written([(points[0][0], HEIGHT), *points, (points[-1][0], HEIGHT)]))
    return Line(lines, areas, top)


def bands(figures: Figures, task: str) -> list[Band]:
    """Return the shares of a task's labels over time, in the order of its classes."""
    steps = figures.steps
    totals = figures.shares().get(task, Counter())
    known = TASKS[task].classes if task in TASKS else ()
    labels = [*known, *sorted(totals.keys() - set(known))]
    tallies = [step.labels.get(task) for step in steps]
    whole = [sum(tally.values()) if tally else None for tally in tallies]
    floors = [0.0] * len(steps)
    found = []
    for place, label in enumerate(labels):
        ceilings = [
            floor + tally[label] / total if tally and total else floor
            for floor, tally, total in zip(floors, tallies, whole, strict=True)
        ]
        areas = [_area(start, floors, ceilings, len(stretch), len(steps)) for start, stretch in _stretches(whole)]
        share = totals[label] / totals.total() if totals.total() else 0.0
        found.append(Band(label, share, _TONES.get(label, "loud" if place else "quiet"), areas))
        floors = ceilings
    return found


def _area(start: int, floors: Sequence[float], ceilings: Sequence[float], length: int, count: int) -> str:
    places = range(start, start + length)
    upper = [(_across(place, count), HEIGHT * (1 - ceilings[place])) for place in places]
    lower = [(_across(place, count), HEIGHT * (1 - floors[place])) for place in places]
    if length == 1:
        upper.append((upper[0][0] + 2, upper[0][1]))
        lower.append((lower[0][0] + 2, lower[0][1]))
    return _written([*upper, *reversed(lower)])


def _stretches(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """Return where values are, without gaps: the place of the first, and the values."""
    found: list[tuple[int, list[float]]] = []
    before: float | None = None
    for place, value in enumerate(values):
        if value is not None:
            if before is None:
                found.append((place, []))
            found[-1][1].append(value)
        before = value
    return found


def _across(place: int, count: int) -> float:
    return WIDTH * place / (count - 1)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, … that is not below a value."""
    step = 0.001
    while True:
        for factor in (1, 2, 5):
            if factor * step >= value:
                return factor * step
        step *= 10


def _written(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{across:.1f},{up:.1f}" for across, up in points)
