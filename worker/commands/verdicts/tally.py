"""What people say of each label, once each of them is counted once."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas import Verdict
from worker.broker.positions import Position


@dataclass(frozen=True)
class Judged:
    """A post, and what people say that its labels are.

    Args:
        post_id: its id.
        labels: task to label.
    """

    post_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Tally:
    """What all of them say.

    Args:
        posts: by position, those of which people say something that they agree on.
        people: how many there are.
        verdicts: how many count.
        disputed: labels on which as many people say one thing as another.
    """

    posts: Mapping[Position, Judged]
    people: int
    verdicts: int
    disputed: int


def tally(verdicts: Iterable[Verdict]) -> Tally:
    """Return what people say.

    Args:
        verdicts: the oldest first; of one person's on a label the last one counts.
    """
    last: dict[tuple[Position, str, str], Verdict] = {}
    for one in verdicts:
        at = one.post
        last[Position(at.topic, at.partition, at.offset), one.task, one.by] = one
    votes: dict[Position, dict[str, Counter[str]]] = {}
    ids: dict[Position, str] = {}
    for (position, task, _), one in last.items():
        votes.setdefault(position, {}).setdefault(task, Counter())[one.says] += 1
        ids[position] = one.post_id
    posts, disputed = {}, 0
    for position, tasks in votes.items():
        labels = {task: label for task, counts in tasks.items() if (label := _most(counts)) is not None}
        disputed += len(tasks) - len(labels)
        if labels:
            posts[position] = Judged(ids[position], labels)
    return Tally(posts, len({by for *_, by in last}), len(last), disputed)


def _most(counts: Counter[str]) -> str | None:
    (label, votes), *others = counts.most_common(2)
    return None if others and others[0][1] == votes else label
