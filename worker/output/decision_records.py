"""The record of what is decided on a labelled item, beside its labels; counted once it is committed."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from schemas import Decision
from worker.items import Item, OutgoingRecord
from worker.policies.current import Current
from worker.policies.policies import Outcome
from worker.telemetry.metrics import DECISIONS, SHADOW_DECISIONS

# Commands that only read dead letters import this too, and torch takes seconds.
if TYPE_CHECKING:
    from mmorient import PostLabels

_ENCODER = msgspec.json.Encoder()
_SCHEMA = str(Decision.model_fields["schema_"].default)
_TYPE = b"mm-orient.decision.v1"
# As its labels have it, in this order.
_BEFORE, _BEHIND = ("community", "created_at"), ("model", "source")
_MOST_RULES_COUNTED = 1_000
_OTHER = "other"


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
        self._counted: set[str] = set()

    def of(
        self, item: Item, post_id: str, labels: "PostLabels", about: Mapping[str, Any], *, like: OutgoingRecord
    ) -> list[OutgoingRecord]:
        """Return the record of an item's decisions; none where nothing is decided.

        Args:
            item: a labelled one.
            post_id: of its post.
            labels: of it.
            about: what all of its labels say alike.
            like: one of its labels, with whose headers it goes.
        """
        policies = self._current.policies
        outcome = policies.decide(about.get("community"), labels.tasks)
        self._made.pop(item, None)
        if outcome.decisions or outcome.shadows:
            self._made[item] = outcome
        if not outcome.decisions:
            return []
        record = item.record
        value = _ENCODER.encode(
            {
                "post_id": post_id,
                "decisions": [one.fields() for one in outcome.decisions],
                **{name: about[name] for name in _BEFORE if name in about},
                "policy": {"version": policies.version},
                **{name: about[name] for name in _BEHIND},
                "schema": _SCHEMA,
            }
        )
        place = f"{record.topic}\0{record.partition}\0{record.offset}"
        identity = f"{place}\0decision\0{self._checkpoint}\0{policies.version}"
        own = {"ce_id": blake2b(identity.encode(), digest_size=16).hexdigest().encode(), "ce_type": _TYPE}
        headers = [(name, own.get(name, said)) for name, said in like.headers]
        return [OutgoingRecord(self.topic, record.key, value, headers)]

    def offer(self, items: Sequence[Item]) -> None:
        """Count what was decided on items that are committed."""
        for item in items:
            if (outcome := self._made.pop(item, None)) is None or item.rejection is not None:
                continue
            for one in outcome.decisions:
                DECISIONS.labels(self._name(one.rule.name), one.rule.decision).inc()
            for shadow in outcome.shadows:
                SHADOW_DECISIONS.labels(self._name(shadow.rule.name), shadow.change).inc()

    def forget(self, items: Sequence[Item]) -> None:
        """Let go of items that are over."""
        for item in items:
            self._made.pop(item, None)

    def _name(self, rule: str) -> str:
        """Return the rule's name as a label of metrics, of which there are so many and no more."""
        if rule in self._counted:
            return rule
        if len(self._counted) >= _MOST_RULES_COUNTED:
            return _OTHER
        self._counted.add(rule)
        return rule
