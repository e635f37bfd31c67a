"""Which partitions move when members of a group come and go."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from worker.broker.assignment import assignor_saying, dealt

Owners = dict[int, str]


class Cluster(ClusterMetadata):
    """Has one topic."""

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self.count = partitions

    def partitions_for_topic(self, topic: str) -> set[int]:
        """Return the partitions of it."""
        del topic
        return set(range(self.count))


class Group:
    """Members that join, and one of them that leads."""

    def __init__(self, *, sticky: bool = True, partitions: int = 12) -> None:
        self.sticky = sticky
        self.cluster = Cluster(partitions)
        self.members: dict[str, type[AbstractPartitionAssignor]] = {}

    def add(self, name: str, *, sticky: bool | None = None) -> None:
        """Let a member join, at the next rebalance."""
        self.members[name] = assignor_saying({"worker": name}, sticky=self.sticky if sticky is None else sticky)

    def rebalance(self, leader: str) -> Owners:
        """Return who has which partition afterwards."""
        joined = {
            name: ConsumerProtocolMemberMetadata.decode(member.metadata(["posts"]).encode())
            for name, member in self.members.items()
        }
        return self.given(self.members[leader].assign(self.cluster, joined))

    def given(self, answers: Mapping[str, ConsumerProtocolMemberAssignment]) -> Owners:
        """Tell the members what they have."""
        owners = {}
        for name, answer in answers.items():
            plain = ConsumerProtocolMemberAssignment.decode(answer.encode())
            self.members[name].on_assignment(plain)
            owners |= {partition: name for _, partition in plain.partitions()}
        assert len(owners) == self.cluster.count
        return owners


def moved(before: Owners, after: Owners) -> int:
    """Return how many partitions have another owner."""
    return sum(after[partition] != owner for partition, owner in before.items())


@pytest.mark.parametrize(("sticky", "joining", "leaving"), [(True, 4, 4), (False, 8, 8)])
def test_a_third_member_takes_its_share_and_nothing_else_moves(*, sticky: bool, joining: int, leaving: int) -> None:
    """Of twelve partitions four move, where round robin moves eight; and four again when it leaves."""
    group = Group(sticky=sticky)
    group.add("a")
    group.add("b")
    two = group.rebalance("a")
    group.add("c")
    three = group.rebalance("b")
    assert moved(two, three) == joining
    del group.members["c"]
    assert moved(three, group.rebalance("a")) == leaving


def test_a_group_that_begins_is_dealt_round() -> None:
    """As members of earlier versions deal it, and as the simulation of scaling reckons."""
    owners = {}
    for sticky in (True, False):
        group = Group(sticky=sticky, partitions=7)
        for name in ("a", "b", "c"):
            group.add(name)
        owners[sticky] = group.rebalance("c")
    assert owners[True] == owners[False]


def test_a_leader_of_an_earlier_version_deals_round_and_the_next_one_goes_on_from_there() -> None:
    """Whoever leads decides; what the members hold is what that leader gave them."""
    group = Group()
    group.add("a")
    group.add("old", sticky=False)
    group.rebalance("a")
    by_old = group.rebalance("old")
    group.add("c")
    assert moved(by_old, group.rebalance("a")) == 4


def test_of_two_that_claim_a_partition_the_one_that_was_in_the_group_last_has_it() -> None:
    """A member that was away for a while still believes in what it had."""
    group = Group()
    group.add("a")
    group.add("b")
    group.rebalance("a")
    away = group.members.pop("b")
    group.add("c")
    group.rebalance("a")
    without = group.rebalance("a")
    group.members["b"] = away
    back = group.rebalance("a")
    assert moved(without, back) == 4
    assert sum(owner == "b" for owner in back.values()) == 4


@pytest.mark.parametrize("words", [b"", b"no json", b"[1]", json.dumps({"held": 3, "round": "x"}).encode()])
def test_a_member_that_says_nothing_of_use_gets_its_share(words: bytes) -> None:
    """Such as one of an earlier version."""
    group = Group()
    group.add("a")
    group.add("b")
    group.rebalance("a")
    joined: dict[str, Any] = {name: group.members[name].metadata(["posts"]) for name in group.members}
    joined["c"] = ConsumerProtocolMemberMetadata(0, ["posts"], words)
    group.add("c")
    owners = group.given(group.members["a"].assign(group.cluster, joined))
    assert sum(owner == "c" for owner in owners.values()) == 4


@given(st.integers(0, 40), st.lists(st.sets(st.integers(0, 45)), min_size=1, max_size=8))
def test_all_partitions_are_dealt_evenly_and_no_more_of_them_move_than_must(count: int, held: list[set[int]]) -> None:
    """Whatever the members held, partitions that are gone included."""
    partitions = [TopicPartition("posts", number) for number in range(count)]
    claims, taken = {}, set[int]()
    for number, each in enumerate(held):
        claims[f"m{number}"] = [TopicPartition("posts", one) for one in sorted(each - taken)]
        taken |= each
    given_out = dealt(partitions, claims)
    assert sorted(one for each in given_out.values() for one in each) == partitions
    counts = sorted(map(len, given_out.values()))
    assert counts[-1] - counts[0] <= 1
    least, more = divmod(count, len(claims))
    there = sorted((sum(one in partitions for one in each) for each in claims.values()), reverse=True)
    most_kept = sum(min(each, least + (number < more)) for number, each in enumerate(there))
    assert sum(one in claims[name] for name, each in given_out.items() for one in each) == most_kept
