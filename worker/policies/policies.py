"""Rules that decide: from a post's community and the probabilities of its labels to decisions, and nothing else."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Literal, Protocol

from worker.errors import SettingsError
from worker.policies.canonical import version_of
from worker.policies.rule import EVERYWHERE, Rule

MOST_RULES = 200
# Communities whose rules in force are kept; there are many posts of few.
_MOST_KEPT = 4096
Change = Literal["adds", "removes", "same"]
CHANGES: tuple[Change, ...] = ("adds", "removes", "same")


class Scored(Protocol):
    """An intensity, as far as rules look at it."""

    @property
    def probabilities(self) -> Mapping[str, float]: ...  # noqa: D102


class Answer(Protocol):
    """One task's label, as far as rules look at it."""

    @property
    def probabilities(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def intensity(self) -> Scored | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision on a post.

    Attributes:
        rule: That was in force, with its threshold.
        probability: Published, which reached it.
    """

    rule: Rule
    probability: float

    def fields(self) -> dict[str, str | float]:
        """Return it as a record of decisions says it (`schemas.Decided`)."""
        rule = self.rule
        return {
            "decision": rule.decision,
            "rule": rule.name,
            "task": rule.task,
            "label": rule.label,
            "probability": self.probability,
            "threshold": rule.threshold,
        }


@dataclass(frozen=True, slots=True)
class ShadowChange:
    """What a shadow rule would have changed.

    Attributes:
        rule: The shadow rule.
        change: `adds` a decision, `removes` one, or `same`: decided with it as without it.
    """

    rule: Rule
    change: Change


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from a post's labels.

    Attributes:
        decisions: By priority; empty where no rule is reached.
        shadows: By name of the rule; without those that decide nothing either way.
    """

    decisions: tuple[Decided, ...] = ()
    shadows: tuple[ShadowChange, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """A rule as it is held against a post, without a look at anything that is the same for every post.

    Attributes:
        threshold: Infinity where the rule says never.
    """

    rule: Rule
    task: str
    label: str
    is_degree: bool
    threshold: float

    @classmethod
    def of(cls, rule: Rule) -> "_Line":
        threshold = math.inf if isinstance(rule.threshold, str) else rule.threshold
        return cls(rule, rule.task, rule.label, rule.is_degree, threshold)

    def probability(self, labels: Mapping[str, Answer]) -> float:
        """Return what the labels say; less than any threshold where they say nothing."""
        answer = labels.get(self.task)
        scored: Scored | None = answer if answer is None or not self.is_degree else answer.intensity
        return -1.0 if scored is None else scored.probabilities.get(self.label, -1.0)


@dataclass(frozen=True, slots=True)
class _InForce:
    """The rules for the posts of one community.

    Attributes:
        active: One a group at most, by priority.
        shadows: Each with the threshold of what is in force without it (infinity for nothing), and with it.
    """

    active: tuple[_Line, ...]
    shadows: tuple[tuple[_Line, float, float], ...]


class Policies:
    """The rules of a policy, and their version. A pure function of what it is given.

    Args:
        rules: in any order.

    Raises:
        SettingsError: two rules share a name, one can never be in force, or there are too many.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules: Sequence[Rule] = tuple(sorted(rules, key=lambda rule: rule.name))
        for one, other in zip(self.rules, self.rules[1:], strict=False):
            if one.name == other.name:
                raise SettingsError(f"two rules are called {one.name!r}")
        if len(self.rules) > MOST_RULES:
            raise SettingsError(f"{len(self.rules)} rules, where {MOST_RULES} are the most")
        _refuse_what_never_decides(self.rules)
        self.version = version_of(self.rules)
        self._ranked = sorted(self.rules, key=lambda rule: rule.rank)
        self._patterns = {rule.name: re.compile(translate(rule.community)) for rule in self.rules}
        self._kept: dict[str | None, _InForce] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policies) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)

    def decide(self, community: str | None, labels: Mapping[str, Answer]) -> Outcome:
        """Return what follows from a post's labels.

        Args:
            community: as its labels say it; None where they say none.
            labels: as published, by task.
        """
        force = self._in_force(community)
        decisions = tuple(
            Decided(line.rule, probability)
            for line in force.active
            if (probability := line.probability(labels)) >= line.threshold
        )
        return Outcome(decisions, tuple(_changes(force, labels))) if force.shadows else Outcome(decisions)

    def refuse_unpublished(self, tasks: Iterable[str]) -> None:
        """Refuse rules on labels that nobody would see.

        Args:
            tasks: those that are published.

        Raises:
            SettingsError: a rule is on another task.
        """
        published = list(tasks)
        for rule in self.rules:
            if rule.task not in published:
                raise SettingsError(
                    f"rule {rule.name!r}: {rule.task} is not published; MODERATE_KAFKA__ROUTES has "
                    f"{', '.join(published)}"
                )

    def _in_force(self, community: str | None) -> _InForce:
        if (found := self._kept.get(community)) is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            found = self._kept[community] = self._find(community)
        return found

    def _find(self, community: str | None) -> _InForce:
        matching = [rule for rule in self._ranked if self._matches(rule, community)]
        first: dict[tuple[str, str, str], Rule] = {}
        for rule in matching:
            if not rule.shadow:
                first.setdefault(rule.group, rule)
        shadows: list[tuple[_Line, float, float]] = []
        for rule in sorted((rule for rule in matching if rule.shadow), key=lambda rule: rule.name):
            line, active = _Line.of(rule), first.get(rule.group)
            without = math.inf if active is None else _Line.of(active).threshold
            takes_its_place = active is None or rule.width <= active.width
            shadows.append((line, without, line.threshold if takes_its_place else without))
        active_ones = sorted(first.values(), key=lambda rule: (-rule.priority, rule.name))
        return _InForce(tuple(map(_Line.of, active_ones)), tuple(shadows))

    def _matches(self, rule: Rule, community: str | None) -> bool:
        if rule.community == EVERYWHERE:
            return True
        return community is not None and self._patterns[rule.name].match(community) is not None


def _refuse_what_never_decides(rules: Sequence[Rule]) -> None:
    """Refuse an active rule beside one that is in force wherever it could be."""
    first: dict[tuple[object, ...], Rule] = {}
    for rule in rules:
        if not rule.shadow and (other := first.setdefault((rule.group, rule.community, rule.priority), rule)) != rule:
            raise SettingsError(
                f"rule {rule.name!r} is never in force: {other.name!r} has the same task, label, decision, community "
                "and priority"
            )


def _changes(force: _InForce, labels: Mapping[str, Answer]) -> Iterable[ShadowChange]:
    for line, without, with_it in force.shadows:
        # Rules of a group look at the same probability.
        probability = line.probability(labels)
        now, then = probability >= without, probability >= with_it
        if now or then:
            yield ShadowChange(line.rule, "same" if now and then else "adds" if then else "removes")
