"""The findings in a few sentences: what flips, in which direction, where most, and whether it may be chance."""

from collections.abc import Mapping, Sequence

from worker.commands.diff.compare.report import ClassShift, Comparison, Estimate, FailOver, Segment
from worker.commands.terminal import harmless

SIGNIFICANT = 0.05


def verdict(tasks: Mapping[str, Comparison]) -> str:
    """Return the findings in a few sentences."""
    return " ".join(sentences(tasks))


def answer(tasks: Mapping[str, Comparison], limit: FailOver | None) -> str:
    """Return whether the right may replace the left, as far as these figures say.

    Args:
        tasks: what was found.
        limit: of `--fail-over`, where one was given.
    """
    if not tasks:
        return "Nothing can be said: no post has labels of the same task on both sides."
    known = {task: found.truth.accuracy_change for task, found in tasks.items() if found.truth is not None}
    worse = [task for task, change in known.items() if change.high < 0]
    if worse:
        return f"No: of the posts with a known answer, the right side has fewer correct for {_listed(worse)}."
    if limit is not None and limit.exceeded:
        return f"No: more labels of {_listed(list(limit.exceeded))} flip than the limit allows."
    if not any(found.flips for found in tasks.values()):
        return "Yes: no label flips."
    return _as_far_as_known(known, limit)


def _as_far_as_known(known: Mapping[str, Estimate], limit: FailOver | None) -> str:
    if limit is not None:
        return "Yes, as far as the limit goes: no task flips more often than it allows."
    if known:
        better = [task for task, change in known.items() if change.low > 0]
        gain = f"the right side has more correct for {_listed(better)}, and " if better else ""
        return f"Yes, as far as the known answers go: {gain}no task has fewer correct beyond chance."
    return (
        "These figures alone do not say: labels flip, and it is not known which side is correct. --fail-over sets a "
        "limit, --truth takes known answers."
    )


def sentences(tasks: Mapping[str, Comparison]) -> list[str]:
    """Return the verdict, sentence by sentence: the task that flips most first."""
    if not tasks:
        return ["Nothing was compared: no post has labels of the same task on both sides."]
    flipping = sorted((task for task in tasks if tasks[task].flips), key=lambda task: -tasks[task].share.value)
    if not flipping:
        posts = max(one.posts for one in tasks.values())
        moved = max(one.mean_distance for one in tasks.values())
        scores = (
            "and no probability differs" if moved == 0 else f"though probabilities move by up to {moved:.4f} a task"
        )
        return [f"No label flips: {_posts(posts)}, {_listed(list(tasks))}, {scores}."]
    said = [task_sentence(task, tasks[task]) for task in flipping]
    if still := [task for task in tasks if not tasks[task].flips]:
        said.append(f"No label of {_listed(still)} flips.")
    return said


def task_sentence(task: str, found: Comparison) -> str:
    """Return the sentence on a task that flips."""
    said = f"{_capital(task)}: {percent(found.share)} of {_posts(found.posts)} flip"
    shift = direction(found)
    lean = f", {lean_of(shift)}" if shift else ", as many one way as the other within chance"
    segment = hottest(found.slices)
    where = "" if segment is None else f"; most in {segment.by} {name_of(segment)} ({segment.share.value:.1%})"
    return f"{said}{lean}{where}."


def direction(found: Comparison) -> ClassShift | None:
    """Return the class whose share changed most beyond chance, if any did."""
    sure = [shift for shift in found.by_class if shift.p_holm < SIGNIFICANT]
    # Of two classes that changed alike, the second counts: it is what the task asks for.
    return max(reversed(sure), key=lambda shift: abs(shift.change.value), default=None)


def lean_of(shift: ClassShift) -> str:
    """Return how a class's share changed."""
    more = "more" if shift.change.value > 0 else "fewer"
    return f"{more} {plain(shift.name)} ({points(shift.change)} points)"


def hottest(segments: Sequence[Segment]) -> Segment | None:
    """Return the segment that flips most, of those that flip more than all other posts beyond chance."""
    sure = [one for one in segments if is_hot(one)]
    return max(sure, key=lambda one: one.share.value, default=None)


def is_hot(one: Segment) -> bool:
    """Whether a segment flips more often than the other posts, corrected for the number of segments."""
    if one.p_elsewhere_holm is None or one.p_elsewhere_holm >= SIGNIFICANT:
        return False
    return one.above


def leans(one: Segment) -> bool:
    """Whether the right says a class more often in a segment than the left, corrected for the number of segments."""
    return one.p_direction_holm is not None and one.p_direction_holm < SIGNIFICANT


def name_of(one: Segment) -> str:
    """Return the name of a segment."""
    if one.merged:
        return f"{one.merged} rare ones together"
    return "none named" if one.value is None else harmless(one.value, 40)


def percent(estimate: Estimate, digits: int = 2) -> str:
    """Return a share with its interval."""
    return f"{estimate.value:.{digits}%} ({100 * estimate.low:.{digits}f} to {100 * estimate.high:.{digits}f})"


def signed(value: float, digits: int = 4) -> str:
    """Return a change with its sign; 0 has none."""
    said = f"{value:+.{digits}f}"
    return said if float(said) else f"{0:.{digits}f}"


def points(estimate: Estimate) -> str:
    """Return a change of a share with its interval, in percentage points."""
    value, low, high = (signed(100 * part, 2) for part in (estimate.value, estimate.low, estimate.high))
    return f"{value}, {low} to {high}"


def chance(p: float) -> str:
    """Return a p-value."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def plain(name: str) -> str:
    """Return a class's name without underscores."""
    return name.replace("_", " ")


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _posts(count: int) -> str:
    return f"{count:,} post{'' if count == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def shift_of_rates(changes: Mapping[str, float]) -> str:
    """Return the class whose share changed most, and by how many points."""
    # Of two classes that change alike the second is what the task asks for.
    name = max(reversed(list(changes)), key=lambda one: abs(changes[one]))
    return f"{signed(100 * changes[name], 2)} {plain(harmless(name, 40))}" if changes[name] else ""
