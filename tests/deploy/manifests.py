"""The built manifests, and what a container of them is given."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.tools import kustomize

ROOT = Path(__file__).parent.parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("cpu", "gpu", "keda", "shadow", "backfill")

Document = dict[str, Any]
# libyaml's take a tenth of the time of those in Python; a wheel for a rare machine may lack it.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# What a field of the pod stands for in a running one.
_POD_FIELDS = {"metadata.name": "moderation-worker-0", "metadata.labels['topology.kubernetes.io/zone']": "zone-a"}


@cache
def _built(folder: Path) -> str:
    return kustomize(folder)


def parsed(text: str) -> list[Document]:
    """Return the documents of a YAML file; those of comments alone are none."""
    return [document for document in yaml.load_all(text, LOADER) if document]


def documents(folder: Path) -> list[Document]:
    """Return the documents that a kustomization builds, a fresh copy."""
    return parsed(_built(folder))


def overlay(name: str) -> list[Document]:
    """Return the documents of an overlay, a fresh copy."""
    return documents(KUBERNETES / "overlays" / name)


def of_kind(built: list[Document], *kinds: str) -> list[Document]:
    """Return the documents of some kinds."""
    return [document for document in built if document["kind"] in kinds]


@dataclass(frozen=True)
class Workload:
    """What makes pods, and the pods' specification."""

    document: Document
    pod: Document
    labels: dict[str, str]

    @property
    def name(self) -> str:
        """Kind and name."""
        return f"{self.document['kind']} {self.document['metadata']['name']}"

    @property
    def containers(self) -> list[Document]:
        """All containers, those that initialise included."""
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def runs_on(self) -> bool:
        """Whether it runs until it is told to stop, or serves pages while it runs."""
        ends = self.document["kind"] in {"Job", "CronJob"}
        return not ends or any(container.get("ports") for container in self.containers)


def workloads(built: list[Document]) -> Iterator[Workload]:
    """Give all that makes pods."""
    for document in of_kind(built, "StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob"):
        made = document["spec"]["jobTemplate"] if document["kind"] == "CronJob" else document
        template = made["spec"]["template"]
        yield Workload(document, template["spec"], template["metadata"].get("labels", {}))


def environment(container: Document, built: list[Document]) -> dict[str, str]:
    """Return the environment variables of a container, without those of optional Secrets."""
    found: dict[str, str] = {}
    configs = {document["metadata"]["name"]: document["data"] for document in of_kind(built, "ConfigMap")}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= configs.get(source["configMapRef"]["name"], {})
    for entry in container.get("env", []):
        source = entry.get("valueFrom", {})
        if "value" in entry:
            found[entry["name"]] = entry["value"]
        elif "fieldRef" in source:
            found[entry["name"]] = _POD_FIELDS[source["fieldRef"]["fieldPath"]]
        elif "resourceFieldRef" in source:
            found[entry["name"]] = str(_resource(container, source["resourceFieldRef"]["resource"]))
    return found


def _resource(container: Document, path: str) -> str:
    kind, name = path.split(".")
    return str(container["resources"][kind][name])


def matches(selector: Document, labels: dict[str, str]) -> bool:
    """Return whether a selector (`matchLabels`, or plain labels) selects labels; an empty one selects all."""
    wanted = selector.get("matchLabels", selector)
    return all(labels.get(key) == value for key, value in wanted.items())
