"""The pages that the worker serves over HTTP: /livez, /readyz and /metrics."""

from typing import Any

import faust
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from worker.telemetry.health import Health
from worker.telemetry.metric import REGISTRY


def add_pages(app: faust.App, health: Health) -> None:
    """Serve /livez, /readyz and /metrics on the app's web server."""

    def answer(web: Any, state: tuple[bool, dict[str, Any]]) -> Any:
        good, details = state
        return web.json({"status": "ok" if good else "failing", **details}, status=200 if good else 503)

    # Faust has a page of its own at this address, which says ok even where the loop is stuck.
    @app.page("/")
    async def root(web: Any, _request: Any) -> Any:
        return answer(web, health.live())

    @app.page("/livez")
    async def livez(web: Any, _request: Any) -> Any:
        return answer(web, health.live())

    @app.page("/readyz")
    async def readyz(web: Any, _request: Any) -> Any:
        return answer(web, health.ready())

    @app.page("/metrics")
    async def metrics(web: Any, _request: Any) -> Any:
        return web.bytes(generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    del root, livez, readyz, metrics
