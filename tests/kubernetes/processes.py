"""Pods whose container is a process of this machine: for each worker's pod that is bound to a node, a `moderate run`.

What a kubelet does, as far as the controllers can see it. kwok leaves these pods alone: they have the annotation `MARK`
of `cluster.py`.
"""

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.deploy.manifests import Document, environment
from tests.kubernetes.plane import Plane
from tests.worker.forked import Forked, fork
from worker.commands.stack.ports import free_ports

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 10.0


@dataclass
class Container:
    """One pod's process.

    Args:
        name, uid: of the pod.
        process: None until it is started.
        address: of its pages.
        leaves: set when the pod is to go.
        gone: whether the pod is gone.
    """

    name: str
    uid: str
    process: Forked | None = None
    address: str = ""
    leaves: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False


@dataclass
class Kubelet:
    """Starts and ends the processes of a namespace's workers.

    Args:
        cluster: that the pods are in.
        namespace: of the pods.
        folder: for logs, one a pod's name.
        module: that is run; `tests/worker/forked.py` forks it.
        changed: variables in the place of what the pods say, such as where Redis is.
        start_seconds: from a pod's creation to its process's start, as an image and a node take.
    """

    cluster: Plane
    namespace: str
    folder: Path
    module: str
    changed: dict[str, str]
    start_seconds: float = 0.0
    # Monotonic second, pod, and what happened: created, started, ready, told to end, ended, or died.
    events: list[tuple[float, str, str]] = field(default_factory=list)
    containers: dict[str, Container] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Look after the pods until cancelled; then end all processes.

        Raises:
            RuntimeError: a process ended although its pod was to stay.
        """
        try:
            while True:
                await self._look()
                for task in [task for task in self._tasks if task.done()]:
                    self._tasks.remove(task)
                    task.result()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for container in self.containers.values():
                if container.process is not None:
                    container.process.kill()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self) -> None:
        for pod in await asyncio.to_thread(self.cluster.pods, self.namespace):
            meta = pod["metadata"]
            container = self.containers.get(meta["uid"])
            if container is None and pod["spec"].get("nodeName"):
                container = self.containers[meta["uid"]] = Container(meta["name"], meta["uid"])
                self._note(container, "created")
                self._tasks.add(asyncio.create_task(self._live(container, pod)))
            if container is not None and "deletionTimestamp" in meta:
                container.leaves.set()

    async def _live(self, container: Container, pod: Document) -> None:
        """Start a pod's process, say how it is, end it with its pod."""
        with suppress(TimeoutError):
            await asyncio.wait_for(container.leaves.wait(), self.start_seconds)
        if not container.leaves.is_set():
            process = await self._start(container, pod)
            ended, leaves = asyncio.create_task(process.wait()), asyncio.create_task(container.leaves.wait())
            probing = asyncio.create_task(self._probe(container))
            await asyncio.wait({ended, leaves}, return_when=asyncio.FIRST_COMPLETED)
            probing.cancel()
            if not container.leaves.is_set():
                self._note(container, "died")
                raise RuntimeError(f"{container.name} ended with {process.returncode}: {self.log(container.name)}")
            await self._end(container, process, pod["spec"]["terminationGracePeriodSeconds"])
        await asyncio.to_thread(self._remove, container)
        container.gone = True

    async def _start(self, container: Container, pod: Document) -> Forked:
        (port,) = free_ports(1)
        container.address = f"http://127.0.0.1:{port}"
        said = await asyncio.to_thread(self._variables, pod)
        own = {"MODERATE_HTTP__HOST": "127.0.0.1", "MODERATE_HTTP__PORT": str(port)}
        with (self.folder / f"{container.name}.log").open("ab") as log:
            variables = {**os.environ, **said, **self.changed, **own}
            container.process = await fork(["run"], variables, log, log, module=self.module)
        self._note(container, "started")
        await self._say(container, ready=False)
        return container.process

    async def _probe(self, container: Container) -> None:
        """Say of the pod what its process's page says, as often as the pod's own probe asks."""
        was = False
        async with httpx.AsyncClient(trust_env=False, timeout=3.0) as client:
            while True:
                try:
                    ready = (await client.get(f"{container.address}/readyz")).status_code == httpx.codes.OK
                except httpx.HTTPError:
                    ready = False
                if ready != was:
                    was = ready
                    self._note(container, "ready" if ready else "not ready")
                    await self._say(container, ready=ready)
                await asyncio.sleep(1.0)

    async def _end(self, container: Container, process: Forked, grace_seconds: int) -> None:
        self._note(container, "told to end")
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        self._note(container, f"ended with {process.returncode}")

    async def _say(self, container: Container, *, ready: bool) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = str(ready)
        status = {
            "phase": "Running",
            "startTime": now,
            "conditions": [
                {"type": kind, "status": answer, "lastTransitionTime": now} for kind in ("ContainersReady", "Ready")
            ],
        }
        # A pod that is gone by now needs no status, and what was not heard is said again at the next change.
        with suppress(httpx.HTTPError):
            await asyncio.to_thread(self.cluster.patch_status, self.namespace, container.name, status)

    def _variables(self, pod: Document) -> dict[str, str]:
        """Return what the pod's container is given, with the settings that stand in the cluster."""
        (container,) = pod["spec"]["containers"]
        settings = container["envFrom"][0]["configMapRef"]["name"]
        found = self.cluster.read(f"/api/v1/namespaces/{self.namespace}/configmaps/{settings}")
        said = environment(container, [found | {"kind": "ConfigMap"}])
        zone = pod["metadata"]["labels"].get("topology.kubernetes.io/zone", "")
        return said | {
            "MODERATE_KAFKA__GROUP_INSTANCE_ID": pod["metadata"]["name"],
            "MODERATE_KAFKA__CLIENT_RACK": zone,
            # Its share of this machine, not of a node.
            "OMP_NUM_THREADS": "1",
        }

    def _remove(self, container: Container) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while (code := self.cluster.delete_pod(self.namespace, container.name, container.uid)) not in {200, 404, 409}:
            if time.monotonic() > until:
                raise RuntimeError(f"{container.name} cannot be removed: {code}")
            time.sleep(_LOOK_SECONDS)

    def _note(self, container: Container, what: str) -> None:
        self.events.append((time.monotonic(), container.name, what))

    def log(self, name: str) -> str:
        """Return the end of a worker's log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
