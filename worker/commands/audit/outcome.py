"""What an outcome is: one label a task, or one dead letter, or neither, and what of that is wrong.

The demo's count uses the same rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["labelled", "dead-lettered", "partly", "nothing"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record.

    Args:
        state: `partly` where some label topics hold a label of it and others do not, and there is no dead letter.
        missing: label topics that hold none, where others do.
        extra: how many records there are too many.
        both: whether it has labels and a dead letter; each label is then one too many.
    """

    state: State
    missing: tuple[str, ...]
    extra: int
    both: bool


def outcome_of(labels: Mapping[str, int], letters: int) -> Outcome:
    """Return what became of a record.

    Args:
        labels: how many label records each label topic holds of it; every label topic is named.
        letters: how many dead letters there are of it.
    """
    labelled = [topic for topic, number in labels.items() if number]
    missing = tuple(topic for topic, number in labels.items() if not number)
    extra = sum(max(0, number - 1) for number in (*labels.values(), letters))
    both = bool(labelled and letters)
    if letters:
        return Outcome("dead-lettered", (), extra + both, both)
    if not labelled:
        return Outcome("nothing", (), extra, both=False)
    return Outcome("partly" if missing else "labelled", missing, extra, both=False)
