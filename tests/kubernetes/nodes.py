"""The cluster's nodes: two in each of three zones, and one with GPUs."""

from tests.deploy.manifests import Document

ZONES = ("a", "b", "c")
ZONE = "topology.kubernetes.io/zone"
# Room for every worker that KEDA may ask for.
_NODE = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}


def all_nodes() -> list[Document]:
    """Return all of them."""
    return [*(_node(zone, number) for zone in ZONES for number in range(2)), _gpu_node()]


def _node(zone: str, number: int, **more: str) -> Document:
    name = f"{zone}-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {ZONE: zone, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "here": "true"},
        },
        "status": {"capacity": _NODE | more, "allocatable": _NODE | more},
    }


def _gpu_node() -> Document:
    node = _node("a", 2, **{"nvidia.com/gpu": "2"})
    return node | {"spec": {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]}}
