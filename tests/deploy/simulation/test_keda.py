"""KEDA's Kafka scaler, held against cases that were computed by hand."""

from deploy.simulation.keda import KafkaScaler, Trigger, capped_lag


def test_the_lag_of_all_partitions_is_summed() -> None:
    """Three partitions, 30, 0 and 5 posts behind, are 35 posts behind."""
    assert KafkaScaler(Trigger(10)).answer([130, 50, 25], [100, 50, 20]) == 35


def test_no_more_replicas_are_asked_for_than_there_are_partitions() -> None:
    """400 posts at 10 a replica are 40 replicas; three partitions make it 3, and 30 posts."""
    assert capped_lag([400, 0, 0], Trigger(10)) == 30
    assert capped_lag([400, 0, 0], Trigger(10, allow_idle_consumers=True)) == 400


def test_the_cap_divides_integers() -> None:
    """39 posts at 10 a replica pass as three partitions' worth, as Go divides; the autoscaler then asks for four."""
    assert capped_lag([39, 0, 0], Trigger(10)) == 39
    assert capped_lag([40, 0, 0], Trigger(10)) == 30


def test_only_partitions_with_lag_count_where_that_is_asked_for() -> None:
    """400 posts in one partition of three are one replica's."""
    assert capped_lag([400, 0, 0], Trigger(10, limit_to_partitions_with_lag=True)) == 10
    assert capped_lag([200, 200, 0], Trigger(10, limit_to_partitions_with_lag=True)) == 20


def test_a_partition_whose_offset_stands_still_is_excluded_from_the_second_look_on() -> None:
    """The first look counts it, the next ones do not, and progress brings it back."""
    scaler = KafkaScaler(Trigger(10, exclude_persistent_lag=True))
    assert scaler.answer([100, 100], [90, 90]) == 20
    assert scaler.answer([110, 110], [90, 95]) == 15
    assert scaler.answer([120, 120], [91, 95]) == 29


def test_keda_s_own_loop_moves_the_offsets_that_answers_compare_with() -> None:
    """A question just after a round of the loop finds every offset as the round left it: no lag at all."""
    scaler = KafkaScaler(Trigger(10, exclude_persistent_lag=True))
    scaler.poll([1000, 1000], [100, 100])
    assert scaler.answer([1000, 1000], [100, 100]) == 0


def test_a_cached_metric_is_what_the_loop_found_last() -> None:
    """Answers between two rounds are the same; without a round they are computed."""
    scaler = KafkaScaler(Trigger(10, use_cached_metrics=True))
    assert scaler.answer([7], [0]) == 7
    scaler.poll([5], [0])
    assert scaler.answer([9], [0]) == 5
    scaler.fail_to_poll()
    assert scaler.answer([9], [0]) == 9
