"""One cluster for all tests of this folder, one KEDA, one stack, and a namespace for each."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.cluster import Cluster, running
from tests.kubernetes.keda import start_keda
from tests.kubernetes.lag import PARTITIONS, RECORDS, Backlog
from tests.kubernetes.programs import program
from worker.commands.stack.stack import Stack

_numbers = itertools.count(1)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests to `make kubernetes`: what they run on takes minutes to build."""
    return None if config.getoption("--kubernetes") or not collection_path.match("test_*.py") else True


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give a running cluster."""
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Give a namespace that takes restricted pods alone, and warns of what would make others."""
    name = f"moderation-{next(_numbers)}"
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": levels}}])
    # Its account is made a moment later, and pods are refused before.
    cluster.wait_for(
        lambda: cluster.api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default").is_success, 60, "an account"
    )
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a Kafka and a Redis."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="session")
def keda(cluster: Cluster) -> Cluster:
    """Give a cluster with KEDA, or skip where that is not built."""
    for name in ("keda-operator", "keda-metrics"):
        program(name)
    start_keda(cluster)
    return cluster


@pytest.fixture
def backlog(stack: Stack, namespace: str) -> Backlog:
    """Give a topic and a group of the namespace's name, which is behind by nothing."""
    backlog = Backlog(stack.kafka.address or "", namespace, PARTITIONS, RECORDS)
    backlog.write()
    backlog.leave([0] * PARTITIONS)
    return backlog
