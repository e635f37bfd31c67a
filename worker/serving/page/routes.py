"""The page as routes, to be added behind those of the API."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from worker.serving.page.headers import PageHeaders
from worker.serving.page.outside import Labeller
from worker.serving.page.rendering import Renderer
from worker.serving.page.stream.hub import Hub
from worker.serving.page.stream.originals import Originals
from worker.serving.page.stream.view import StreamView
from worker.serving.page.try_it import Limits, TryIt
from worker.serving.page.verdicts import Verdicts, VerdictWriter
from worker.serving.page.visitors import Visitors

_STATIC = Path(str(files("worker.serving.page") / "static"))


class Page:
    """The page.

    Args:
        labeller: labels and explains.
        model: gives name, checkpoint, precision and graph context of the model, as labels say them; empty until it is
            loaded.
        limits: of what people send.
        docs: address of the pages about the API; empty for none.
        user_header: by which a proxy says who somebody is; None where there is no such proxy.
        keys_are_asked: whether whoever asks has an API key.
        hub, originals: of the stream; None where there is none.
        verdicts: takes what people say of labels; None where nobody may.
    """

    def __init__(
        self,
        labeller: Labeller,
        *,
        model: Callable[[], Mapping[str, Any]],
        limits: Limits,
        docs: str = "",
        user_header: str | None = None,
        keys_are_asked: bool = False,
        hub: Hub | None = None,
        originals: Originals | None = None,
        verdicts: VerdictWriter | None = None,
    ) -> None:
        self._hub = hub
        self._originals = originals
        self._verdicts = verdicts
        renderer = Renderer({"model": model, "docs": docs, "has_stream": hub is not None})
        routes = TryIt(labeller, renderer, limits).routes
        if hub is not None and originals is not None:
            routes += StreamView(hub, originals, labeller, renderer, verdicts).routes
            if verdicts is not None:
                routes += Verdicts(verdicts, hub, renderer).routes
        before = [
            Middleware(PageHeaders),
            Middleware(Visitors, header=user_header, keys_are_asked=keys_are_asked),
        ]
        self.routes: list[BaseRoute] = [
            *(Route(one.path, one.endpoint, methods=list(one.methods or ()), middleware=before) for one in routes),
            Mount("/page/static", StaticFiles(directory=_STATIC), middleware=before),
        ]

    async def close(self) -> None:
        """End what viewers see, and let the broker go. Before the server ends: it waits for open answers."""
        if self._hub is not None:
            await self._hub.close()
        if self._originals is not None:
            await self._originals.close()
        if self._verdicts is not None:
            await self._verdicts.close()
