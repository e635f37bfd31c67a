"""The workers' StatefulSet under a real scheduler and real controllers."""

import datetime as dt
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from tests.deploy.manifests import Document, of_kind, overlay
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.nodes import ZONE, ZONES

_SESSION_SECONDS = 45


@pytest.fixture
def workers(cluster: Cluster, namespace: str) -> str:
    """Give a namespace in which the workers of the cpu overlay run."""
    cluster.apply(overlay("cpu"), namespace)
    rolled_out(cluster, namespace)
    return namespace


def rolled_out(cluster: Cluster, namespace: str) -> None:
    """Wait until all workers are those of the newest settings."""
    cluster.kubectl("rollout", "status", f"--namespace={namespace}", "--timeout=170s", "statefulset/moderation-worker")


def scale(cluster: Cluster, namespace: str, replicas: int) -> None:
    """Ask for a number of workers, and wait for them."""
    cluster.kubectl("scale", f"--namespace={namespace}", f"--replicas={replicas}", "statefulset/moderation-worker")
    cluster.wait_for(lambda: len(ready(cluster, namespace)) == replicas, 120, f"{replicas} workers")


def available(cluster: Cluster, namespace: str) -> int:
    """Return how many workers have been ready for as long as an update waits for each."""
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets/moderation-worker"
    return int(cluster.read(path)["status"].get("availableReplicas", 0))


def is_ready(pod: Document) -> bool:
    """Return whether a pod is ready and stays."""
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def ready(cluster: Cluster, namespace: str) -> list[Document]:
    """Return the workers that are ready."""
    return [pod for pod in cluster.pods(namespace) if is_ready(pod)]


def ready_since(pod: Document) -> dt.datetime:
    """Return when a pod became ready."""
    (since,) = (one["lastTransitionTime"] for one in pod["status"]["conditions"] if one["type"] == "Ready")
    return dt.datetime.fromisoformat(since)


def created(pod: Document) -> dt.datetime:
    """Return when a pod was made."""
    return dt.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


@dataclass
class Watch:
    """Looks at the workers again and again while they are rolled.

    Args:
        cluster: where they are.
        namespace: of the workers.
    """

    cluster: Cluster
    namespace: str
    # Seconds since the start, and uid by name of those that are ready.
    seen: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Write down who is ready, ten times a second, until `end`."""
        begun = time.monotonic()
        while not self._ended.wait(0.1):
            uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in ready(self.cluster, self.namespace)}
            self.seen.append((time.monotonic() - begun, uids))

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def replaced(self) -> list[tuple[str, float, float]]:
        """Return name of each worker that was replaced, when its old pod was last and its new one first ready."""
        last: dict[str, tuple[str, float]] = {}
        found = []
        for seconds, uids in self.seen:
            for name, uid in uids.items():
                if name in last and last[name][0] != uid:
                    found.append((name, last[name][1], seconds))
                last[name] = uid, seconds
        return found


def test_an_update_takes_one_worker_at_a_time(workers: str, cluster: Cluster) -> None:
    """A changed setting replaces the workers from the last to the first, each after the one before it was ready for
    10 s, so that at every moment the partitions of one worker at most wait; each is back under its name before the
    group would give them away.
    """
    scale(cluster, workers, 4)
    # Those that are not have nothing to lose: an update replaces them all at once.
    cluster.wait_for(lambda: available(cluster, workers) == 4, 60, "four workers for 10 s")
    watch = Watch(cluster, workers)
    thread = threading.Thread(target=watch.look)
    thread.start()
    try:
        changed = overlay("cpu")
        (settings,) = of_kind(changed, "ConfigMap")
        text = json.dumps(changed).replace(settings["metadata"]["name"], "moderation-settings-changed")
        documents: list[Document] = json.loads(text)
        (stateful_set,) = of_kind(documents, "StatefulSet")
        stateful_set["spec"]["replicas"] = 4
        cluster.kubectl(
            "apply",
            "--server-side",
            "--force-conflicts",
            f"--namespace={workers}",
            "--filename=-",
            given="\n---\n".join(json.dumps(document) for document in documents),
        )
        rolled_out(cluster, workers)
        time.sleep(1)
    finally:
        watch.end()
        thread.join()
    replaced = watch.replaced()
    assert [name for name, _, _ in replaced] == [f"moderation-worker-{number}" for number in (3, 2, 1, 0)]
    assert min(len(uids) for _, uids in watch.seen) >= 3
    # By the cluster's own stamps, which have whole seconds.
    new = list(reversed(ready(cluster, workers)))
    for earlier, later in pairwise(new):
        assert (created(later) - ready_since(earlier)).total_seconds() >= 10
    for name, gone_at, ready_at in replaced:
        assert ready_at - gone_at < _SESSION_SECONDS, name


def test_a_version_that_does_not_get_ready_stops_at_one_worker(workers: str, cluster: Cluster) -> None:
    """While the first worker of an update is not ready, all others stay as they were."""
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in ready(cluster, workers)}
    assert set(before) == {"moderation-worker-0", "moderation-worker-1"}
    cluster.wait_for(lambda: available(cluster, workers) == 2, 60, "two workers for 10 s")
    with cluster.no_room():
        cluster.kubectl("rollout", "restart", f"--namespace={workers}", "statefulset/moderation-worker")
        cluster.wait_for(lambda: len(ready(cluster, workers)) == 1, 60, "the first step of the update")
        time.sleep(15)
        (left,) = ready(cluster, workers)
        assert left["metadata"]["uid"] == before["moderation-worker-0"]
    rolled_out(cluster, workers)


def test_the_next_version_replaces_at_once_what_is_not_available(workers: str, cluster: Cluster) -> None:
    """Workers that do not get ready hold up no update: the next version replaces them all at once, and the others wait
    for it. (Kubernetes 1.37; before, they went one by one, each waiting for the one before it.)
    """
    cluster.wait_for(lambda: available(cluster, workers) == 2, 60, "two workers for 10 s")
    with cluster.no_room():
        cluster.kubectl("scale", f"--namespace={workers}", "--replicas=4", "statefulset/moderation-worker")
        cluster.wait_for(lambda: len(cluster.pods(workers)) == 4, 60, "pods of all four")
        before = {pod["metadata"]["uid"] for pod in cluster.pods(workers)}
        cluster.kubectl("rollout", "restart", f"--namespace={workers}", "statefulset/moderation-worker")

        def replaced() -> set[str]:
            new = [pod["metadata"] for pod in cluster.pods(workers) if pod["metadata"]["uid"] not in before]
            return {str(one["name"]) for one in new}

        waiting = {"moderation-worker-2", "moderation-worker-3"}
        cluster.wait_for(lambda: replaced() == waiting, 60, "the two that are not ready are replaced")
        time.sleep(12)
        assert replaced() == waiting


def test_all_start_and_end_at_once(workers: str, cluster: Cluster) -> None:
    """Workers do not wait for one another when they are scaled, and the highest numbers go first."""
    with cluster.no_room():
        cluster.kubectl("scale", f"--namespace={workers}", "--replicas=6", "statefulset/moderation-worker")
        cluster.wait_for(lambda: len(cluster.pods(workers)) == 6, 30, "pods of all six")
    scale(cluster, workers, 6)
    scale(cluster, workers, 2)
    cluster.wait_for(lambda: len(cluster.pods(workers)) == 2, 60, "the end of four")
    assert [pod["metadata"]["name"] for pod in cluster.pods(workers)] == ["moderation-worker-0", "moderation-worker-1"]


def test_an_eviction_is_refused_while_another_worker_is_away(workers: str, cluster: Cluster) -> None:
    """A drain takes one worker; the second waits until the first is back. One that is not ready may always go."""
    scale(cluster, workers, 3)
    path = f"/apis/policy/v1/namespaces/{workers}/poddisruptionbudgets/moderation-worker"

    def allowed() -> int:
        return int(cluster.read(path)["status"]["disruptionsAllowed"])

    cluster.wait_for(lambda: allowed() == 1, 60, "a disruption is allowed")
    with cluster.no_room():
        assert cluster.evict(workers, "moderation-worker-2").is_success
        cluster.wait_for(lambda: allowed() == 0, 60, "the budget is spent")
        refused = cluster.evict(workers, "moderation-worker-1")
        assert refused.status_code == 429
        assert "disruption budget moderation-worker" in refused.text
        unready = [{"type": "Ready", "status": "False"}]
        cluster.patch_status(workers, "moderation-worker-1", {"conditions": unready})
        assert cluster.evict(workers, "moderation-worker-1").is_success
        assert cluster.evict(workers, "moderation-worker-0").status_code == 429
    cluster.wait_for(lambda: len(ready(cluster, workers)) == 3, 60, "all are back")


def test_workers_are_spread_over_zones_and_nodes(workers: str, cluster: Cluster) -> None:
    """Six workers are two in each of three zones, one on each of six nodes."""
    scale(cluster, workers, 6)
    zones = zones_of_nodes(cluster)
    nodes = [pod["spec"]["nodeName"] for pod in ready(cluster, workers)]
    assert Counter(zones[node] for node in nodes) == dict.fromkeys(ZONES, 2)
    assert len(set(nodes)) == 6


def test_workers_start_where_a_zone_is_gone(workers: str, cluster: Cluster) -> None:
    """The spread is a wish: without the nodes of a zone, all workers start in the others."""
    cluster.kubectl("cordon", f"--selector={ZONE}=a")
    try:
        scale(cluster, workers, 8)
        zones = zones_of_nodes(cluster)
        # The first two may be there from before.
        late = [pod for pod in ready(cluster, workers) if pod["metadata"]["name"][-1] not in "01"]
        assert {zones[pod["spec"]["nodeName"]] for pod in late} == {"b", "c"}
    finally:
        cluster.kubectl("uncordon", f"--selector={ZONE}=a")


def test_a_pod_has_its_zone_as_a_label(workers: str, cluster: Cluster) -> None:
    """The API server copies the node's zone to the pod's labels, where the downward API can read it."""
    zones = zones_of_nodes(cluster)
    for pod in ready(cluster, workers):
        assert pod["metadata"]["labels"][ZONE] == zones[pod["spec"]["nodeName"]]


def test_pods_know_their_names_and_their_threads(workers: str, cluster: Cluster) -> None:
    """A worker's name in the group and its threads come from the pod, by references that the API server completes."""
    for pod in ready(cluster, workers):
        (container,) = pod["spec"]["containers"]
        given = {entry["name"]: entry.get("valueFrom") for entry in container["env"]}
        name = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
        assert given["MODERATE_KAFKA__GROUP_INSTANCE_ID"] == name
        assert given["OMP_NUM_THREADS"]["resourceFieldRef"]["resource"] == "limits.cpu"
        assert container["resources"]["limits"]["cpu"] == "2"
        assert pod["spec"]["terminationGracePeriodSeconds"] == 30
        assert pod["status"]["qosClass"] == "Burstable"
        # No token of the API server is mounted, though every pod gets one by default.
        assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["tmp"]


def test_the_service_names_workers_that_are_not_ready(workers: str, cluster: Cluster) -> None:
    """Each worker has a name in DNS from its start on, ready or not."""
    unready = [{"type": "Ready", "status": "False"}]
    cluster.patch_status(workers, "moderation-worker-1", {"conditions": unready})
    path = f"/apis/discovery.k8s.io/v1/namespaces/{workers}/endpointslices"

    def named() -> dict[str, bool]:
        slices = cluster.read(path)["items"]
        endpoints = [one for part in slices for one in part["endpoints"] or []]
        assert all(port["port"] == 8080 for part in slices for port in part["ports"] or [])
        return {one["hostname"]: one["conditions"]["ready"] for one in endpoints}

    both = {"moderation-worker-0": True, "moderation-worker-1": True}
    cluster.wait_for(lambda: named() == both, 60, "endpoints of both workers")


def test_gpu_workers_wait_for_a_gpu(cluster: Cluster, namespace: str) -> None:
    """Workers of the gpu overlay run on the node with GPUs, one GPU each; a third of two GPUs waits."""
    cluster.apply(overlay("gpu"), namespace)
    rolled_out(cluster, namespace)
    assert {pod["spec"]["nodeName"] for pod in ready(cluster, namespace)} == {"a-2"}
    cluster.kubectl("scale", f"--namespace={namespace}", "--replicas=3", "statefulset/moderation-worker")

    def waits() -> bool:
        third = [pod for pod in cluster.pods(namespace) if pod["metadata"]["name"] == "moderation-worker-2"]
        conditions = [one for pod in third for one in pod["status"].get("conditions", [])]
        return any("Insufficient nvidia.com/gpu" in one.get("message", "") for one in conditions)

    cluster.wait_for(waits, 60, "the third waits for a GPU")


def zones_of_nodes(cluster: Cluster) -> dict[str, str]:
    """Return the zone of each node."""
    nodes = cluster.read("/api/v1/nodes")["items"]
    return {node["metadata"]["name"]: node["metadata"]["labels"][ZONE] for node in nodes}
