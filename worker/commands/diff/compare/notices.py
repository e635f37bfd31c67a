"""What a reader should know before trusting the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.commands.diff.compare.pairs import Joined
from worker.commands.diff.compare.report import Comparison, Side


@dataclass(frozen=True)
class Seen:
    """What was read and joined.

    Args:
        left, right: the sides.
        joined: the join.
        described: how many joined posts were found among the posts; None if posts were not read.
        missing_topics: topics of posts that do not exist.
        unreadable_posts: how many records in them are not posts.
    """

    left: Side
    right: Side
    joined: Joined
    described: int | None
    missing_topics: Sequence[str]
    unreadable_posts: int


def notices_of(seen: Seen, tasks: Mapping[str, Comparison]) -> list[str]:
    """Return the notices, a sentence each."""
    said: list[str] = []
    for name, side in (("left", seen.left), ("right", seen.right)):
        said += _of_side(name, side)
    said += _of_models(seen)
    said += _of_thresholds(seen)
    for name, other, side in (("left", "right", seen.left), ("right", "left", seen.right)):
        there = seen.right.tasks if name == "left" else seen.left.tasks
        if alone := [task for task in side.tasks if task not in there]:
            said.append(f"Only the {name} has labels of these tasks, which are not compared: {', '.join(alone)}.")
        count = seen.joined.only[name][0]
        if count:
            first = ", ".join(seen.joined.only[name][1][:3])
            more = " …" if count > 3 else ""
            said.append(f"{count:,} posts have labels on the {name} alone, not on the {other}: {first}{more}")
    both = [task for task in seen.left.tasks if task in seen.right.tasks]
    said += [f"No post has labels of {task} on both sides." for task in both if task not in tasks]
    if not seen.joined.by_source and seen.left.ranges and seen.right.ranges:
        said.append("The two sides have labels of different posts topics, so they are joined by post id.")
    said += [
        f"The posts topic {topic} does not exist, so there are no segments by what its posts hold."
        for topic in seen.missing_topics
    ]
    if seen.described is not None and seen.described < seen.joined.posts and not seen.missing_topics:
        lost = seen.joined.posts - seen.described
        said.append(f"{lost:,} of {seen.joined.posts:,} posts are not among the posts that were read.")
    if seen.unreadable_posts:
        said.append(f"{seen.unreadable_posts:,} records among the posts are not posts.")
    return said


def _of_side(name: str, side: Side) -> list[str]:
    said = []
    if side.unreadable:
        first = ", ".join(side.unreadable_first)
        said.append(f"{side.unreadable:,} of {side.records:,} records on the {name} are not labels: {first}")
    if gone := sum(part.gone for part in side.ranges):
        said.append(f"{gone:,} offsets that were asked for on the {name} no longer exist.")
    if side.repeats:
        said.append(f"{side.repeats:,} labels on the {name} are not compared: the same post has a later label.")
    if not side.labels:
        chosen = f" of a checkpoint that begins with {side.checkpoint}" if side.checkpoint else ""
        said.append(f"There are no labels{chosen} on the {name}.")
    return said


def _of_models(seen: Seen) -> list[str]:
    said = []
    for name, side in (("left", seen.left), ("right", seen.right)):
        if len(side.models) > 1:
            listed = ", ".join(
                f"{(one.checkpoint or 'no checkpoint')[:19]} {one.precision or ''} ({one.labels:,})".replace(" (", " (")
                for one in side.models[:4]
            )
            said.append(
                f"The {name} holds labels of {len(side.models)} models or settings: {listed}; "
                f"--{name}-checkpoint selects one."
            )
    stamps = [
        [(one.name, one.checkpoint, one.graph_context, one.precision) for one in side.models]
        for side in (seen.left, seen.right)
    ]
    alike = seen.left.thresholds == seen.right.thresholds
    if len(stamps[0]) == 1 and stamps[0] == stamps[1] and stamps[0][0][1] is not None and alike:
        said.append("Both sides were labelled by the same checkpoint with the same settings.")
    return said


def _of_thresholds(seen: Seen) -> list[str]:
    """Say where operators' thresholds differ: they make labels flip although no probability changed."""
    said = []
    for task in (task for task in seen.left.tasks if task in seen.right.tasks):
        left, right = ([*side.thresholds.get(task, [None])] for side in (seen.left, seen.right))
        if left != right or len(left) > 1:
            said.append(f"The thresholds of {task} differ: {_listed(left)} on the left, {_listed(right)} on the right.")
    return said


def _listed(thresholds: Sequence[float | None]) -> str:
    return " and ".join("none" if one is None else f"{one:g}" for one in thresholds)
