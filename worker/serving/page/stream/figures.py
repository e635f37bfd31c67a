"""Counts, latency and shares of labels over the last minutes, in a bounded number of steps."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from worker.serving.page.stream.joining import LabelledPost

STEP_SECONDS = 5
STEPS = 60
_MAX_LATENCIES = 100  # of a step: of those that are shown, which are few


@dataclass(slots=True)
class Step:
    """What came within `STEP_SECONDS`.

    Args:
        number: of the step on the clock.
        posts: how many.
        labels: task to how often each label was given.
        latencies: from post to label in seconds, of the posts that were shown.
    """

    number: int
    posts: int = 0
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)


class Figures:
    """Counts what comes.

    Args:
        clock: seconds that go on evenly.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps: deque[Step] = deque(maxlen=STEPS + 1)
        self.posts = 0
        self.passed_over = 0

    def add(self, post: LabelledPost) -> None:
        """Count a post."""
        step = self._now()
        self.posts += 1
        step.posts += 1
        for task, answer in post.answers.items():
            step.labels.setdefault(task, Counter())[str(answer["label"])] += 1

    def add_latency(self, seconds: float) -> None:
        """Count how long the labels of a shown post took."""
        step = self._now()
        if len(step.latencies) < _MAX_LATENCIES:
            step.latencies.append(seconds)

    @property
    def steps(self) -> Sequence[Step]:
        """The last `STEPS` steps that are over, the oldest first, those in which nothing came among them."""
        last = int(self._clock() // STEP_SECONDS) - 1
        there = {step.number: step for step in self._steps}
        return [there.get(number, Step(number)) for number in range(last - STEPS + 1, last + 1)]

    @property
    def rate(self) -> float:
        """Posts a second, over the last two steps that are over."""
        return sum(step.posts for step in self.steps[-2:]) / (2 * STEP_SECONDS)

    @property
    def latencies(self) -> list[float]:
        """Of the last minute, the shortest first."""
        recent = [*self.steps[-60 // STEP_SECONDS :], self._now()]
        return sorted(one for step in recent for one in step.latencies)

    def shares(self) -> Mapping[str, Counter[str]]:
        """Task to how often each label was given, in all steps."""
        totals: dict[str, Counter[str]] = {}
        for step in (*self.steps, self._now()):
            for task, counts in step.labels.items():
                totals.setdefault(task, Counter()).update(counts)
        return totals

    def _now(self) -> Step:
        number = int(self._clock() // STEP_SECONDS)
        if not self._steps or self._steps[-1].number != number:
            self._steps.append(Step(number))
        return self._steps[-1]
