"""Whether the model says other things than it used to: labels and scores of the last posts against a reference."""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from mmorient import SCORE_BINS, TASKS, PostLabels, Reference, TaskLabel, score_bins, stability_index
from worker.telemetry.output_metrics import DRIFT_PSI, REFERENCE_SHARE, SCORES

_POSTS_THAT_TELL = 500
_PARTS = 8


@dataclass(slots=True)
class _Counts:
    """Of one task, since the start: posts by label, posts by label and score, the sum of each label's scores."""

    labels: dict[str, int]
    scores: dict[str, list[int]]
    sums: dict[str, float]


@dataclass(slots=True)
class _Moment:
    """The counts at one moment."""

    posts: int
    labels: dict[str, list[int]] = field(default_factory=dict)
    scores: dict[str, dict[str, list[int]]] = field(default_factory=dict)


class Drift(Collector):
    """Counts committed labels and exports scores, reference and PSI.

    Args:
        tasks: that are published.
        reference: what live labels are held against; None for no PSI.
        window_posts: how many of the last posts are.
        scores_alone: tasks of which the reference tells scores alone: it was made without their thresholds.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        reference: Reference | None,
        *,
        window_posts: int,
        scores_alone: Collection[str] = (),
    ) -> None:
        self._counts = {
            task: _Counts(
                dict.fromkeys(TASKS[task].classes, 0),
                {label: [0] * SCORE_BINS for label in TASKS[task].classes},
                dict.fromkeys(TASKS[task].classes, 0.0),
            )
            for task in tasks
        }
        self._reference = reference
        self._scores_alone = frozenset(scores_alone)
        self._part = max(1, window_posts // _PARTS)
        self._posts = 0
        # The window begins at the first of these: between 7 and 8 parts of it are looked at.
        self._moments: deque[_Moment] = deque([self._now()], maxlen=_PARTS + 1)

    def observe(self, posts: Sequence[PostLabels]) -> None:
        """Count posts."""
        start = 0
        while start < len(posts):
            # A part ends where it would if they came one by one.
            chunk = posts[start : start + self._part - self._posts % self._part]
            for task, counts in self._counts.items():
                _count([labels.tasks[task] for labels in chunk], counts)
            start += len(chunk)
            self._posts += len(chunk)
            if self._posts % self._part == 0:
                self._moments.append(self._now())

    def _now(self) -> _Moment:
        return _Moment(
            self._posts,
            {task: list(counts.labels.values()) for task, counts in self._counts.items()},
            {
                task: {label: list(bins) for label, bins in counts.scores.items()}
                for task, counts in self._counts.items()
            },
        )

    def psi(self) -> Mapping[tuple[str, str], float]:
        """Return the index by task and what it is of (labels, scores); empty while too little is known."""
        since, now = self._moments[0], self._now()
        if self._reference is None or now.posts - since.posts < _POSTS_THAT_TELL:
            return {}
        indices: dict[tuple[str, str], float] = {}
        for task in self._counts.keys() & self._reference.tasks.keys():
            known = self._reference.tasks[task]
            if task not in self._scores_alone:
                labels = _less(now.labels[task], since.labels[task])
                before = [known.labels[label] for label in TASKS[task].classes]
                indices[task, "labels"] = stability_index(labels, before)
            indices[task, "scores"] = max(
                stability_index(_less(bins, since.scores[task][label]), known.scores[label])
                for label, bins in now.scores[task].items()
            )
        return indices

    def describe(self) -> Iterator[Family]:
        """Yield the families without samples."""
        yield from (SCORES.histogram(), REFERENCE_SHARE.gauge(), DRIFT_PSI.gauge())

    def collect(self) -> Iterator[Family]:
        """Yield what was counted up to now."""
        scores, shares, psi = SCORES.histogram(), REFERENCE_SHARE.gauge(), DRIFT_PSI.gauge()
        for task, counts in self._counts.items():
            for label, bins in counts.scores.items():
                scores.add_metric([task, label], _cumulative(bins), counts.sums[label])
        for task, known in (self._reference.tasks if self._reference else {}).items():
            for label, posts in known.labels.items() if task in self._counts.keys() - self._scores_alone else ():
                shares.add_metric([task, label], posts / max(1, sum(known.labels.values())))
        for key, index in self.psi().items():
            psi.add_metric(list(key), index)
        yield from (scores, shares, psi)


def _count(answers: Sequence[TaskLabel], counts: _Counts) -> None:
    """Count the answers of one task, all at once: one by one it takes a seventh of what a cached post takes in all."""
    for label, count in Counter(answer.label for answer in answers).items():
        counts.labels[label] += count
    classes = list(counts.scores)
    shares = np.array([[answer.probabilities[label] for label in classes] for answer in answers])
    for label, own, bins in zip(classes, shares.T, score_bins(shares).T, strict=True):
        counts.sums[label] += float(own.sum())
        counts.scores[label] = [
            before + more
            for before, more in zip(counts.scores[label], np.bincount(bins, minlength=SCORE_BINS).tolist(), strict=True)
        ]


def _less(now: list[int], before: list[int]) -> list[int]:
    return [a - b for a, b in zip(now, before, strict=True)]


def _cumulative(bins: list[int]) -> list[tuple[str, int]]:
    total = 0
    buckets = []
    for number, count in enumerate(bins, start=1):
        total += count
        buckets.append((f"{number / len(bins):.1f}", total))
    return [*buckets, ("+Inf", total)]
