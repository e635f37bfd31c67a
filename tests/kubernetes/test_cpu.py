"""KEDA's second trigger: the API server, KEDA and the autoscaler with it, with and without a metrics server."""

import time
from collections.abc import Iterator

import pytest

from deploy.simulation.hpa import replicas_for_utilization
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.lag import Backlog
from tests.kubernetes.test_keda import apply, replicas
from tests.kubernetes.usage import Usage, usage_of

pytestmark = pytest.mark.timeout(900)

_REQUEST_CORES = 2.0
_TARGET = 0.7


@pytest.fixture
def usage(keda: Cluster) -> Iterator[Usage]:
    """Give a stand-in for the metrics server."""
    with usage_of(keda) as usage:
        yield usage


def autoscaler(cluster: Cluster, namespace: str) -> dict[str, dict[str, object]]:
    """Return what the autoscaler's metrics are, and its conditions by type."""
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/keda-hpa-moderation-worker"
    found = cluster.read(path)
    conditions = {one["type"]: one for one in found["status"].get("conditions", [])}
    return {"metrics": found["spec"]["metrics"], "conditions": conditions}


def test_without_a_metrics_server_workers_come_but_do_not_go(keda: Cluster, backlog: Backlog) -> None:
    """KEDA makes one autoscaler of both triggers. Where nobody says what processors do, lag still starts workers; the
    autoscaler ends none of them, because it does not know all that could speak for them.
    """
    apply(keda, backlog, cpu=True)
    found = autoscaler(keda, backlog.name)
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    assert {"type": "Resource", "resource": resource} in found["metrics"]
    assert {one["type"] for one in found["metrics"]} == {"External", "Resource"}
    backlog.leave([466, 466, 466, 466, 466, 470])
    keda.wait_for(lambda: replicas(keda, backlog.name) == 5, 180, "a worker for each 560")
    backlog.leave([0] * 6)
    keda.wait_for(
        lambda: autoscaler(keda, backlog.name)["conditions"]["ScalingActive"]["reason"] == "FailedGetResourceMetric",
        120,
        "the autoscaler says what it does not know",
    )
    # Four rounds, each of which could end one.
    until = time.monotonic() + 65
    while time.monotonic() < until:
        assert replicas(keda, backlog.name) == 5
        time.sleep(1)


def test_processors_start_and_end_workers(keda: Cluster, backlog: Backlog, usage: Usage) -> None:
    """Two workers that use 85 % of their requests get a third, as the simulation computes, and idle ones go."""
    apply(keda, backlog, cpu=True)
    keda.wait_for(lambda: replicas(keda, backlog.name) == 2, 120, "two workers")
    usage.set(backlog.name, 0.85 * _REQUEST_CORES)
    keda.wait_for(lambda: replicas(keda, backlog.name) > 2, 240, "more workers")
    assert replicas(keda, backlog.name) == replicas_for_utilization([0.85] * 2, 0, _TARGET, 2) == 3
    usage.set(backlog.name, 0.07 * _REQUEST_CORES)
    keda.wait_for(lambda: replicas(keda, backlog.name) == 2, 300, "two workers")
