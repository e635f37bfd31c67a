"""The view at `/`: labels first, then why, each an answer of its own; without a script, both at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import quote

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from worker.serving.page.labels_view import cards, read_of, summary
from worker.serving.page.outside import Answer, BusyError, Labelled, Labeller, Refused
from worker.serving.page.picture_kinds import kind_of
from worker.serving.page.posted import FormError, Posted, read_form
from worker.serving.page.reasons_view import data_url, reasons_of
from worker.serving.page.rendering import Renderer
from worker.serving.page.visitors import count, who

EXAMPLES = (
    "oh great, another monday",
    "You people never learn, do you?",
    "Best concert of my life, still smiling",
    "Das WLAN im Zug funktioniert tadellos, bravo",
)
# What the script shows beside the labels, escaped as an address is: a header knows no other letters than Latin ones.
STATUS_HEADER = "x-page-status"
_NOTHING = "Type a text or choose a picture."


@dataclass(frozen=True)
class Limits:
    """The largest that a person may send.

    Args:
        picture_bytes: of a picture.
        text_chars: of a text.
    """

    picture_bytes: int
    text_chars: int


class TryIt:
    """Answers the routes of this view.

    Args:
        labeller: labels.
        renderer: of the templates.
        limits: of what is sent.
    """

    def __init__(self, labeller: Labeller, renderer: Renderer, limits: Limits) -> None:
        self._labeller = labeller
        self._renderer = renderer
        self._limits = limits

    @property
    def routes(self) -> list[Route]:
        """What is answered, relative to the page."""
        return [
            Route("/", self._empty, methods=["GET"]),
            Route("/", self._whole, methods=["POST"]),
            Route("/page/labels", self._labels, methods=["POST"]),
            Route("/page/reasons", self._reasons, methods=["POST"]),
        ]

    async def _empty(self, request: Request) -> Response:
        return self._page(request)

    async def _whole(self, request: Request) -> Response:
        """Answer a form that no script has taken: labels and reasons with the page around them."""
        try:
            posted = await self._read(request)
        except FormError as error:
            return self._page(request, status=error.status, message=str(error))
        if posted.is_empty:
            return self._page(request, posted, status=422, message=_NOTHING)
        count(request)
        try:
            (answer,) = await self._labeller.label([posted.post], request)
            document = await self._labeller.explain(posted.post, request)
        except BusyError as error:
            said = f"{error} Try again in {error.retry_after_seconds:.0f} s."
            return self._page(request, posted, status=429, message=said)
        reasons = ""
        if not isinstance(document, Refused):
            kind = kind_of(posted.picture)
            shown = {0: data_url(posted.picture, kind)} if kind else {}
            reasons = self._renderer.text("reasons.html", reasons=reasons_of(document, shown), suffix="")
        said = summary(answer.labels, answer.decisions) if isinstance(answer, Labelled) else "No labels."
        status = 200 if isinstance(answer, Labelled) else 422
        return self._page(request, posted, status=status, message=said, answer=self._answer(answer), reasons=reasons)

    async def _labels(self, request: Request) -> Response:
        started = perf_counter()
        try:
            posted = await self._read(request)
            if posted.is_empty:
                return _said(422, _NOTHING)
            count(request)
            (answer,) = await self._labeller.label([posted.post], request)
        except FormError as error:
            return _said(error.status, str(error))
        except BusyError as error:
            return _busy(error)
        labelled = isinstance(answer, Labelled)
        timing = {"server-timing": f"label;dur={1000 * (perf_counter() - started):.1f}"}
        said = summary(answer.labels, answer.decisions) if isinstance(answer, Labelled) else ""
        return _said(200 if labelled else 422, said, self._answer(answer), timing)

    async def _reasons(self, request: Request) -> Response:
        try:
            posted = await self._read(request)
            if posted.is_empty:
                return _said(422, _NOTHING)
            count(request)
            document = await self._labeller.explain(posted.post, request)
        except FormError as error:
            return _said(error.status, str(error))
        except BusyError as error:
            return _busy(error)
        if isinstance(document, Refused):
            return _said(422, "")
        return HTMLResponse(self._renderer.text("reasons.html", reasons=reasons_of(document), suffix=""))

    async def _read(self, request: Request) -> Posted:
        return await read_form(
            request, max_picture_bytes=self._limits.picture_bytes, max_text_chars=self._limits.text_chars
        )

    def _answer(self, answer: Answer) -> Markup:
        return answer_html(self._renderer, answer)

    def _page(
        self,
        request: Request,
        posted: Posted | None = None,
        *,
        status: int = 200,
        message: str = "",
        answer: Markup | str = "",
        reasons: Markup | str = "",
    ) -> HTMLResponse:
        return self._renderer.answer(
            "try_it.html",
            status,
            here="try",
            who=who(request),
            examples=EXAMPLES,
            max_text_chars=self._limits.text_chars,
            posted=posted,
            message=message,
            answer=answer,
            reasons=reasons,
        )


def answer_html(renderer: Renderer, answer: Answer) -> Markup:
    """Return what is shown of an answer."""
    if isinstance(answer, Refused):
        return renderer.text("refused.html", refused=answer)
    return renderer.text(
        "labels.html", cards=cards(answer.labels), read=read_of(answer.labels), decisions=answer.decisions
    )


def _said(status: int, said: str, html: str = "", headers: Mapping[str, str] | None = None) -> HTMLResponse:
    return HTMLResponse(html, status, {STATUS_HEADER: quote(said), **(headers or {})})


def _busy(error: BusyError) -> HTMLResponse:
    seconds = f"{error.retry_after_seconds:.0f}"
    return _said(429, f"{error} Asking again.", headers={"retry-after": seconds})
