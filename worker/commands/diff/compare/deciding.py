"""Which decisions change: those on the left's labels by one policy, and on the right's by the same or another."""

# ruff: noqa: S608 - queries are made of this package's own names, and of quoted literals

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas import Source
from worker.commands.diff.compare.report import ChangedDecision, DecisionChange, Decisions
from worker.commands.diff.compare.statistics import mcnemar
from worker.commands.diff.read.store import SIDES, Store
from worker.policies.policies import Policies
from worker.policies.published_labels import PublishedAnswer, PublishedIntensity

_CHUNK = 4096
_Made = tuple[str, ...]


@dataclass(frozen=True)
class _Post:
    """The decisions of both sides on a post, by priority."""

    post_id: str
    source: Source | None
    community: str | None
    left: _Made
    right: _Made


def decisions_of(store: Store, left: Policies, right: Policies, *, most: int) -> Decisions:
    """Return which decisions on the joined posts change, and how many.

    Args:
        store: after the join, with its table `facet`: a label without a community gets that of its post.
        left, right: the policies.
        most: how many of the posts that change to list.
    """
    counts = {side: Counter[str]() for side in SIDES}
    gained, lost = Counter[str](), Counter[str]()
    posts = changed = 0
    named: list[ChangedDecision] = []
    for post in _posts(store, left, right):
        posts += 1
        before, after = dict.fromkeys(post.left), dict.fromkeys(post.right)
        counts["left"].update(before.keys())
        counts["right"].update(after.keys())
        gained.update(after.keys() - before.keys())
        lost.update(before.keys() - after.keys())
        if before.keys() == after.keys():
            continue
        changed += 1
        if len(named) < most:
            named.append(
                ChangedDecision(
                    post_id=post.post_id,
                    source=post.source,
                    community=post.community,
                    left=list(before),
                    right=list(after),
                )
            )
    return Decisions(
        left_policy=left.version,
        right_policy=right.version,
        posts=posts,
        changed=changed,
        by_decision=[
            DecisionChange(
                name=name,
                left=counts["left"][name],
                right=counts["right"][name],
                gained=gained[name],
                lost=lost[name],
                p=mcnemar(gained[name], lost[name]),
            )
            for name in sorted(counts["left"].keys() | counts["right"].keys())
        ],
        first=named,
    )


def _posts(store: Store, left: Policies, right: Policies) -> Iterator[_Post]:
    """Yield the joined posts in their order."""
    policies = {"left": left, "right": right}
    for side in SIDES:
        store.database.execute(
            f"""CREATE OR REPLACE TEMP TABLE {side}_said AS SELECT joined.post, max(community) AS community,
                list(struct_pack(task := task, shares := map_entries(probabilities),
                    degrees := map_entries(intensity_probabilities))) AS answers
            FROM joined JOIN {side}_last USING (key) GROUP BY joined.post"""
        )
    rows = store.database.execute(
        """SELECT post_id, topic, partition, "offset", l.community, r.community, f.community, l.answers, r.answers
        FROM joined LEFT JOIN left_said l USING (post) LEFT JOIN right_said r USING (post)
            LEFT JOIN facet f USING (post) ORDER BY post"""
    )
    while chunk := rows.fetchmany(_CHUNK):
        for post_id, topic, partition, offset, *said, left_answers, right_answers in chunk:
            at_left, at_right, known = said
            community = {"left": at_left or known, "right": at_right or known}
            answers = {"left": _answers(left_answers), "right": _answers(right_answers)}
            made = {
                side: tuple(
                    one.rule.decision for one in policies[side].decide(community[side], answers[side]).decisions
                )
                for side in SIDES
            }
            source = None if topic is None else Source(topic=topic, partition=partition, offset=offset)
            yield _Post(post_id, source, community["right"], made["left"], made["right"])


def _answers(rows: Sequence[Mapping[str, Any]] | None) -> dict[str, PublishedAnswer]:
    return {
        row["task"]: PublishedAnswer(
            _shares(row["shares"]), PublishedIntensity(_shares(row["degrees"])) if row["degrees"] else None
        )
        for row in rows or ()
    }


def _shares(entries: Sequence[Mapping[str, Any]] | None) -> dict[str, float]:
    return {entry["key"]: entry["value"] for entry in entries or ()}
