"""A control plane on localhost, and nodes that only claim to run their pods.

etcd, the API server, the controllers and the scheduler are the real ones. kwok plays the nodes: a pod that is bound to
one is said to run and to be ready at once, a Job's pod to have ended well. No container runs, no packet is filtered.
Pods that are marked are left to `processes.py`.
"""

import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.deploy.manifests import Document, parsed
from tests.kubernetes.arguments import api_server, etcd
from tests.kubernetes.certificates import Authority, new_key, write_key
from tests.kubernetes.nodes import all_nodes
from tests.kubernetes.programs import program
from worker.commands.stack.ports import free_ports

Ended = subprocess.CompletedProcess[str]

# An annotation of pods that are not kwok's: `processes.py` runs them.
MARK = "moderation/process"
_START_SECONDS = 180
_STOP_SECONDS = 20


class Cluster:
    """A control plane, its nodes, and who may ask it.

    Args:
        folder: for data, certificates and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._resources: dict[str, list[Document]] = {}
        self._ports = free_ports(3)
        self.address = f"https://127.0.0.1:{self._ports[2]}"
        self._authority = Authority(folder, "authority")
        self._front = Authority(folder, "front-authority")
        write_key(new_key(), folder / "accounts.key")
        self.kubeconfig = self.access("admin", "admin", "system:masters")
        self.api = httpx.Client(base_url=self.address, verify=self._trust(), timeout=30)

    def access(self, name: str, user: str, group: str | None = None) -> Path:
        """Return the kubeconfig of a new user.

        Args:
            name: of the file.
            user: as rules of access name it.
            group: of the user.
        """
        certificate, key = self._authority.issue(name, user, group)
        server = {"server": self.address, "certificate-authority": str(self._authority.certificate)}
        said = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": user}}],
            "clusters": [{"name": "here", "cluster": server}],
            "users": [{"name": user, "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(said), encoding="utf-8")
        return path

    @property
    def authority(self) -> Path:
        """The certificate that all others here are signed by."""
        return self._authority.certificate

    def certificate(self, name: str, user: str) -> tuple[Path, Path]:
        """Return certificate and key of a new user, which also serve on localhost."""
        return self._authority.issue(name, user)

    def start(self) -> None:
        """Start all of it, and wait until the nodes are ready.

        Raises:
            AssertionError: a part ends or does not answer; quotes the end of its log.
        """
        self.spawn("etcd", *etcd(self.folder, self._ports))
        served, front = self._authority.issue("api", "kube-apiserver"), self._front.issue("front", "front-proxy")
        authorities = self._authority.certificate, self._front.certificate
        self.spawn("kube-apiserver", *api_server(self.folder, self._ports, authorities, served, front))
        self.wait_for(self._answers, _START_SECONDS, "the API server answers")
        controllers = self.access("controllers", "system:kube-controller-manager")
        scheduler = self.access("scheduler", "system:kube-scheduler")
        nodes = self.access("nodes", "kwok", "system:masters")
        self.spawn(
            "kube-controller-manager",
            f"--kubeconfig={controllers}",
            f"--service-account-private-key-file={self.folder / 'accounts.key'}",
            f"--root-ca-file={self._authority.certificate}",
            "--use-service-account-credentials=true",
            # On a busy machine kwok may be late with the nodes' leases, and would not make their pods ready again.
            "--node-monitor-grace-period=1h",
            "--leader-elect=false",
            "--secure-port=0",
        )
        self.spawn("kube-scheduler", f"--kubeconfig={scheduler}", "--leader-elect=false", "--secure-port=0")
        for node in all_nodes():
            # As a kubelet does: what is applied has no status.
            self.api.post("/api/v1/nodes", json=node).raise_for_status()
        stages = self._stages()
        self.spawn("kwok", f"--kubeconfig={nodes}", "--manage-all-nodes", f"--config={stages}", "--cidr=10.0.0.0/16")
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=120s")
        self.kubectl("apply", "--server-side", "-f", str(program("keda-crds.yaml")))
        self.kubectl("apply", "--server-side", "-f", str(program("prometheus-crds.yaml")))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=120s")

    def stop(self) -> None:
        """Stop all that was started, the last one first."""
        self.api.close()
        for _, process in reversed(self._running):
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def spawn(self, name: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program that `build.sh` built; it ends with the cluster, and its log is `NAME.log`.

        Args:
            name: of the program.
            arguments: of its command line.
            environment: variables beside those of this process.
        """
        command = [str(program(name)), *arguments]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=os.environ | environment)
        self._running.append((name, process))
        return process

    def wait_for(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something is true.

        Raises:
            AssertionError: it did not come true in time, or a program ended meanwhile.
        """
        until = time.monotonic() + seconds
        while not true():
            for name, process in self._running:
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                assert process.poll() is None, f"{name} ended with {process.returncode}: {log[-3000:]}"
            assert time.monotonic() < until, f"not within {seconds} s: {what}"
            time.sleep(0.2)

    def kubectl(self, *arguments: str, given: str | None = None, check: bool = True) -> Ended:
        """Run kubectl as the administrator; it ends well unless `check` says otherwise."""
        command = [program("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        ended = subprocess.run(command, input=given, capture_output=True, text=True, timeout=180, check=False)
        assert not check or ended.returncode == 0, f"kubectl {' '.join(arguments)}: {ended.stderr}"
        return ended

    def apply(self, documents: list[Document], namespace: str = "default") -> None:
        """Apply documents on the server's side.

        Raises:
            AssertionError: one is refused, or the API server warns of one; quotes it.
        """
        text = "\n---\n".join(json.dumps(document) for document in documents)
        applied = self.kubectl("apply", "--server-side", f"--namespace={namespace}", "--filename=-", given=text)
        assert not applied.stderr, applied.stderr

    def read(self, path: str) -> Document:
        """Return what the API server has under a path.

        Raises:
            httpx.HTTPStatusError: nothing is there.
        """
        answer = self.api.get(path)
        answer.raise_for_status()
        found: Document = answer.json()
        return found

    def path_of(self, document: Document, namespace: str) -> str:
        """Return the path of all objects of a document's kind."""
        version = document["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if root not in self._resources:
            self._resources[root] = self.read(root)["resources"]
        kind = document["kind"]
        (found,) = (one for one in self._resources[root] if one["kind"] == kind and "/" not in one["name"])
        return f"{root}/namespaces/{namespace}/{found['name']}" if found["namespaced"] else f"{root}/{found['name']}"

    def pods(self, namespace: str, component: str = "live") -> list[Document]:
        """Return the pods of a component, by name."""
        selector = f"app.kubernetes.io/component={component}"
        found = self.read(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def patch_status(self, namespace: str, pod: str, status: dict[str, Any]) -> None:
        """Say of a pod what a kubelet would say."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/status"
        kind = "application/strategic-merge-patch+json"
        answer = self.api.patch(path, content=json.dumps({"status": status}), headers={"Content-Type": kind})
        answer.raise_for_status()

    def evict(self, namespace: str, pod: str) -> httpx.Response:
        """Ask for a pod's eviction, as `kubectl drain` does, and return the answer."""
        asked = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        return self.api.post(f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", json=asked)

    def delete_pod(self, namespace: str, pod: str, uid: str) -> int:
        """Say that a pod is gone, as a kubelet does once its containers have ended; return the answer's status code."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        return self.api.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{pod}", json=options).status_code

    def roll(self, namespace: str) -> None:
        """Change what the workers' pods are made of, and wait until all are new ones; at most three minutes."""
        changed = {"spec": {"template": {"metadata": {"annotations": {"rolled": "true"}}}}}
        where = (f"--namespace={namespace}", "statefulset/moderation-worker")
        self.kubectl("patch", *where, "--type=merge", f"--patch={json.dumps(changed)}")
        self.kubectl("rollout", "status", *where, "--timeout=170s")

    @contextmanager
    def no_room(self) -> Iterator[None]:
        """Take no new pods for as long as the block runs."""
        self.kubectl("cordon", "--selector=here=true")
        try:
            yield
        finally:
            self.kubectl("uncordon", "--selector=here=true")

    def _stages(self) -> Path:
        """Return kwok's stages, which leave the pods alone that have a process of this machine."""
        stages = parsed(program("kwok-stages.yaml").read_text(encoding="utf-8"))
        for stage in stages:
            if stage["spec"]["resourceRef"]["kind"] == "Pod":
                own = {"key": f'.metadata.annotations["{MARK}"]', "operator": "DoesNotExist"}
                stage["spec"]["selector"].setdefault("matchExpressions", []).append(own)
        path = self.folder / "kwok-stages.yaml"
        path.write_text("\n---\n".join(json.dumps(stage) for stage in stages), encoding="utf-8")
        return path

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self._authority.certificate))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        return context

    def _answers(self) -> bool:
        try:
            return self.api.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Give a cluster that is stopped with the block, however that ends."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
