"""The ASGI application: routes, the pages of health and metrics, the documentation, and the gate in front of all."""

import hmac
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from worker.secrets import text_of
from worker.serving import api, perspective
from worker.serving.docs_page import docs_routes
from worker.serving.door import Door
from worker.serving.errors import ServingError
from worker.serving.gate import App, Gate, Receive, Scope, Send, note_refused
from worker.serving.page_opening import open_page
from worker.serving.replies import JsonReply, refusal, refusal_body
from worker.telemetry.metric import REGISTRY

_ABOUT = """The labels of the stream over HTTP: the same stages, cache and checkpoint, and the same digits.

Where the server asks for API keys, a request brings one as `Authorization: Bearer KEY`. Whatever a refusal says, it
holds nothing of a post. `retry-after` stands beside each one that a later try may cure.
"""


def build_app(door: Door) -> App:
    """Return the application.

    Args:
        door: what the routes share; its labeller may come later.
    """
    app = FastAPI(
        title="moderate serve",
        version=version("mm-orient-moderation"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(api.routes(door))
    app.include_router(perspective.routes(door))
    app.include_router(docs_routes(lambda: described(app)))
    _add_pages(app, door)
    door.page = open_page(door, docs="/docs")
    app.router.routes.extend(door.page.routes if door.page is not None else ())
    _add_refusals(app)
    if origins := door.settings.serve.cors_origins:
        # Within the gate a browser's question before the question would need a key, which it cannot bring.
        return CORSMiddleware(
            Gate(_without_detours(app, door), door),
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-api-key", "traceparent", "tracestate"],
            expose_headers=["retry-after"],
        )
    return Gate(_without_detours(app, door), door)


def _without_detours(app: FastAPI, door: Door) -> App:
    """Return the application with a short way to the route that most requests take.

    FastAPI looks for routes and solves dependencies for a quarter of a millisecond, on a thread that the model needs.
    """

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/v1/label" and scope["method"] == "POST":
            reply = await api.answer_label(door, Request(scope, receive))
            await reply(scope, receive, send)
        else:
            await app(scope, receive, send)

    return served


def described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the shapes that FastAPI does not read itself."""
    if app.openapi_schema is None:
        document = app.openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(api.POST_SCHEMAS)
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}, {}]
    return app.openapi_schema or {}


def _add_pages(app: FastAPI, door: Door) -> None:
    token = text_of(door.settings.http.token)

    def is_known(request: Request) -> bool:
        if token is None:
            return True
        kind, _, said = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(said.strip().encode(), token.encode())

    def answer(request: Request, state: tuple[bool, dict[str, Any]]) -> JsonReply:
        good, details = state
        seen = details if is_known(request) else {}
        return JsonReply({"status": "ok" if good else "failing", **seen}, 200 if good else 503)

    @app.get("/livez", summary="Whether the process is alive", response_model=dict[str, Any])
    async def livez(request: Request) -> JsonReply:
        """Fail where the event loop is stuck."""
        return answer(request, door.health.live())

    @app.get("/readyz", summary="Whether posts are labelled", response_model=dict[str, Any])
    async def readyz(request: Request) -> JsonReply:
        """Fail until the model is loaded, and as the process ends."""
        return answer(request, door.health.ready())

    @app.get("/metrics", summary="Metrics, as Prometheus reads them", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Answer Prometheus's text; with MODERATE_HTTP__TOKEN set, to its bearer alone."""
        if not is_known(request):
            return JsonReply({"status": "token"}, 401, {"www-authenticate": "Bearer"})
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    del livez, readyz, metrics


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(ServingError)
    async def refused(request: Request, error: ServingError) -> JsonReply:
        note_refused(error)
        return refusal(request.url.path, error)

    @app.exception_handler(StarletteHTTPException)
    async def not_here(request: Request, error: HTTPException) -> JsonReply:
        body = refusal_body(request.url.path, error.status_code, "no_such_route", str(error.detail))
        return JsonReply(body, error.status_code, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> JsonReply:
        # What was given is not shown.
        first = error.errors()[0]
        said = f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}"
        return JsonReply(refusal_body(request.url.path, 400, "request", said), 400)

    del refused, not_here, wrong
