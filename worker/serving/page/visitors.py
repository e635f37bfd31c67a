"""Who is looking, and what other sites may not do in their name."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from worker.serving.page.outside import Caller

_OF_OTHERS = {"cross-site", "same-site"}


class Visitors:
    """Says who asks (`page.who` in the scope), and refuses what other sites send: a browser adds its log-in to that.

    Args:
        app: behind it.
        header: that a proxy sets to the name of whoever it let in; None where there is no such proxy.
        keys_are_asked: whether the name of a caller is that of an API key.
    """

    def __init__(self, app: ASGIApp, header: str | None, *, keys_are_asked: bool) -> None:
        self._app = app
        self._header = header
        self._keys_are_asked = keys_are_asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        scope["page.who"] = self._who(request)
        if request.method == "POST" and _is_of_another_site(request):
            await Response("This came from another site.", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _who(self, request: Request) -> str | None:
        if self._header is not None and (said := request.headers.get(self._header, "").strip()):
            return said
        caller = caller_of(request)
        return caller.name if self._keys_are_asked and caller is not None else None


def who(request: Request) -> str | None:
    """Return the name of whoever asks; None where nobody knows it."""
    found = request.scope.get("page.who")
    return None if found is None else str(found)


def caller_of(request: Request) -> Caller | None:
    """Return whose rate a request counts against, as whoever stands before the page says."""
    caller: Caller | None = request.scope.get("state", {}).get("caller")
    return caller


def count(request: Request) -> None:
    """Count a post against the rate of whoever asks: the page is no way around it."""
    if (caller := caller_of(request)) is not None:
        caller.took(1)


def _is_of_another_site(request: Request) -> bool:
    if (said := request.headers.get("sec-fetch-site")) is not None:
        return said in _OF_OTHERS
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")
