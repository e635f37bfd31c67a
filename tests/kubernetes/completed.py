"""What the API server makes of an object of ours: nothing of it lost, and nothing added that we did not mean."""

from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import Document

# Of every object.
_BOOKKEEPING = {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "namespace", "finalizers"}
# A pod's fields that we leave to the API server, in every kind of workload: each is what we mean.
_POD = {
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "restartPolicy": "Always",
    # Of those that say nothing else: a look, a topic, a sample end within it.
    "terminationGracePeriodSeconds": 30,
    # 0644: readable for the worker's user.
    "volumes[].configMap.defaultMode": 420,
    "containers[].terminationMessagePath": "/dev/termination-log",
    "containers[].terminationMessagePolicy": "File",
    "containers[].ports[].protocol": "TCP",
    "containers[].env[].valueFrom.fieldRef.apiVersion": "v1",
    # Cores are rounded up to whole ones.
    "containers[].env[].valueFrom.resourceFieldRef.divisor": "0",
    **{
        f"containers[].{probe}.{field}": value
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        for field, value in {"successThreshold": 1, "failureThreshold": 3, "httpGet.scheme": "HTTP"}.items()
    },
}
_JOB = {
    "completionMode": "NonIndexed",
    "completions": 1,
    "parallelism": 1,
    "manualSelector": False,
    "suspend": False,
    # With a podFailurePolicy no other is allowed: no pod is replaced before it has ended.
    "podReplacementPolicy": "Failed",
}
# By kind: the path of a field that an object of ours leaves out, and what it means then.
MEANT: dict[str, dict[str, Any]] = {
    "StatefulSet": {
        "spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "spec.revisionHistoryLimit": 10,
        # Where KEDA says how many (overlay keda): one at first, and KEDA's minimum as soon as it looks.
        "spec.replicas": 1,
        **{f"spec.template.spec.{path}": value for path, value in _POD.items()},
    },
    "Deployment": {
        "spec.progressDeadlineSeconds": 600,
        "spec.revisionHistoryLimit": 10,
        # Its controller counts the versions in one.
        "metadata.annotations": {"deployment.kubernetes.io/revision": "1"},
        **{f"spec.template.spec.{path}": value for path, value in _POD.items()},
    },
    "Job": {
        **{f"spec.{path}": value for path, value in _JOB.items()},
        **{f"spec.template.spec.{path}": value for path, value in _POD.items()},
    },
    "CronJob": {
        "spec.suspend": False,
        "spec.successfulJobsHistoryLimit": 3,
        "spec.failedJobsHistoryLimit": 1,
        **{f"spec.jobTemplate.spec.template.spec.{path}": value for path, value in _POD.items()},
    },
    "Service": {
        "spec.type": "ClusterIP",
        "spec.internalTrafficPolicy": "Cluster",
        "spec.ipFamilies": ["IPv4"],
        "spec.ipFamilyPolicy": "SingleStack",
        "spec.sessionAffinity": "None",
        "spec.clusterIPs": ["None"],
        "spec.ports[].protocol": "TCP",
    },
    "PodMonitor": {"spec.podMetricsEndpoints[].relabelings[].action": "replace"},
    "HorizontalPodAutoscaler": {
        "spec.behavior.scaleUp.selectPolicy": "Max",
        "spec.behavior.scaleDown.selectPolicy": "Max",
    },
}
# What only the cluster can say: addresses, the labels by which a Job knows its pods, the older name of
# serviceAccountName, and the replicas of a Deployment that has an autoscaler (one, until that one has looked).
_ACCOUNT = "spec.template.spec.serviceAccount"
GIVEN = {
    "Service": {"spec.clusterIP", "spec.clusterIPs"},
    "StatefulSet": {_ACCOUNT},
    "Deployment": {_ACCOUNT, "spec.replicas"},
    "CronJob": {f"spec.jobTemplate.{_ACCOUNT}"},
    "Job": {
        "spec.selector",
        _ACCOUNT,
        *(
            f"spec.template.metadata.labels.{name}"
            for name in (
                "controller-uid",
                "job-name",
                "batch.kubernetes.io/controller-uid",
                "batch.kubernetes.io/job-name",
            )
        ),
    },
}


def lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Yield where an object in the cluster does not say what ours says."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            below = f"{path}.{key}".removeprefix(".")
            if key in theirs:
                yield from lost(value, theirs[key], below)
            else:
                yield f"{below} is gone; it was {value!r}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for one, other in zip(ours, theirs, strict=True):
            yield from lost(one, other, f"{path}[]")
    elif ours != theirs:
        yield f"{path} is {theirs!r}, not {ours!r}"


def added(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of what an object in the cluster says beyond ours."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in theirs.items():
            below = f"{path}.{key}".removeprefix(".")
            if key in ours:
                yield from added(ours[key], value, below)
            elif not (path == "metadata" and key in _BOOKKEEPING) and below != "status":
                yield below, value
    elif isinstance(ours, list) and isinstance(theirs, list):
        for one, other in zip(ours, theirs, strict=False):
            yield from added(one, other, f"{path}[]")


def unmeant(ours: Document, theirs: Document) -> Iterator[str]:
    """Yield what the API server put into an object and no table above names."""
    kind = ours["kind"]
    for path, value in added(ours, theirs):
        given = any(path == name or path.startswith(f"{name}.") for name in GIVEN.get(kind, ()))
        meant = MEANT.get(kind, {})
        if not given and (path not in meant or meant[path] != value):
            yield f"{path} is {value!r}"
