"""Labels as they were published, read back for rules to look at: a Label, a LabelSet, or a line of `mmorient label`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PublishedIntensity:
    """An intensity's probabilities."""

    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PublishedAnswer:
    """One task's probabilities, and those of its intensity."""

    probabilities: Mapping[str, float]
    intensity: PublishedIntensity | None


def answers_of(record: Mapping[str, Any]) -> dict[str, PublishedAnswer]:
    """Return the answers of a record by task; what cannot be read as one is left out."""
    together = record.get("labels")
    given = together if isinstance(together, dict) else {record.get("task"): record}
    found: dict[str, PublishedAnswer] = {}
    for task, answer in given.items():
        probabilities = _probabilities(answer)
        if isinstance(task, str) and probabilities is not None:
            degrees = _probabilities(answer.get("intensity"))
            found[task] = PublishedAnswer(probabilities, None if degrees is None else PublishedIntensity(degrees))
    return found


def community_of(record: Mapping[str, Any]) -> str | None:
    """Return the community that a record says; None where it says none."""
    community = record.get("community")
    return community if isinstance(community, str) else None


def _probabilities(answer: object) -> dict[str, float] | None:
    found = answer.get("probabilities") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        return None
    return {
        str(name): share
        for name, share in found.items()
        if isinstance(share, int | float) and not isinstance(share, bool)
    }
