"""A stand-in for the metrics server: pods use as much of the processors as a test says.

The autoscaler asks the API server, which asks here, as it would ask a real one.
"""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.deploy.manifests import Document
from tests.kubernetes.cluster import Cluster

_GROUP = "metrics.k8s.io"
_NAMESPACE = "usage"
_SERVICE = "metrics-server"
_WINDOW = "15s"


class Usage:
    """How many cores each worker of each namespace uses.

    Args:
        cluster: whose pods these are.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._cores: dict[str, float] = {}

    def set(self, namespace: str, cores: float) -> None:
        """Let each worker of a namespace use so many cores."""
        self._cores[namespace] = cores

    def answer(self, path: str) -> Document | None:
        """Return what stands under a path; None for nothing."""
        root = f"/apis/{_GROUP}/v1beta1"
        version = f"{_GROUP}/v1beta1"
        parts = path.split("?", maxsplit=1)[0].removeprefix(root).strip("/").split("/")
        if path.split("?", maxsplit=1)[0] == root:
            pods = {"name": "pods", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [pods]}
        if len(parts) == 3 and parts[0] == "namespaces" and parts[2] == "pods":
            return {"kind": "PodMetricsList", "apiVersion": version, "metadata": {}, "items": self._pods(parts[1])}
        return None

    def _pods(self, namespace: str) -> list[Document]:
        if namespace not in self._cores:
            return []
        use = {"cpu": f"{round(1000 * self._cores[namespace])}m", "memory": "600Mi"}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return [
            {
                "metadata": {"name": pod["metadata"]["name"], "namespace": namespace},
                "timestamp": now,
                "window": _WINDOW,
                "containers": [{"name": "worker", "usage": use}],
            }
            for pod in self._cluster.pods(namespace)
        ]


@contextmanager
def usage_of(cluster: Cluster) -> Iterator[Usage]:
    """Give a stand-in that the API server asks for the use of pods, within the block."""
    usage = Usage(cluster)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = usage.answer(self.path)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*cluster.certificate("usage", "usage"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    objects = _objects(server.server_port)
    cluster.apply(objects, _NAMESPACE)
    try:
        cluster.wait_for(lambda: cluster.api.get(f"/apis/{_GROUP}/v1beta1").is_success, 60, "metrics of pods are there")
        yield usage
    finally:
        cluster.kubectl(
            "delete",
            "--filename=-",
            "--wait=false",
            given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
        )
        server.shutdown()
        thread.join()
        server.server_close()


def _objects(port: int) -> list[Document]:
    """Return what leads the API server here."""
    service = {"name": _SERVICE, "namespace": _NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": service,
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1beta1.{_GROUP}"},
            "spec": {
                "service": service | {"port": port},
                "group": _GROUP,
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
            },
        },
    ]
