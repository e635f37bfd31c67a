"""The record of what is decided on a labelled item, beside its labels; counted once it is committed."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from schemas import Decision
from worker.items import Item, OutgoingRecord
from worker.output.label_bytes import LabelBytes, community_of, inside
from worker.policies.current import Current
from worker.policies.policies import Outcome
from worker.telemetry.policy_metrics import DECISIONS, SHADOW_DECISIONS

# Commands that only read dead letters import this too, and torch takes seconds.
if TYPE_CHECKING:
    from mmorient import ParsedPost, PostLabels

_SCHEMA = inside({"schema": Decision.model_fields["schema_"].default})
_TYPE = b"mm-orient.decision.v1"
_MOST_RULES_COUNTED = 1_000
_OTHER = "other"


class DecisionCounts:
    """Counts what is decided, by rule; of very many rules the last are one."""

    def __init__(self) -> None:
        self._counted: set[str] = set()

    def add(self, outcome: Outcome) -> None:
        """Count what was decided on one post, and what shadow rules would change."""
        for one in outcome.decisions:
            DECISIONS.labels(self._name(one.rule.name), one.rule.decision).inc()
        for shadow in outcome.shadows:
            SHADOW_DECISIONS.labels(self._name(shadow.rule.name), shadow.change).inc()

    def _name(self, rule: str) -> str:
        """Return the rule's name as a label of metrics, of which there are so many and no more."""
        if rule in self._counted:
            return rule
        if len(self._counted) >= _MOST_RULES_COUNTED:
            return _OTHER
        self._counted.add(rule)
        return rule


class DecisionRecords:
    """Makes the records of decisions, and counts them as an observer of what is committed.

    Args:
        topic: where they go.
        current: the policy that decides.
        checkpoint: digest of the one that labels.
    """

    def __init__(self, topic: str, current: Current, *, checkpoint: str) -> None:
        self.topic = topic
        self._current = current
        self._checkpoint = checkpoint
        self._made: dict[Item, Outcome] = {}
        self._counts = DecisionCounts()

    def of(
        self, item: Item, post: "ParsedPost", labels: "PostLabels", label_bytes: LabelBytes, *, like: OutgoingRecord
    ) -> list[OutgoingRecord]:
        """Return the record of an item's decisions; none where nothing is decided.

        Args:
            item: a labelled one.
            post: of it.
            labels: of it.
            label_bytes: writes what its labels say alike.
            like: one of its labels, with whose headers it goes.
        """
        policies = self._current.policies
        outcome = policies.decide(community_of(post), labels.tasks)
        self._made.pop(item, None)
        if outcome.decisions or outcome.shadows:
            self._made[item] = outcome
        if not outcome.decisions:
            return []
        record = item.record
        own = {
            "post_id": post.id,
            "decisions": [one.fields() for one in outcome.decisions],
            "policy": {"version": policies.version},
        }
        value = b"{%b,%b,%b}" % (inside(own), label_bytes.whose(item, post), _SCHEMA)
        place = f"{record.topic}\0{record.partition}\0{record.offset}"
        identity = f"{place}\0decision\0{self._checkpoint}\0{policies.version}"
        changed = {"ce_id": blake2b(identity.encode(), digest_size=16).hexdigest().encode(), "ce_type": _TYPE}
        headers = [(name, changed.get(name, said)) for name, said in like.headers]
        return [OutgoingRecord(self.topic, record.key, value, headers)]

    def offer(self, items: Sequence[Item]) -> None:
        """Count what was decided on items that are committed."""
        for item in items:
            if (outcome := self._made.pop(item, None)) is None or item.rejection is not None:
                continue
            self._counts.add(outcome)

    def forget(self, items: Sequence[Item]) -> None:
        """Let go of items that are over."""
        for item in items:
            self._made.pop(item, None)
