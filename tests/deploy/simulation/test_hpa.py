"""The autoscaler's formulas, held against cases that were computed by hand."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.simulation.hpa import (
    DEFAULT_DOWN,
    Autoscaler,
    Policy,
    Rules,
    replicas_for_average,
    replicas_for_utilization,
)

AT_ONCE = Rules(0, (Policy("Percent", 100, 15),))


def test_the_average_is_brought_to_its_target() -> None:
    """2,100 posts at 500 a replica are five replicas' worth, wherever one starts from."""
    assert [replicas_for_average(2100, 500, replicas) for replicas in (1, 3, 8)] == [5, 5, 5]


def test_a_tenth_over_or_under_the_target_changes_nothing() -> None:
    """Four replicas at 500 bear 1,800 to 2,199 posts; 2,200 are five replicas' worth."""
    assert replicas_for_average(2199, 500, 4) == 4
    assert replicas_for_average(2200, 500, 4) == 5
    assert replicas_for_average(1500, 500, 4) == 3
    assert replicas_for_average(0, 500, 4) == 0


def test_use_is_brought_to_its_target() -> None:
    """Three pods at full use with a target of 80 % are 3.75, so four; at 40 % they are 1.5, so two."""
    assert replicas_for_utilization([1.0] * 3, 0, 0.8, 3) == 4
    assert replicas_for_utilization([0.4] * 3, 0, 0.8, 3) == 2
    assert replicas_for_utilization([0.85] * 3, 0, 0.8, 3) == 3


def test_pods_that_start_count_as_idle_when_more_are_wanted() -> None:
    """Two at full use beside one that starts: 2 / 3 / 0.8 is under the target, so nothing changes meanwhile."""
    assert replicas_for_utilization([1.0, 1.0], 1, 0.8, 3) == 3
    assert replicas_for_utilization([1.0] * 8, 1, 0.8, 9) == 10
    assert replicas_for_utilization([], 2, 0.8, 2) == 2


def test_before_scaling_down_the_highest_recommendation_of_the_window_counts() -> None:
    """Ten were wanted at 0 s; with a window of 300 s they go when that is more than 300 s ago."""
    autoscaler = Autoscaler(1, 20, AT_ONCE, Rules(300, AT_ONCE.policies))
    found = [autoscaler.scale(now, 10, 10 if now == 0 else 4) for now in range(0, 316, 15)]
    assert found == [10] * 20 + [4, 4]


def test_before_scaling_up_the_lowest_recommendation_of_the_window_counts() -> None:
    """A window of 60 s upwards lets through what was wanted for 60 s."""
    autoscaler = Autoscaler(1, 20, Rules(60, (Policy("Pods", 20, 15),)), DEFAULT_DOWN)
    found = [autoscaler.scale(now, 2, 2 if now == 0 else 8) for now in range(0, 76, 15)]
    assert found == [2, 2, 2, 2, 8, 8]


def test_the_policy_that_allows_most_counts() -> None:
    """From two replicas, 100 % or four pods a minute allow six; from six, within the same minute, nothing more."""
    autoscaler = Autoscaler(1, 20, Rules(0, (Policy("Percent", 100, 60), Policy("Pods", 4, 60))), DEFAULT_DOWN)
    assert autoscaler.scale(0, 2, 20) == 6
    assert autoscaler.scale(15, 6, 20) == 6
    assert autoscaler.scale(60, 6, 20) == 12
    assert autoscaler.scale(120, 12, 20) == 20


def test_one_pod_in_two_minutes_is_one_pod_in_two_minutes() -> None:
    """Downwards the period's start counts too."""
    autoscaler = Autoscaler(1, 20, AT_ONCE, Rules(0, (Policy("Pods", 1, 120),)))
    replicas, found = 5, []
    for now in range(0, 241, 15):
        replicas = autoscaler.scale(now, replicas, 1)
        found.append(replicas)
    assert found == [4] * 8 + [3] * 8 + [2]


def test_without_rules_a_minute_takes_two_replicas_to_the_bound() -> None:
    """The default is the larger of 100 % and four pods each 15 s: 2, 6, 12, 24, and the bound of 20."""
    autoscaler, replicas, found = Autoscaler(1, 20), 2, []
    for now in range(0, 46, 15):
        replicas = autoscaler.scale(now, replicas, 100)
        found.append(replicas)
    assert found == [6, 12, 20, 20]


@given(
    st.integers(1, 5),
    st.integers(5, 30),
    st.lists(st.integers(0, 60), min_size=1, max_size=80),
    st.sampled_from([0, 60, 300]),
)
def test_replicas_stay_within_their_bounds(least: int, most: int, wanted: list[int], window: int) -> None:
    """Whatever the metric asks for."""
    autoscaler = Autoscaler(least, most, down=Rules(window, DEFAULT_DOWN.policies))
    replicas = least
    for step, count in enumerate(wanted):
        replicas = autoscaler.scale(step * 15, replicas, count)
        assert least <= replicas <= most
