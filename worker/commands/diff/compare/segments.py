"""Flips by segment: community, language, modality, length."""

from collections.abc import Mapping, Sequence

import numpy as np

from worker.commands.diff.compare.counting import Counts, Facet
from worker.commands.diff.compare.report import Estimate, Segment
from worker.commands.diff.compare.statistics import elsewhere, holm, mcnemar, share_interval, stuart_maxwell

# A smaller segment is shown, and no test is made on it.
FEWEST_POSTS = 30


def flips_share(matrix: Counts) -> Estimate:
    """Return the share of posts off the diagonal, with its interval."""
    posts, flips = int(matrix.sum()), int(matrix.sum() - np.trace(matrix))
    low, high, drawn = share_interval(flips, posts)
    return Estimate(value=flips / max(posts, 1), low=low, high=high, method="bootstrap" if drawn else "exact")


def direction(matrix: Counts) -> float:
    """Return the p of the hypothesis that both sides have each class as often: McNemar for two, else Stuart-Maxwell."""
    if len(matrix) == 2:
        return mcnemar(int(matrix[0, 1]), int(matrix[1, 0]))
    return stuart_maxwell(matrix).p


def segments_of(
    facets: Mapping[str, Sequence[Facet]], wholes: Mapping[str, Counts], classes: Mapping[str, Sequence[str]]
) -> dict[str, list[Segment]]:
    """Return the segments by task; p-values are corrected for all segments of all tasks together.

    Args:
        facets: by task.
        wholes: by task, [classes, classes] all posts.
        classes: by task.
    """
    found = {task: [_segment(facet, wholes[task], classes[task]) for facet in facets[task]] for task in facets}
    every = [one for segments in found.values() for one in segments if one.claimed]
    for name in ("p_elsewhere", "p_direction"):
        tested = [one for one in every if getattr(one, name) is not None]
        corrected = dict(zip(map(id, tested), holm([getattr(one, name) for one in tested]), strict=True))
        every = [one.model_copy(update={f"{name}_holm": corrected.get(id(one))}) for one in every]
    rest = iter(every)
    return {task: [next(rest) if one.claimed else one for one in segments] for task, segments in found.items()}


def _segment(facet: Facet, whole: Counts, classes: Sequence[str]) -> Segment:
    matrix = facet.matrix
    posts, flips = int(matrix.sum()), int(matrix.sum() - np.trace(matrix))
    others, other_flips = int(whole.sum()) - posts, int(whole.sum() - np.trace(whole)) - flips
    claimed = posts >= FEWEST_POSTS
    moved = matrix.sum(0) - matrix.sum(1)
    return Segment(
        by=facet.by,
        value=facet.value,
        merged=facet.merged,
        posts=posts,
        flips=flips,
        share=flips_share(matrix),
        changes={name: int(change) / posts for name, change in zip(classes, moved, strict=True)},
        claimed=claimed,
        above=flips * others > other_flips * posts,
        # Without other posts there is nothing to compare with.
        p_elsewhere=elsewhere(flips, posts, other_flips, others) if claimed and others else None,
        p_elsewhere_holm=None,
        p_direction=direction(matrix) if claimed else None,
        p_direction_holm=None,
    )
