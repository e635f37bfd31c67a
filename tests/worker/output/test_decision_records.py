"""Decisions beside labels: their record, their headers, and what is counted once it is committed."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from schemas import Decision, Label
from tests.worker.output.test_records import NOON, ROUTES, STAMP, labelled
from tests.worker.policies.rules import labels, rule
from tests.worker.records import StandInRecord, item_of
from worker.items import DELETION, Item, OutgoingRecord
from worker.output.decision_records import DecisionRecords
from worker.output.records import RecordBuilder
from worker.policies.current import Current
from worker.policies.policies import Policies
from worker.telemetry.metrics import sample

RULES = [rule(threshold=0.6), rule("remove", threshold=0.9, decision="remove", priority=1)]


def decisions_of(*rules: Any) -> DecisionRecords:
    """Return a maker of decisions."""
    return DecisionRecords("decisions", Current(Policies(rules)), checkpoint=STAMP.checkpoint)


def builder(decisions: DecisionRecords | None = None, **more: Any) -> RecordBuilder:
    """Return a builder with a stopped clock."""
    about: dict[str, Any] = {"routes": ROUTES, "dead_letter_topic": "dead", "max_dead_letter_bytes": 2000}
    return RecordBuilder(**about | more, stamp=STAMP, decisions=decisions, now=lambda: NOON)


def offensive(offset: int = 7, share: float = 0.95, **post: Any) -> Item:
    """Return a labelled item."""
    item = item_of(offset, text="x", **post)
    item.record.headers.append(("traceparent", b"00-1-2-01"))  # type: ignore[attr-defined]
    item.labels = labels(offensiveness=share)
    return item


def test_a_decision_stands_beside_the_labels() -> None:
    """Under the post's key, with the labels' headers but for its own type and id; a value of the schema."""
    made = builder(decisions_of(*RULES), group_id="g").records([offensive(community="games")])
    assert [record.topic for record in made] == [*ROUTES.values(), "decisions"]
    decision, label = made[-1], made[-2]
    assert decision.key == b"k"
    said = Decision.model_validate_json(decision.value or b"")
    assert said.model_dump_json().encode() == decision.value
    assert [(one.decision, one.rule, one.probability) for one in said.decisions] == [
        ("remove", "remove", 0.95),
        ("review", "review", 0.95),
    ]
    assert (said.post_id, said.community, said.source.offset) == ("p-7", "games", 7)
    assert said.policy.version == Policies(RULES).version
    ours, theirs = dict(decision.headers), dict(label.headers)
    assert [name for name, _ in decision.headers] == [name for name, _ in label.headers]
    assert {name for name in ours if ours[name] != theirs[name]} == {"ce_id", "ce_type"}
    assert ours["ce_type"] == b"mm-orient.decision.v1"
    assert ours["traceparent"] == b"00-1-2-01"


def test_without_policies_and_without_a_decision_labels_are_what_they_were() -> None:
    """Byte for byte, headers included."""
    items = [labelled(1), offensive(2), offensive(3, share=0.3)]
    plain = builder().records(items)
    decided = builder(decisions_of(*RULES)).records(items)
    assert [record for record in decided if record.topic != "decisions"] == plain
    assert [json.loads(record.value or b"")["post_id"] for record in decided if record.topic == "decisions"] == ["p-2"]
    assert builder(decisions_of()).records(items) == plain


def test_a_replay_under_the_same_version_gives_the_same_bytes() -> None:
    """Under another one the record says so, and consumers do not take it for a repeat."""
    first = builder(decisions_of(*RULES)).records([offensive()])[-1]
    again = builder(decisions_of(*reversed(RULES))).records([offensive()])[-1]
    assert again == first
    other = builder(decisions_of(*RULES, rule("new", threshold=0.99, decision="ban"))).records([offensive()])[-1]
    assert json.loads(other.value or b"")["decisions"] == json.loads(first.value or b"")["decisions"]
    assert dict(other.headers)["ce_id"] != dict(first.headers)["ce_id"]


def test_a_decision_follows_from_what_its_labels_say() -> None:
    """A community that no label can say is none for a rule either."""
    only_games = decisions_of(rule(community="g*"))
    for community, decided in (("games", True), ("g" * 256, True), ("g" * 257, False), ("g\ud83d", False)):
        item = offensive()
        assert item.post is not None
        item.post = replace(item.post, community=community)
        made = builder(only_games).records([item])
        assert (made[-1].topic == "decisions") == decided
        label = Label.model_validate_json(made[0].value or b"")
        assert (label.community is not None) == decided


def test_a_slice_has_one_version() -> None:
    """What is published takes effect in the next one."""
    current = Current(Policies([rule(threshold=0.5)]))
    maker = DecisionRecords("decisions", current, checkpoint=STAMP.checkpoint)
    build = builder(maker)
    first = build.records([offensive(1), offensive(2)])
    current.take(Policies([rule(threshold="never")]))
    assert [record.topic for record in first].count("decisions") == 2
    assert "decisions" not in [record.topic for record in build.records([offensive(1), offensive(2)])]


def test_deletions_are_passed_on_to_decisions_too() -> None:
    """As to labels, where it is asked for."""
    gone = Item(StandInRecord(None))
    gone.passed_over = DELETION
    made = builder(decisions_of(*RULES), forward_tombstones=True).records([gone])
    assert made == [OutgoingRecord(topic, b"k", None, []) for topic in (*ROUTES.values(), "decisions")]


def test_a_decision_that_its_topic_does_not_take_is_a_dead_letter() -> None:
    """With its labels: a transaction that the broker refuses would end the worker again and again."""
    many = decisions_of(*(rule(f"rule-{number}", decision=f"note-{number}") for number in range(20)))
    item = offensive()
    (letter,) = builder(many, max_label_bytes=1500).records([item])
    assert letter.topic == "dead"
    assert item.rejection is not None
    assert item.rejection.reason == "label_too_large"
    before = sample("moderate_decisions_total", rule="rule-0", decision="note-0")
    many.offer([item])
    assert sample("moderate_decisions_total", rule="rule-0", decision="note-0") == before


def test_decisions_are_counted_once_they_are_committed() -> None:
    """By rule; shadow rules by what they would change. What is dropped is not counted, and forgotten."""
    maker = decisions_of(rule("counted"), rule("trial", threshold=0.2, shadow=True))
    items = [offensive(1), offensive(2, share=0.5), offensive(3)]
    builder(maker).records(items)
    assert sample("moderate_decisions_total", rule="counted", decision="review") == 0
    maker.offer(items[:2])
    maker.forget(items)
    maker.offer(items)
    assert sample("moderate_decisions_total", rule="counted", decision="review") == 1
    assert sample("moderate_shadow_decisions_total", rule="trial", change="same") == 1
    assert sample("moderate_shadow_decisions_total", rule="trial", change="adds") == 1
    assert not maker._made


def test_names_of_rules_are_a_bounded_label() -> None:
    """However often policies are published with new names."""
    current = Current(Policies())
    maker = DecisionRecords("decisions", current, checkpoint=STAMP.checkpoint)
    for start in range(0, 1200, 200):
        current.take(Policies(rule(f"b-{start + n}", decision=f"b-{start + n}") for n in range(200)))
        item = offensive()
        builder(maker).records([item])
        maker.offer([item])
    assert len(maker._counted) == 1000
    assert sample("moderate_decisions_total", rule="other", decision="b-1199") == 1


@pytest.mark.parametrize("share", [0.59, 0.6, 0.95])
def test_shared_topics_give_the_same_decision(share: float) -> None:
    """However labels are routed, what follows from them is equal."""
    apart = builder(decisions_of(*RULES)).records([offensive(share=share)])
    together = builder(decisions_of(*RULES), routes=dict.fromkeys(ROUTES, "all")).records([offensive(share=share)])
    assert [r.value for r in apart if r.topic == "decisions"] == [r.value for r in together if r.topic == "decisions"]
