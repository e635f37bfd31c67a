"""Whether a post's decisions follow from its labels, by the policy that they name, or by the one that is expected."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from schemas import Decided
from worker.broker.positions import Position
from worker.commands.audit.terms import Fault, PolicyTerms
from worker.errors import SettingsError
from worker.policies.canonical import loads
from worker.policies.policies import Policies
from worker.policies.published_labels import PublishedAnswer, answers_of, community_of

# What a decision says of itself; a later version may say more.
_FIELDS = tuple(Decided.model_fields)


class DecisionJudge:
    """Works decisions out again.

    Args:
        terms: what is expected of policies.
        count: told of each post whose decisions are worked out.
    """

    def __init__(self, terms: PolicyTerms, count: Callable[[], None]) -> None:
        self._expected = terms.expected
        self._known = {policies.version: policies for policies in terms.known}
        self._count = count

    def learn(self, values: Mapping[bytes, bytes | None]) -> None:
        """Take in what was published on the control topic; what this release cannot read stays unknown."""
        for value in values.values():
            if value is not None:
                with suppress(SettingsError):
                    policies = Policies(loads(value))
                    self._known[policies.version] = policies

    def faults(
        self,
        post: Position,
        labels: Sequence[Mapping[str, Any]],
        decision: tuple[Position, Mapping[str, Any]] | None,
    ) -> Iterator[Fault]:
        """Yield what is wrong with what was decided on a labelled post.

        Args:
            post: where it stands.
            labels: the values of its labels, one a topic.
            decision: where the decision stands, and its value; None where there is none.
        """
        expected = self._expected
        if decision is None:
            if expected is not None:
                self._count()
                if said := _worked_out(expected, labels):
                    names = ", ".join(one["rule"] for one in said)
                    yield Fault("undecided", post, f"no decision, and by its labels {names} is reached")
            return
        at, value = decision
        version = _version(value)
        if expected is not None and version != expected.version:
            yield Fault("wrong_policy", post, f"a decision is of policy {version}", (at,))
        elif (policies := self._known.get(version)) is not None:
            self._count()
            if _worked_out(policies, labels) != _said(value):
                yield Fault("wrong_decision", post, "its decisions do not follow from its labels", (at,))


def _worked_out(policies: Policies, labels: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    answers: dict[str, PublishedAnswer] = {}
    community: str | None = None
    for label in labels:
        answers |= answers_of(label)
        community = community or community_of(label)
    return [one.fields() for one in policies.decide(community, answers).decisions]


def _said(value: Mapping[str, Any]) -> object:
    decisions = value.get("decisions")
    if not isinstance(decisions, list):
        return decisions
    return [{name: one.get(name) for name in _FIELDS} if isinstance(one, dict) else one for one in decisions]


def _version(value: Mapping[str, Any]) -> str:
    policy = value.get("policy")
    return str(policy.get("version")) if isinstance(policy, dict) else "unknown"
