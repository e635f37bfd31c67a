"""Makes findings of counts: all of the report but what it says about the reading."""

from dataclasses import dataclass

import numpy as np

from worker.commands.diff.compare import counting, scoring
from worker.commands.diff.compare.counting import Counts, Distribution, Facet, Graded, Sure
from worker.commands.diff.compare.grading import truth_of
from worker.commands.diff.compare.pairs import Joined, Unit
from worker.commands.diff.compare.report import ClassShift, Comparison, Estimate, RateTest
from worker.commands.diff.compare.segments import flips_share, segments_of
from worker.commands.diff.compare.statistics import Bootstrap, bowker, holm, mcnemar, stuart_maxwell
from worker.commands.diff.read.store import Store

# Values of a facet that are listed; all others are counted together.
MOST_VALUES = 200


@dataclass(frozen=True)
class _Counted:
    """All counts of one unit."""

    unit: Unit
    matrix: Counts
    scores: list[Distribution]
    confidence: Distribution
    sure: Sure
    mean_distance: float
    graded: Graded | None
    facets: list[Facet]
    only: tuple[int, int]


def compare(store: Store, joined: Joined) -> dict[str, Comparison]:
    """Return the findings on each unit that both sides have, by its name.

    Args:
        store: after the join, with its table `facet`.
        joined: the join.
    """
    counted = {one.unit.name: one for one in _count(store, joined)}
    tasks = {name: one for name, one in counted.items() if not one.unit.is_intensity}
    segments = segments_of(
        {name: one.facets for name, one in tasks.items()},
        {name: one.matrix for name, one in tasks.items()},
        {name: one.unit.classes for name, one in tasks.items()},
    )
    found = {}
    for name, one in counted.items():
        flips = flips_share(one.matrix)
        found[name] = Comparison(
            posts=int(one.matrix.sum()),
            left_only=one.only[0],
            right_only=one.only[1],
            classes=list(one.unit.classes),
            matrix=one.matrix.tolist(),
            flips=int(one.matrix.sum() - np.trace(one.matrix)),
            share=flips,
            mean_distance=one.mean_distance,
            tests=_tests(one.matrix),
            by_class=_by_class(name, one),
            confidence=scoring.confidence_of(one.confidence, name),
            agreement=scoring.agreement_of(one.sure),
            truth=truth_of(one.graded, name) if one.graded else None,
            slices=segments.get(name, []),
        )
    return found


def _count(store: Store, joined: Joined) -> list[_Counted]:
    matrices = counting.matrices(store, joined.units)
    scores = counting.score_distributions(store, joined)
    confidence = counting.confidence_distributions(store)
    sure = counting.agreement(store, joined.units)
    distances = counting.mean_distances(store)
    facets = counting.facets(store, joined, most=MOST_VALUES)
    graded = counting.graded(store, joined.units)
    return [
        _Counted(
            unit=unit,
            matrix=matrices[unit.number],
            scores=[scores[unit.number, place] for place in range(len(unit.classes))],
            confidence=confidence[unit.number],
            sure=sure[unit.number],
            mean_distance=distances[unit.number],
            graded=graded.get(unit.number),
            facets=facets.get(unit.number, []),
            only=(joined.task_only["left"].get(unit.task, 0), joined.task_only["right"].get(unit.task, 0)),
        )
        for unit in joined.units
        # Both sides may have a task, and yet no post has it on both sides.
        if matrices[unit.number].any()
    ]


def _tests(matrix: Counts) -> list[RateTest]:
    if len(matrix) == 2:
        p = mcnemar(int(matrix[0, 1]), int(matrix[1, 0]))
        return [RateTest(name="mcnemar", statistic=None, degrees_of_freedom=None, p=p)]
    rates, symmetry = stuart_maxwell(matrix), bowker(matrix)
    return [
        RateTest(
            name="stuart-maxwell",
            statistic=rates.statistic,
            degrees_of_freedom=rates.degrees_of_freedom,
            p=rates.p,
        ),
        RateTest(
            name="bowker",
            statistic=symmetry.statistic,
            degrees_of_freedom=symmetry.degrees_of_freedom,
            p=symmetry.p,
        ),
    ]


def _by_class(name: str, one: _Counted) -> list[ClassShift]:
    matrix, posts = one.matrix, int(one.matrix.sum())
    draws = Bootstrap(f"{name} classes").draws(matrix.ravel()).reshape(-1, *matrix.shape)
    moved = draws.sum(1) - draws.sum(2)  # [resamples, classes]
    left, right, kept = matrix.sum(1), matrix.sum(0), np.diag(matrix)
    chances = [mcnemar(int(gained), int(lost)) for gained, lost in zip(right - kept, left - kept, strict=True)]
    # Of two classes, one gains what the other loses: that is one test.
    corrected = chances if len(chances) == 2 else holm(chances)
    shifts = []
    for place, label in enumerate(one.unit.classes):
        low, high = Bootstrap.interval(moved[:, place] / posts)
        shifts.append(
            ClassShift(
                name=label,
                left=int(left[place]),
                right=int(right[place]),
                change=Estimate(value=int(right[place] - left[place]) / posts, low=low, high=high),
                gained=int(right[place] - kept[place]),
                lost=int(left[place] - kept[place]),
                p=chances[place],
                p_holm=corrected[place],
                scores=scoring.scores_of(one.scores[place], f"{name} {label}"),
            )
        )
    return shifts
