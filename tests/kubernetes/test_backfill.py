"""The backfill's Job under a real Job controller."""

import json

from tests.deploy.manifests import Document, overlay
from tests.kubernetes.cluster import Cluster

_JOB = "moderation-backfill"


def pods(cluster: Cluster, namespace: str) -> list[Document]:
    """Return the backfill's pods."""
    return cluster.pods(namespace, "backfill")


def job(cluster: Cluster, namespace: str) -> Document:
    """Return the Job."""
    return cluster.read(f"/apis/batch/v1/namespaces/{namespace}/jobs/{_JOB}")


def index(pod: Document) -> str:
    """Return which of the Job's processes a pod is."""
    return str(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])


def failed(exit_code: int, *, evicted: bool = False) -> Document:
    """Return the status of a pod whose process ended."""
    disrupted = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    container = {
        "name": "worker",
        "image": "x",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": {"exitCode": exit_code, "reason": "Error"}},
    }
    return {"phase": "Failed", "conditions": disrupted if evicted else [], "containerStatuses": [container]}


def test_each_index_ends_once_and_the_job_with_them(cluster: Cluster, namespace: str) -> None:
    """Four processes with the indexes 0 to 3, side by side; when each has ended with 0, the Job is complete."""
    with cluster.no_room():
        cluster.apply(overlay("backfill"), namespace)
        cluster.wait_for(lambda: len(pods(cluster, namespace)) == 4, 60, "four pods side by side")
        assert sorted(index(pod) for pod in pods(cluster, namespace)) == ["0", "1", "2", "3"]
        assert {pod["spec"]["hostname"] for pod in pods(cluster, namespace)} == {f"{_JOB}-{n}" for n in range(4)}
    cluster.kubectl("wait", f"--namespace={namespace}", "--for=condition=complete", f"job/{_JOB}", "--timeout=120s")
    status = job(cluster, namespace)["status"]
    assert (status["completedIndexes"], status["succeeded"], status.get("failed", 0)) == ("0-3", 4, 0)


def test_backfills_give_way_and_take_no_place(cluster: Cluster, namespace: str) -> None:
    """A backfill's pods have a priority below those of live workers, and preempt none."""
    with cluster.no_room():
        cluster.apply(overlay("backfill"), namespace)
        cluster.wait_for(lambda: len(pods(cluster, namespace)) == 4, 60, "four pods")
        for pod in pods(cluster, namespace):
            assert (pod["spec"]["priority"], pod["spec"]["preemptionPolicy"]) == (-100, "Never")


def test_a_live_worker_takes_the_place_of_a_backfill(cluster: Cluster, namespace: str) -> None:
    """Where a node has no room for both, the scheduler ends a backfill's pod, and never a worker's."""
    filler = overlay("backfill")
    text = json.dumps(filler).replace('"100m"', '"15"')
    cluster.kubectl("cordon", "--selector=here=true")
    cluster.kubectl("uncordon", "b-0")
    try:
        (job_document,) = (one for one in json.loads(text) if one["kind"] == "Job")
        assert job_document["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "15"
        # kwok ends a Job's pods at once: one that is no Job's stays.
        template = job_document["spec"]["template"]
        limits = template["spec"]["containers"][0]["resources"]["limits"]
        limits["cpu"] = "15"
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | {"name": "large"}}
        support = [one for one in json.loads(text) if one["kind"] != "Job"]
        cluster.apply([*support, pod | {"spec": template["spec"]}], namespace)
        running = f"/api/v1/namespaces/{namespace}/pods/large"
        cluster.wait_for(lambda: cluster.read(running)["status"].get("phase") == "Running", 60, "the backfill runs")
        cluster.apply(overlay("cpu"), namespace)
        cluster.wait_for(lambda: cluster.api.get(running).status_code == 404, 60, "the backfill's pod is gone")

        def placed() -> set[str]:
            return {pod["metadata"]["name"] for pod in cluster.pods(namespace) if "nodeName" in pod["spec"]}

        cluster.wait_for(
            lambda: placed() == {"moderation-worker-0", "moderation-worker-1"}, 60, "both workers have a place"
        )
    finally:
        cluster.kubectl("uncordon", "--selector=here=true")


def test_wrong_settings_fail_the_job_at_once(cluster: Cluster, namespace: str) -> None:
    """One process that ends with 2 ends the Job: its settings do not become right by trying again."""
    with cluster.no_room():
        cluster.apply(overlay("backfill"), namespace)
        cluster.wait_for(lambda: len(pods(cluster, namespace)) == 4, 60, "four pods")
        cluster.patch_status(namespace, pods(cluster, namespace)[0]["metadata"]["name"], failed(2))

        def reasons() -> set[str]:
            conditions = job(cluster, namespace)["status"].get("conditions", [])
            return {one["reason"] for one in conditions if one["type"] in {"FailureTarget", "Failed"}}

        cluster.wait_for(lambda: reasons() == {"PodFailurePolicy"}, 60, "the Job has failed")


def test_an_eviction_costs_no_try_and_a_failure_one(cluster: Cluster, namespace: str) -> None:
    """An evicted process is started again and counts for nothing; one that fails is started again and counts."""
    with cluster.no_room():
        cluster.apply(overlay("backfill"), namespace)
        cluster.wait_for(lambda: len(pods(cluster, namespace)) == 4, 60, "four pods")
        evicted, crashed = (pod for pod in pods(cluster, namespace) if index(pod) in {"1", "2"})
        cluster.patch_status(namespace, evicted["metadata"]["name"], failed(137, evicted=True))

        def unfinished() -> dict[str, str]:
            going = [pod for pod in pods(cluster, namespace) if pod["status"]["phase"] == "Pending"]
            return {index(pod): pod["metadata"]["uid"] for pod in going}

        old = {evicted["metadata"]["uid"], crashed["metadata"]["uid"]}
        cluster.wait_for(
            lambda: unfinished().get(index(evicted)) not in {None, *old}, 60, "the evicted one's successor"
        )
        assert job(cluster, namespace)["status"].get("failed", 0) == 0
        cluster.patch_status(namespace, crashed["metadata"]["name"], failed(1))
        cluster.wait_for(lambda: job(cluster, namespace)["status"].get("failed", 0) == 1, 60, "one failure")
        cluster.wait_for(lambda: len(unfinished()) == 4, 90, "the failed one's successor")
