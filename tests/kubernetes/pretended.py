"""A StatefulSet and an autoscaler in memory, where no control plane is built: the simulation's KEDA, real workers."""

import copy
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from deploy.simulation.hpa import SYNC_SECONDS, Autoscaler, replicas_for_average
from deploy.simulation.keda import Trigger, capped_lag
from tests.deploy.manifests import Document

_LOOK_SECONDS = 0.2
_ROLL_SECONDS = 170


class PretendedCluster:
    """Has the workers of one namespace.

    Args:
        autoscaler: of the simulation.
        trigger: of the simulation.
    """

    def __init__(self, autoscaler: Autoscaler, trigger: Trigger) -> None:
        self._autoscaler = autoscaler
        self._trigger = trigger
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._numbers = itertools.count()
        self._pods: dict[str, Document] = {}
        self._settings: dict[str, Document] = {}
        self._template: Document = {}
        self._ready_for = 0
        self._is_scaled = False
        self._wanted = 1
        self._revision = 0

    def apply(self, documents: list[Document], namespace: str) -> None:  # noqa: ARG002 - there is one
        """Take settings, template, and with a ScaledObject the fewest workers."""
        for document in documents:
            if document["kind"] == "ConfigMap":
                self._settings[document["metadata"]["name"]] = document
            elif document["kind"] == "StatefulSet":
                self._template = document["spec"]["template"]
                self._ready_for = document["spec"]["minReadySeconds"]
            elif document["kind"] == "ScaledObject":
                self._wanted = document["spec"]["minReplicaCount"]
                self._is_scaled = True
        self._reconcile()

    def read(self, path: str) -> Document:
        """Return a ConfigMap, or how many workers there shall be."""
        name = path.rsplit("/", 1)[1]
        return self._settings[name] if "configmaps" in path else {"spec": {"replicas": self._wanted}}

    def pods(self, namespace: str) -> list[Document]:  # noqa: ARG002
        """Return the pods, all of them on a node."""
        with self._lock:
            return copy.deepcopy(list(self._pods.values()))

    def patch_status(self, namespace: str, pod: str, status: dict[str, Any]) -> None:  # noqa: ARG002
        """Note whether a pod is ready."""
        with self._lock:
            if pod in self._pods:
                self._pods[pod]["status"] = status | {"since": time.monotonic()}

    def delete_pod(self, namespace: str, pod: str, uid: str) -> int:  # noqa: ARG002
        """Take a pod away, and make a new one where it is wanted."""
        with self._lock:
            self._pods.pop(pod, None)
        self._reconcile()
        return httpx.codes.OK

    def roll(self, namespace: str) -> None:  # noqa: ARG002
        """Replace the workers from the last to the first, each after the one before it was ready for long enough."""
        self._revision += 1
        for ordinal in reversed(range(self._wanted)):
            name = f"moderation-worker-{ordinal}"
            with self._lock:
                if name in self._pods:
                    self._pods[name]["metadata"]["deletionTimestamp"] = "now"
            self.wait_for(lambda one=ordinal: one >= self._wanted or self._is_available(one), _ROLL_SECONDS, name)

    def wait_for(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something is true.

        Raises:
            AssertionError: it did not come true in time.
        """
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, f"not within {seconds} s: {what}"
            time.sleep(_LOOK_SECONDS)

    def ask(self, lags: Callable[[], list[int]]) -> None:
        """Ask and scale in rounds, once there is a ScaledObject, until `end`.

        Args:
            lags: how far each partition is behind now.
        """
        while not self._ended.wait(SYNC_SECONDS):
            if not self._is_scaled:
                continue
            value = capped_lag(lags(), self._trigger)
            wanted = replicas_for_average(value, self._trigger.lag_threshold, self._wanted)
            self._wanted = self._autoscaler.scale(time.monotonic(), self._wanted, wanted)
            self._reconcile()

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _reconcile(self) -> None:
        with self._lock:
            for ordinal in range(self._wanted):
                name = f"moderation-worker-{ordinal}"
                if name not in self._pods:
                    meta = {"name": name, "uid": f"{next(self._numbers)}", "revision": self._revision}
                    meta["labels"] = self._template["metadata"]["labels"]
                    self._pods[name] = {"metadata": meta, "spec": self._template["spec"] | {"nodeName": "here"}}
            for name, pod in self._pods.items():
                if int(name.rsplit("-", 1)[1]) >= self._wanted:
                    pod["metadata"]["deletionTimestamp"] = "now"

    def _is_available(self, ordinal: int) -> bool:
        with self._lock:
            pod = self._pods.get(f"moderation-worker-{ordinal}")
            if pod is None or pod["metadata"]["revision"] != self._revision or "status" not in pod:
                return False
            status = pod["status"]
            ready = status["conditions"][0]["status"] == "True"
            return ready and time.monotonic() - status["since"] >= self._ready_for
