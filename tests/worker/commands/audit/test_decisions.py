"""`moderate audit` where decisions are on: each seeded fault is named, and nothing else is."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.worker.commands.audit.seeds import (
    LABELLED,
    OTHER,
    OURS,
    Seeds,
    Written,
    key_of,
    request,
    stand,
    write,
    write_outputs,
)
from tests.worker.policies.rules import rule
from tests.worker.system import TASKS, Stream
from worker.broker.clients import KafkaLinks
from worker.commands.audit.command import audit_once
from worker.commands.audit.terms import PolicyTerms
from worker.commands.policies.topic import _write
from worker.policies.canonical import dumps
from worker.policies.policies import Policies

POLICIES = Policies([rule(threshold=0.7), rule("games", community="games", threshold=0.9)])
ELSE = Policies([rule("else", threshold=0.5)])
UNKNOWN = "sha256:" + "9" * 64
# Offset of a post to its community and how offensive its label says it is. The first and the last have a decision.
POSTS: dict[int, tuple[str | None, float]] = {0: (None, 0.8), 1: ("games", 0.8), 5: ("games", 0.95)}
Fields = dict[str, Any]


def topic_of(stream: Stream) -> str:
    """Return the topic of decisions."""
    return f"{stream.name}.decisions"


def decision(seeds: Seeds, offset: int, name: str = "review", **changes: Any) -> Written:
    """Return a decision as a worker writes it; `changes` are fields of its value or record."""
    record = {field: changes.pop(field) for field in ("key", "partition") if field in changes}
    of = next(one for one in POLICIES.rules if one.name == name)
    one: Fields = {"decision": of.decision, "rule": of.name, "task": of.task, "label": of.label}
    one |= {"probability": POSTS.get(offset, (None, 0.8))[1], "threshold": of.threshold}
    source = {"topic": seeds.stream.posts, "partition": seeds.partition, "offset": offset}
    value = {"post_id": "p", "decisions": [one], "policy": {"version": POLICIES.version}}
    value |= {"model": {"checkpoint": OURS}, "source": source, "schema": "decision/1"} | changes
    written = Written(topic_of(seeds.stream), seeds.partition, key_of(offset), json.dumps(value).encode(), of=offset)
    return replace(written, **record)


def labels(seeds: Seeds, share_of_last: float = 0.95) -> list[Written]:
    """Return the outputs without decisions; the offensiveness of the last post as it is said."""
    found = [one for one in seeds.honest() if one.topic == seeds.stream.dead]
    for offset in LABELLED:
        community, share = POSTS[offset]
        share = share_of_last if offset == LABELLED[-1] else share
        about = {} if community is None else {"community": community}
        probabilities = {"not_offensive": 1 - share, "offensive": share}
        found += [seeds.label(task, offset, probabilities=probabilities, **about) for task in TASKS]
    return found


def of(*decisions: Callable[[Seeds], Written], share_of_last: float = 0.95) -> Callable[[Seeds], list[Written]]:
    """Return what writes labels and these decisions, in their order."""
    return lambda seeds: sorted(
        [*labels(seeds, share_of_last), *(make(seeds) for make in decisions)], key=lambda one: one.of
    )


def at(offset: int, name: str = "review", **changes: Any) -> Callable[[Seeds], Written]:
    """Return what makes a decision."""
    return lambda seeds: decision(seeds, offset, name, **changes)


FIRST, LAST = at(0), at(5, "games")
# What stands in a partition; the faults that are found, and those that are found besides where a policy is expected.
CASES: Sequence[tuple[str, Callable[[Seeds], list[Written]], list[str], list[str]]] = (
    ("nothing", of(FIRST, LAST), [], []),
    ("a decision deleted", of(FIRST), [], ["undecided"]),
    ("a decision doubled", of(FIRST, FIRST, LAST), ["doubled"], []),
    ("a decision of a dead letter", of(FIRST, at(2), LAST), ["unexpected"], []),
    ("a decision that does not follow", of(FIRST, at(1, "games"), LAST), ["wrong_decision"], []),
    ("a label that was other", of(FIRST, LAST, share_of_last=0.94), ["wrong_decision"], []),
    ("none of those that follow", of(at(0, decisions=[]), LAST), ["wrong_decision"], []),
    ("of a policy that nobody knows", of(at(0, policy={"version": UNKNOWN}), LAST), [], ["wrong_policy"]),
    (
        "of a policy that is on the control topic",
        of(at(0, policy={"version": ELSE.version}), LAST),
        ["wrong_decision"],
        ["wrong_policy"],
    ),
    ("under another key", of(at(0, key=b"other"), LAST), ["wrong_key"], []),
    ("in another partition", of(at(0, partition=0), LAST), ["wrong_partition"], ["undecided"]),
    ("of another checkpoint", of(at(0, model={"checkpoint": OTHER}), LAST), ["wrong_checkpoint"], []),
    ("of no post", of(FIRST, LAST, at(6)), ["no_such_post"], []),
)


async def test_every_seeded_fault_of_decisions_is_found_and_named(
    stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the policy that each names, or by the one that is expected of all."""
    settings = {"KAFKA__DECISIONS_TOPIC": topic_of(stream), "KAFKA__POLICIES_TOPIC": f"{stream.name}.policies"}
    await stream.create_topics(len(CASES), **settings)
    await write(stream, [lambda *_: [] for _ in CASES], settle=False)
    await write_outputs(stream, [make(Seeds(stream, number)) for number, (_, make, *_) in enumerate(CASES)])
    await stand(stream, dict.fromkeys(range(len(CASES)), 7))
    names = {"decisions_topic": topic_of(stream), "policies_topic": f"{stream.name}.policies"}
    kafka = stream.kafka_settings.model_copy(update=names)
    links = KafkaLinks(stream.servers.kafka, kafka)
    await _write(links, kafka, {ELSE.version.encode(): dumps(ELSE.rules), b"later": b'{"schema":"policies/9"}'})
    asked = request(stream)

    async def faults(policies: PolicyTerms) -> tuple[dict[int, list[str]], dict[str, Any]]:
        await audit_once(replace(asked, terms=replace(asked.terms, kafka=kafka, policies=policies)))
        *found, count = map(json.loads, capsys.readouterr().out.splitlines())
        by_partition: dict[int, list[str]] = {}
        for one in found:
            by_partition.setdefault(int(one["post"].rpartition("[")[2].partition("]")[0]), []).append(one["fault"])
        return by_partition, count

    found, count = await faults(PolicyTerms([POLICIES]))
    for number, (name, _, expected, _) in enumerate(CASES):
        assert sorted(found.get(number, [])) == sorted(expected), name
    assert count["outcomes"]["labelled"] > 0
    assert count["decisions"] > len(CASES)
    found, _ = await faults(PolicyTerms([POLICIES], POLICIES))
    for number, (name, _, expected, more) in enumerate(CASES):
        wrong = [one for one in expected if one != "wrong_decision" or "wrong_policy" not in more]
        assert sorted(found.get(number, [])) == sorted([*wrong, *more]), name
    # Of policies that nobody knows nothing can be worked out; where they are no part of the audit, nothing is said.
    found, _ = await faults(PolicyTerms())
    assert {kind for kinds in found.values() for kind in kinds} == {
        "doubled",
        "unexpected",
        "wrong_decision",
        "wrong_key",
        "wrong_partition",
        "wrong_checkpoint",
        "no_such_post",
    }
    await audit_once(asked)
    assert json.loads(capsys.readouterr().out)["clean"]
