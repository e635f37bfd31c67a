"""Workers, partitions and pauses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.simulation.figures import Figures
from deploy.simulation.load import Load, dead_broker, shares, spike
from deploy.simulation.outcome import lag_posts, lag_seconds, outcome
from deploy.simulation.settings import Settings, by_lag
from deploy.simulation.simulate import replay, run
from deploy.simulation.workers import Fleet, assign

FIGURES = Figures(
    posts_per_second=50.0,
    latency_seconds=0.5,
    start_seconds=10.0,
    drain_seconds=2.0,
    rebalance_seconds=2.0,
    resume_seconds=5.0,
    fetch_posts=200.0,
    session_timeout_seconds=45.0,
    cpu_idle=0.1,
    cpu_flat_out=0.9,
    schedule_seconds=5.0,
)


def even(posts: float, partitions: int, seconds: int) -> Load:
    """So many posts a second, shared evenly."""
    arrivals = np.full((seconds, partitions), posts / partitions)
    return Load("even", arrivals, np.zeros(seconds, dtype=np.bool_), (0, seconds))


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(1, 48))
def test_every_partition_has_one_owner(ordinals: set[int], partitions: int) -> None:
    """None has two, and no worker has two more than another."""
    owned = assign(sorted(ordinals), partitions, {})
    assert sorted(partition for each in owned.values() for partition in each) == list(range(partitions))
    assert max(map(len, owned.values())) - min(map(len, owned.values())) <= 1


def test_partitions_go_to_the_members_as_the_worker_s_assignor_deals_them() -> None:
    """Names are sorted as strings: the tenth pod comes behind the first. What a worker has stays with it."""
    from aiokafka.cluster import ClusterMetadata
    from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

    from worker.broker.group_members import Deployment, assignor_of

    class Cluster(ClusterMetadata):
        def partitions_for_topic(self, topic: str) -> set[int]:  # noqa: ARG002
            return set(range(12))

    said = ConsumerProtocolMemberMetadata(0, ["posts"], b"")
    names = {f"moderation-worker-{ordinal}-0b5ad1f8-1111-2222-3333-444455556666": ordinal for ordinal in (0, 1, 2, 10)}
    dealt = assignor_of(Deployment("posts", "dead", ()), "w").assign(Cluster(), dict.fromkeys(names, said))
    found = {names[name]: given.assignment[0][1] for name, given in dealt.items()}
    assert found == assign([0, 1, 2, 10], 12, {})
    fewer = assign([0, 1], 12, found)
    assert all(set(found[ordinal]) < set(fewer[ordinal]) for ordinal in fewer)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 400), min_size=60, max_size=120),
    st.lists(st.tuples(st.integers(1, 59), st.integers(1, 8)), max_size=6),
    st.booleans(),
)
def test_posts_are_conserved(
    posts: list[int],
    scalings: list[tuple[int, int]],
    leave: bool,  # noqa: FBT001
) -> None:
    """What came is done or waits, no offset goes back, and nobody labels faster than workers can."""
    fleet = Fleet(FIGURES, 6, leave)
    fleet.begin(2)
    came = 0.0
    for now, count in enumerate(posts):
        for at, replicas in scalings:
            if at == now:
                fleet.scale(now, replicas)
        before = list(fleet.done)
        fleet.step(now, [count / 6] * 6, dead=30 <= now < 35)
        came += count
        assert sum(fleet.done) + sum(fleet.waiting) == pytest.approx(came)
        assert all(after >= earlier for after, earlier in zip(fleet.done, before, strict=True))
        assert sum(fleet.done) - sum(before) <= FIGURES.posts_per_second * len(fleet.ready) + 1e-6
        owners = [partition for ordinal in fleet.ready for partition in fleet.owned[ordinal]]
        assert len(owners) == len(set(owners))


def test_a_worker_that_stays_in_the_group_keeps_its_partitions_waiting() -> None:
    """Its partitions wait for drain, session and rebalance, 2 + 45 + 2 s; for 4 s where it leaves."""
    for leave, longest in ((False, 49), (True, 4)):
        load = even(2, 4, 120)
        fleet = Fleet(FIGURES, 4, leave)
        fleet.begin(2)
        still = 0
        for now, arrived in enumerate(load.arrivals.tolist()):
            if now == 20:
                fleet.scale(now, 1)
            before = fleet.done[1]
            fleet.step(now, arrived, dead=False)
            still += fleet.done[1] == before
        assert still == pytest.approx(longest, abs=1)


def test_a_name_that_comes_back_within_its_session_has_its_partitions_without_a_rebalance() -> None:
    """Down and up again within 45 s: nobody else's partitions move."""
    fleet = Fleet(FIGURES, 4)
    fleet.begin(2)
    for now in range(60):
        if now in (10, 20):
            fleet.scale(now, 1 if now == 10 else 2)
        fleet.step(now, [1.0] * 4, dead=False)
    assert fleet.rebalances == 0
    assert sorted(fleet.ready) == [0, 1]


def test_a_partition_behind_waits_for_the_turns_of_others() -> None:
    """With 200 posts a fetch and 50 a second, the second partition's first post is done after four seconds."""
    fleet = Fleet(FIGURES, 3)
    fleet.begin(1)
    fleet.step(0, [1000.0] * 3, dead=False)
    done = []
    for now in range(1, 12):
        fleet.step(now, [0.0] * 3, dead=False)
        done.append([round(posts) for posts in fleet.done])
    assert done[2] == [200, 0, 0]
    assert done[6] == [200, 200, 0]
    assert done[10] == [200, 200, 200]


def test_lag_in_seconds_is_the_age_of_the_oldest_post_that_waits() -> None:
    """100 posts a second to a worker of 50: after 60 s it labels what came at 30 s."""
    result = replay(even(100, 2, 60), FIGURES, {0: 1})
    assert lag_seconds(result)[-1].max() == pytest.approx(30, abs=4)
    assert lag_posts(result)[-1] == pytest.approx(3000, abs=60)


def test_a_stream_that_workers_keep_up_with_is_a_latency_behind() -> None:
    """Half a second of 40 posts a second waits, and nothing is late."""
    result = replay(even(40, 4, 300), FIGURES, {0: 1})
    assert lag_posts(result)[-1] == pytest.approx(20)
    assert outcome(result).late_share == 0.0
    assert outcome(result).longest <= 1.0


def test_a_dead_broker_s_posts_are_written_when_it_is_back_or_never() -> None:
    """Producers that wait lose none; those that do not lose five minutes."""
    kept, lost = dead_broker(100, 6, 1), dead_broker(100, 6, 1, lost=True)
    assert kept.arrivals[3600:3900].sum() == 0
    assert kept.arrivals.sum() - lost.arrivals.sum() == pytest.approx(30_000, rel=0.15)


def test_the_same_seed_gives_the_same_run() -> None:
    """And another one another."""
    tried = by_lag(6, 2, 10, 300, FIGURES.posts_per_second)
    first, again, other = (run(spike(100, 6, seed), tried, FIGURES) for seed in (3, 3, 4))
    assert np.array_equal(first.done, again.done)
    assert not np.array_equal(first.done, other.done)


def test_shares_are_skewed_and_sum_to_one() -> None:
    """The busiest author alone writes 3 % of all."""
    assert sum(shares(12)) == pytest.approx(1.0)
    assert max(shares(12)) > 1.2 / 12
    assert max(shares(1000)) > 0.03


def test_a_load_of_other_partitions_is_refused() -> None:
    """Settings say how many there are."""
    with pytest.raises(ValueError, match="4 partitions for settings of 6"):
        run(even(1, 4, 10), Settings("six", 6, 1, 6), FIGURES)


def test_replicas_are_paid_for_from_their_creation_to_their_end() -> None:
    """A second worker at 10 s, told to stop at 40 s, draining for 2 s: 32 s more than the first's 60."""
    result = replay(even(10, 2, 60), replace(FIGURES, schedule_seconds=0.0), {0: 1, 10: 2, 40: 1})
    assert result.replicas.sum() == pytest.approx(60 + 32, abs=1)
