"""A real API server takes every overlay, component and chart, as we wrote them."""

import json
from pathlib import Path

import pytest

from tests.deploy.manifests import Document, documents, of_kind, workloads
from tests.deploy.test_helm import TWINS, built, rendered
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.completed import lost, unmeant

# Besides the overlays and components that the chart stands for.
_SOURCES = (*TWINS, "backfill")


def folder_of(name: str, folder: Path) -> Path:
    """Return a kustomization of an overlay with its components."""
    if name == "backfill":
        return Path(__file__).parents[2] / "deploy" / "kubernetes" / "overlays" / "backfill"
    built(TWINS[name], folder)
    return folder


def applied(cluster: Cluster, namespace: str, *arguments: str, given: str | None = None) -> None:
    """Apply on the server's side, with unknown fields as errors; no word of warning may come back."""
    ended = cluster.kubectl(
        "apply", "--server-side", "--validate=strict", f"--namespace={namespace}", *arguments, given=given
    )
    assert ended.stderr == ""


def in_cluster(cluster: Cluster, namespace: str, document: Document) -> Document:
    """Return what the API server has of an object of ours."""
    return cluster.read(f"{cluster.path_of(document, namespace)}/{document['metadata']['name']}")


def hold(cluster: Cluster, namespace: str, ours: list[Document]) -> None:
    """Hold all objects of ours against those in the cluster."""
    wrong = {}
    for document in ours:
        theirs = in_cluster(cluster, namespace, document)
        found = [*lost(document, theirs), *unmeant(document, theirs)]
        if found:
            wrong[f"{document['kind']} {document['metadata']['name']}"] = found
    assert wrong == {}


@pytest.mark.parametrize("name", _SOURCES)
def test_each_overlay_and_component_is_taken_as_it_is(
    name: str, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """Applied without a warning; no field of ours is dropped, and none is completed to what we did not mean."""
    folder = folder_of(name, tmp_path)
    applied(cluster, namespace, "--kustomize", str(folder))
    hold(cluster, namespace, documents(folder))
    # To apply the same again changes nothing.
    applied(cluster, namespace, "--kustomize", str(folder))


@pytest.mark.parametrize("name", TWINS)
def test_each_render_of_the_chart_is_taken_as_it_is(name: str, cluster: Cluster, namespace: str) -> None:
    """What Helm renders of each switch is applied without a warning, and read back as it was."""
    made = rendered(TWINS[name].values)
    for document in made:
        # Helm's namespace of the render, which is not that of this test.
        document["metadata"].pop("namespace", None)
    applied(cluster, namespace, "--filename=-", given="\n---\n".join(json.dumps(one) for one in made))
    hold(cluster, namespace, made)


@pytest.mark.parametrize("name", ["everything", "gpu", "shadow", "backfill"])
def test_pods_pass_the_restricted_standard(name: str, cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """All pods of all workloads are made in a namespace that enforces `restricted`; none is refused."""
    folder = folder_of(name, tmp_path)
    applied(cluster, namespace, "--kustomize", str(folder))
    expected = [one for one in workloads(documents(folder)) if one.document["kind"] != "CronJob"]
    components = {one.labels["app.kubernetes.io/component"] for one in expected}

    def seen() -> set[str]:
        events = cluster.read(f"/api/v1/namespaces/{namespace}/events")["items"]
        refused = [event["message"] for event in events if event["reason"] == "FailedCreate"]
        assert refused == []
        pods = cluster.read(f"/api/v1/namespaces/{namespace}/pods")["items"]
        return {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}

    cluster.wait_for(lambda: seen() >= components, 60, f"pods of {components}")


def test_a_pod_that_may_do_more_is_refused(cluster: Cluster, namespace: str) -> None:
    """The namespace does enforce: without one field of its security context, a worker's pod is not made."""
    (document,) = of_kind(documents(folder_of("backfill", Path())), "Job")
    pod = document["spec"]["template"]["spec"]
    del pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"]
    del pod["priorityClassName"], pod["serviceAccountName"]
    loose = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose"}, "spec": pod}
    answer = cluster.api.post(f"/api/v1/namespaces/{namespace}/pods", json=loose)
    assert answer.status_code == 403
    assert "allowPrivilegeEscalation != false" in answer.json()["message"]


def test_applying_keda_again_leaves_the_replicas_alone(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """An update of the keda overlay does not set back how many workers KEDA has asked for."""
    folder = folder_of("keda", tmp_path)
    applied(cluster, namespace, "--kustomize", str(folder))
    cluster.kubectl("scale", f"--namespace={namespace}", "--replicas=7", "statefulset/moderation-worker")
    applied(cluster, namespace, "--kustomize", str(folder))
    (stateful_set,) = of_kind(documents(folder), "StatefulSet")
    assert in_cluster(cluster, namespace, stateful_set)["spec"]["replicas"] == 7
