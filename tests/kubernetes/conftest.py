"""One cluster for all tests of this folder, and a namespace for each."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.cluster import Cluster, running

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
