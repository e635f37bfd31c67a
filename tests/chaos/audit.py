"""What became of every post, from what stands in the topics, read back with `read_committed`.

It trusts nothing that a worker says of itself.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.feed import EXPECT_HEADER
from tests.chaos.posts import LABELS, POISON

Position = tuple[int, int]  # partition and offset in the posts topic
_MOST_EXAMPLES = 10
_NOT_FETCHED = frozenset({"fetch_timeout", "fetch_failed"})


@dataclass(frozen=True)
class Fed:
    """A post as it stands in the topic, and what should become of it: `labels`, or a dead letter's stage."""

    expect: str
    value: bytes | None
    key: bytes | None


@dataclass
class Found:
    """The labels by topic and position of their post, the dead letters by position."""

    labels: dict[str, dict[Position, list[bytes]]] = field(default_factory=dict)
    dead_letters: dict[Position, list[tuple[str, bytes | None]]] = field(default_factory=dict)
    elsewhere: list[Position] = field(default_factory=list)


@dataclass
class Outcome:
    """The count: of posts; `duplicated` of records too many, `compared` and `differing` of labels.

    `examples` names the first positions of each fault.
    """

    fed: int = 0
    labelled: int = 0
    dead_lettered: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    duplicated: int = 0
    differing: int = 0
    unexpected: int = 0
    missing_dead_letters: int = 0
    wrong_partition: int = 0
    compared: int = 0
    without_picture: int = 0
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def clean(self) -> bool:
        """Whether every post came out once, as it should."""
        wrong = self.lost, self.duplicated, self.differing, self.unexpected
        return not any((*wrong, self.missing_dead_letters, self.wrong_partition))

    def note(self, kind: str, position: Position, detail: str = "", times: int = 1) -> None:
        """Count a fault and keep the first ones as examples."""
        setattr(self, kind, getattr(self, kind) + times)
        if len(self.examples[kind]) < _MOST_EXAMPLES:
            self.examples[kind].append(f"[{position[0]}]@{position[1]}{detail and f' {detail}'}")


def read_posts(records: Iterable[Any]) -> dict[Position, Fed]:
    """Return the posts by position."""
    return {
        (record.partition, record.offset): Fed(
            dict(record.headers).get(EXPECT_HEADER, LABELS.encode()).decode(), record.value, record.key
        )
        for record in records
    }


def read_found(
    labels: Mapping[str, Iterable[Any]], dead_letters: Iterable[Any], posts: Mapping[Position, Fed], *, stub: bool
) -> Found:
    """Return what the output topics hold.

    Args:
        labels: records by label topic.
        dead_letters: records.
        posts: the posts by position.
        stub: whether labels may lack `source` and lie in any partition; then their post is found by its key.
    """
    positions = {fed.key: position for position, fed in posts.items()} if stub else {}
    found = Found()
    for topic, records in labels.items():
        by_position = found.labels.setdefault(topic, {})
        for record in records:
            label = json.loads(record.value)
            position = positions.get(label["post_id"].encode(), (-1, -1))
            if "source" in label:
                position = (label["source"]["partition"], label["source"]["offset"])
            by_position.setdefault(position, []).append(record.value)
            if not stub and record.partition != position[0]:
                found.elsewhere.append(position)
    for record in dead_letters:
        headers = dict(record.headers)
        position = (int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"]))
        stage = headers["__connect.errors.stage"].decode()
        found.dead_letters.setdefault(position, []).append((stage, record.value))
        if record.partition != position[0]:
            found.elsewhere.append(position)
    return found


def count(posts: Mapping[Position, Fed], found: Found, topics: Sequence[str]) -> Outcome:
    """Return what became of the posts.

    Args:
        posts: all that stand in the topic.
        found: what stands in the output topics.
        topics: the label topics, each of which should hold one label of every post.
    """
    outcome = Outcome(fed=len(posts))
    for position, fed in posts.items():
        dead = found.dead_letters.get(position, [])
        counts = [len(found.labels.get(topic, {}).get(position, [])) for topic in topics]
        extra = sum(max(0, number - 1) for number in (*counts, len(dead))) + bool(dead and any(counts))
        if extra:
            outcome.note("duplicated", position, f"labels {counts}, dead letters {len(dead)}", extra)
        _settle(outcome, position, fed, dead, counts)
    strangers = {position for labels in found.labels.values() for position in labels} | set(found.dead_letters)
    for position in sorted(strangers - set(posts)):
        outcome.note("duplicated", position, "no such post")
    for position in found.elsewhere:
        outcome.note("wrong_partition", position)
    return outcome


def _settle(
    outcome: Outcome, position: Position, fed: Fed, dead: Sequence[tuple[str, bytes | None]], counts: Sequence[int]
) -> None:
    """Note what became of one post."""
    if fed.value is None:
        # The deletion of a post is passed over: nothing comes out.
        if dead or any(counts):
            outcome.note("unexpected", position, f"a deletion has labels {counts}, dead letters {len(dead)}")
    elif dead:
        stage, value = dead[0]
        outcome.dead_lettered[stage] += 1
        if stage != fed.expect or value != fed.value:
            changed = "" if value == fed.value else ", its bytes changed"
            outcome.note("unexpected", position, f"stage {stage}, expected {fed.expect}{changed}")
    elif all(counts):
        outcome.labelled += 1
        if fed.expect != LABELS:
            outcome.note("missing_dead_letters", position, f"expected stage {fed.expect}")
    else:
        outcome.note("lost", position, f"labels {counts}, no dead letter")


def compare(
    outcome: Outcome, posts: Mapping[Position, Fed], found: Found, quiet: Found, topics: Mapping[str, str]
) -> None:
    """Add to `outcome` which labels differ from those of a quiet run.

    Args:
        outcome: of the run with faults.
        posts: what stands in the topic; posts that kill their worker are no label's matter.
        found: of the run with faults.
        quiet: of the run without.
        topics: label topic of the run with faults to that of the quiet run.
    """
    for topic, quiet_topic in topics.items():
        ours, theirs = found.labels.get(topic, {}), quiet.labels.get(quiet_topic, {})
        for position in sorted(set(ours) | set(theirs)):
            if position not in posts or posts[position].expect == POISON or position not in ours:
                continue
            outcome.compared += 1
            if theirs.get(position, [])[:1] == ours[position][:1]:
                continue
            if _lacks_a_linked_picture(posts[position], ours[position][0]):
                outcome.without_picture += 1
            else:
                outcome.note("differing", position, topic)


def _lacks_a_linked_picture(post: Fed, label: bytes) -> bool:
    """Whether a label says itself that it was made without the picture that its post links to."""
    if b'"url"' not in (post.value or b""):
        return False
    missing = {entry.get("reason") for entry in json.loads(label).get("unavailable", [])}
    return bool(missing & _NOT_FETCHED)
