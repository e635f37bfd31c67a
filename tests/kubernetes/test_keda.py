"""KEDA reads the lag of a real broker by our ScaledObject, and a real autoscaler does what it says.

Nobody labels here: a test writes records and commits offsets itself, so that each lag is known.
"""

import time
from itertools import pairwise

import pytest

from deploy.simulation.keda import Trigger, capped_lag
from tests.deploy.manifests import of_kind, overlay
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.keda import answers, metric
from tests.kubernetes.lag import PARTITIONS, Backlog
from worker.commands.stack.stack import Stack

# Questions come every 15 s, and a broker's death takes some of them.
pytestmark = pytest.mark.timeout(900)

THRESHOLD = 560
# 2,800 posts: five workers of 560 each, which is more than the fallback's four. One step leads there.
_FOR_FIVE = [466, 466, 466, 466, 466, 470]
# Behind by nothing, a little everywhere, much in one partition, more than all partitions are worth.
LAGS = ([0] * 6, [500] * 6, [1500, 0, 0, 0, 0, 0], [1500, 1500, 3, 0, 0, 0], [1500] * 6)
SHIPPED = Trigger(THRESHOLD, limit_to_partitions_with_lag=True)
TRIGGERS = {
    "as shipped": SHIPPED,
    "capped at all partitions": Trigger(THRESHOLD),
    "not capped": Trigger(THRESHOLD, allow_idle_consumers=True),
}


def apply(
    cluster: Cluster, backlog: Backlog, *, exclude: bool = False, trigger: Trigger = SHIPPED, cpu: bool = False
) -> None:
    """Apply the keda overlay for a backlog, and wait until KEDA answers.

    With a short window and period before fewer are asked for.

    Args:
        cluster: with KEDA.
        backlog: that is read.
        exclude: `excludePersistentLag`.
        trigger: how the lag is capped.
        cpu: whether the second trigger stays, as it does not for workers with GPUs.
    """
    documents = overlay("keda")
    (scaled,) = of_kind(documents, "ScaledObject")
    spec = scaled["spec"]
    spec["triggers"] = spec["triggers"][: 2 if cpu else 1]
    metadata = spec["triggers"][0]["metadata"]
    assert metadata["lagThreshold"] == str(THRESHOLD)
    metadata |= {
        "bootstrapServers": backlog.address,
        "consumerGroup": backlog.name,
        "topic": backlog.name,
        "limitToPartitionsWithLag": str(trigger.limit_to_partitions_with_lag).lower(),
        "allowIdleConsumers": str(trigger.allow_idle_consumers).lower(),
        "excludePersistentLag": str(exclude).lower(),
    }
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    down["stabilizationWindowSeconds"] = 0
    down["policies"][0]["periodSeconds"] = 15
    cluster.apply(documents, backlog.name)
    cluster.wait_for(lambda: answers(cluster, backlog.name), 120, "KEDA answers")


def replicas(cluster: Cluster, namespace: str) -> int:
    """Return how many workers are asked for."""
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets/moderation-worker"
    return int(cluster.read(path)["spec"]["replicas"])


@pytest.mark.parametrize("name", TRIGGERS)
def test_keda_says_what_the_simulation_says(name: str, keda: Cluster, backlog: Backlog) -> None:
    """For each way to be behind, KEDA's answer is the simulation's."""
    apply(keda, backlog, trigger=TRIGGERS[name])
    said = {}
    for lags in LAGS:
        backlog.leave(lags)
        said[tuple(lags)] = metric(keda, backlog.name)
    assert said == {tuple(lags): capped_lag(lags, TRIGGERS[name]) for lags in LAGS}


def test_lag_that_stands_still_can_be_left_out(keda: Cluster, backlog: Backlog) -> None:
    """With `excludePersistentLag`, a lag whose offsets did not move since the last question counts as none."""
    apply(keda, backlog, exclude=True)
    backlog.leave([500] * PARTITIONS)
    metric(keda, backlog.name)
    assert metric(keda, backlog.name) == 0


def test_a_group_without_offsets_is_behind_by_everything(keda: Cluster, stack: Stack, namespace: str) -> None:
    """A first start has all of the topic before it, as `offsetResetPolicy: earliest` says."""
    fresh = Backlog(stack.kafka.address or "", namespace, PARTITIONS, 100)
    fresh.write()
    apply(keda, fresh)
    assert metric(keda, namespace) == 600


def test_lag_starts_workers_and_they_end_one_by_one(keda: Cluster, backlog: Backlog) -> None:
    """Two workers without lag; as many as the lag is worth; one after another when it is gone."""
    apply(keda, backlog)
    keda.wait_for(lambda: replicas(keda, backlog.name) == 2, 120, "two workers")
    backlog.leave(_FOR_FIVE)
    keda.wait_for(lambda: replicas(keda, backlog.name) == 5, 180, "a worker for each 560")
    keda.wait_for(lambda: len(keda.pods(backlog.name)) == 5, 60, "their pods")
    backlog.leave([0] * PARTITIONS)
    seen = [5]
    until = time.monotonic() + 240
    while seen[-1] != 2:
        assert time.monotonic() < until, seen
        now = replicas(keda, backlog.name)
        if now != seen[-1]:
            seen.append(now)
        time.sleep(0.5)
    assert all(before - after == 1 for before, after in pairwise(seen)), seen


def test_a_dead_broker_ends_no_workers(keda: Cluster, backlog: Backlog, stack: Stack) -> None:
    """While no broker answers KEDA, as many workers stay as there were, and the autoscaler says that it does not know.

    It is the autoscaler that holds them: KEDA 2.21 makes a new client for each question, and counts no failure towards
    the `fallback` where that does not connect.
    """
    apply(keda, backlog)
    backlog.leave(_FOR_FIVE)
    keda.wait_for(lambda: replicas(keda, backlog.name) == 5, 180, "a worker for each 560")
    path = f"/apis/autoscaling/v2/namespaces/{backlog.name}/horizontalpodautoscalers/keda-hpa-moderation-worker"

    def blind() -> bool:
        conditions = keda.read(path)["status"]["conditions"]
        return any(one["reason"] == "FailedGetExternalMetric" for one in conditions)

    stack.kafka.kill()
    try:
        keda.wait_for(blind, 120, "the autoscaler knows nothing")
        # Four rounds, each of which could end one.
        until = time.monotonic() + 65
        while time.monotonic() < until:
            assert replicas(keda, backlog.name) == 5
            time.sleep(1)
    finally:
        stack.kafka.restart()
    backlog.leave([0] * PARTITIONS)
    keda.wait_for(lambda: replicas(keda, backlog.name) == 2, 300, "two workers")
