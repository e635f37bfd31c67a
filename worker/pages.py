"""The pages that the worker serves over HTTP: /livez, /readyz and /metrics."""

import hmac
from typing import Any

import faust
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from worker.telemetry.health import Health
from worker.telemetry.metric import REGISTRY

_UNKNOWN = {"WWW-Authenticate": "Bearer"}


def add_pages(app: faust.App, health: Health, *, token: str | None = None) -> None:
    """Serve /livez, /readyz and /metrics on the app's web server.

    Args:
        app: serves them.
        health: is asked.
        token: what `Authorization: Bearer` has to say to see more than whether the worker is well, which a
            probe of Kubernetes, that knows no secret, still has to see.
    """

    def is_known(request: Any) -> bool:
        if token is None:
            return True
        kind, _, said = request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(said.strip().encode(), token.encode())

    def answer(web: Any, request: Any, state: tuple[bool, dict[str, Any]]) -> Any:
        good, details = state
        seen = details if is_known(request) else {}
        return web.json({"status": "ok" if good else "failing", **seen}, status=200 if good else 503)

    # Faust has a page of its own at this address, which says ok even where the loop is stuck.
    @app.page("/")
    async def root(web: Any, request: Any) -> Any:
        return answer(web, request, health.live())

    @app.page("/livez")
    async def livez(web: Any, request: Any) -> Any:
        return answer(web, request, health.live())

    @app.page("/readyz")
    async def readyz(web: Any, request: Any) -> Any:
        return answer(web, request, health.ready())

    @app.page("/metrics")
    async def metrics(web: Any, request: Any) -> Any:
        if not is_known(request):
            return web.json({"status": "token"}, status=401, headers=_UNKNOWN)
        return web.bytes(generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    del root, livez, readyz, metrics
