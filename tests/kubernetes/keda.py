"""KEDA's operator and metrics adapter beside the control plane, as its own manifests start them in pods."""

import shutil
from pathlib import Path

import httpx

from tests.deploy.manifests import Document
from tests.kubernetes.cluster import Cluster
from worker.commands.stack.ports import free_ports

_NAMESPACE = "keda"
_ADAPTER = "keda-metrics-apiserver"
_METRICS = "external.metrics.k8s.io"
_READER = "keda-external-metrics-reader"
_START_SECONDS = 180
_POWERS = {"m": 0.001, "k": 1_000.0, "M": 1_000_000.0}


def start_keda(cluster: Cluster) -> None:
    """Start both, and wait until the API server gives the adapter's answers as its own.

    Raises:
        AssertionError: one of them ends or does not answer; quotes the end of its log.
    """
    inner, outer, pages = free_ports(3)
    access = cluster.access("keda", "keda", "system:masters")
    certificates = _certificates(cluster)
    cluster.apply(_objects(outer), _NAMESPACE)
    # Its own manifests say as much.
    environment = dict.fromkeys(("POD_NAMESPACE", "KEDA_CLUSTER_OBJECT_NAMESPACE"), _NAMESPACE)
    environment["WATCH_NAMESPACE"] = ""
    cluster.spawn(
        "keda-operator",
        f"--kubeconfig={access}",
        f"--cert-dir={certificates}",
        f"--metrics-service-bind-address=127.0.0.1:{inner}",
        "--health-probe-bind-address=0",
        "--enable-prometheus-metrics=false",
        **environment,
    )
    cluster.spawn(
        "keda-metrics",
        f"--kubeconfig={access}",
        f"--lister-kubeconfig={access}",
        f"--authentication-kubeconfig={access}",
        f"--authorization-kubeconfig={access}",
        f"--cert-dir={certificates}",
        f"--client-ca-file={certificates / 'ca.crt'}",
        f"--tls-cert-file={certificates / 'tls.crt'}",
        f"--tls-private-key-file={certificates / 'tls.key'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={outer}",
        f"--port={pages}",
        f"--metrics-service-address=127.0.0.1:{inner}",
        **environment,
    )
    cluster.wait_for(
        lambda: cluster.api.get(f"/apis/{_METRICS}/v1beta1").is_success, _START_SECONDS, "external metrics are there"
    )


def metric(cluster: Cluster, namespace: str, name: str = "moderation-worker") -> float:
    """Return what KEDA says now of the lag of a ScaledObject, all replicas together.

    Raises:
        httpx.HTTPStatusError: KEDA does not say anything, for example because the broker does not answer it.
    """
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/keda-hpa-{name}"
    (asked,) = (
        one["external"]["metric"]["name"] for one in cluster.read(path)["spec"]["metrics"] if one["type"] == "External"
    )
    selector = f"scaledobject.keda.sh%2Fname%3D{name}"
    found = cluster.read(f"/apis/{_METRICS}/v1beta1/namespaces/{namespace}/{asked}?labelSelector={selector}")
    (item,) = found["items"]
    value = str(item["value"])
    power = _POWERS.get(value[-1])
    return float(value) if power is None else float(value[:-1]) * power


def answers(cluster: Cluster, namespace: str) -> bool:
    """Return whether KEDA says something of a namespace's ScaledObject."""
    try:
        metric(cluster, namespace)
    except httpx.HTTPStatusError:
        return False
    return True


def _certificates(cluster: Cluster) -> Path:
    """Return a folder with what operator and adapter know each other by."""
    folder = cluster.folder / "keda-certificates"
    folder.mkdir()
    for source, name in zip(cluster.certificate("keda-server", "keda"), ("tls.crt", "tls.key"), strict=True):
        shutil.copy(source, folder / name)
    shutil.copy(cluster.authority, folder / "ca.crt")
    return folder


def _objects(port: int) -> list[Document]:
    """Return what leads the API server to the adapter, and lets the autoscaler's controller ask for its metrics."""
    rights = {"apiGroups": [_METRICS], "resources": ["*"], "verbs": ["*"]}
    autoscaler = {"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _READER}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _ADAPTER, "namespace": _NAMESPACE},
            # Outside the cluster, where there are no pods.
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1beta1.{_METRICS}"},
            "spec": {
                "service": {"name": _ADAPTER, "namespace": _NAMESPACE, "port": port},
                "group": _METRICS,
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
            },
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": _READER},
            "rules": [rights],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _READER},
            "roleRef": role,
            "subjects": [autoscaler],
        },
    ]
