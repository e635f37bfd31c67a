"""The routes of the stream: the view, its events, and more of one post."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from mmorient import TASKS, ParsedPost, PictureError, inline_bytes
from worker.broker.positions import Position
from worker.serving.page.labels_view import cards, read_of
from worker.serving.page.outside import BusyError, Labeller, Refused
from worker.serving.page.picture_kinds import kind_of
from worker.serving.page.posted import read_fields
from worker.serving.page.reasons_view import data_url, reasons_of
from worker.serving.page.rendering import Renderer
from worker.serving.page.stream import plots
from worker.serving.page.stream.figures import STEP_SECONDS, STEPS
from worker.serving.page.stream.filters import MODALITIES, Filter
from worker.serving.page.stream.hub import FullError, Hub
from worker.serving.page.stream.joining import LabelledPost
from worker.serving.page.stream.originals import Originals
from worker.serving.page.verdicts import VerdictWriter
from worker.serving.page.visitors import count, who

_TEXT_CHARS = 400
_FIGURES_EVERY = 2  # turns
_MAX_PICTURES = 4
_MAX_PICTURE_BYTES = 3_000_000  # of one that is shown


class StreamView:
    """Answers the routes of this view.

    Args:
        hub: hands out what comes.
        originals: has the posts themselves.
        labeller: explains.
        renderer: of the templates.
        verdicts: takes what people say; None where nobody may.
    """

    def __init__(
        self,
        hub: Hub,
        originals: Originals,
        labeller: Labeller,
        renderer: Renderer,
        verdicts: VerdictWriter | None,
    ) -> None:
        self._hub = hub
        self._originals = originals
        self._labeller = labeller
        self._renderer = renderer
        self._verdicts = verdicts

    @property
    def routes(self) -> list[Route]:
        """What is answered, relative to the page."""
        return [
            Route("/stream", self._view, methods=["GET"]),
            Route("/page/stream/events", self._events, methods=["GET"]),
            Route("/page/stream/post", self._post, methods=["POST"]),
            Route("/page/stream/reasons", self._reasons, methods=["POST"]),
        ]

    async def _view(self, request: Request) -> Response:
        return self._renderer.answer(
            "stream.html",
            here="stream",
            who=who(request),
            tasks={task: TASKS[task].classes for task in self._hub.tasks},
            modalities=list(MODALITIES),
            figures=self._figures(None),
        )

    async def _events(self, request: Request) -> Response:
        wanted = Filter.read(request.query_params)
        request.scope["page.endless"] = True
        return StreamingResponse(
            self._told(wanted), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async def _told(self, wanted: Filter) -> AsyncIterator[str]:
        try:
            async with self._hub.viewer(wanted) as viewer:
                yield _event("figures", self._figures(None))
                turn = 0
                while await self._hub.turn():
                    turn += 1
                    for post in viewer.take():
                        yield _event("post", await self._shown(post))
                    if turn % _FIGURES_EVERY == 0:
                        yield _event("figures", self._figures(viewer.shown_of))
        except FullError:
            yield _event("full", "As many people look as may. Come back later.")

    async def _shown(self, post: LabelledPost) -> str:
        record = await self._originals.record(post.position)
        parsed = await self._originals.parsed(record)
        latency = (post.labelled_ms - record.timestamp) / 1000 if record is not None and record.timestamp > 0 else None
        latency = latency if latency is not None and 0 <= latency < 3600 else None
        self._hub.show(post, latency)
        return self._renderer.text(
            "stream_post.html",
            post=post,
            words=_words(parsed),
            is_there=record is not None,
            answers=_answers(post),
            latency=latency,
        )

    async def _post(self, request: Request) -> Response:
        """More of a post that was shown: its labels as they stand on the topics, and a place for a verdict."""
        position = Position.read((await read_fields(request)).get("position", ""))
        post = self._hub.shown(position) if position is not None else None
        if post is None:
            return HTMLResponse('<p class="warn">This post has left the window.</p>', 404)
        record = await self._originals.record(post.position)
        parsed = await self._originals.parsed(record)
        labels = {task: {**post.about, **answer} for task, answer in post.answers.items()}
        return self._renderer.answer(
            "stream_more.html",
            post=post,
            words=_words(parsed, 100_000),
            cards=cards(labels),
            read=read_of(labels),
            may_judge=self._verdicts is not None and self._verdicts.may(who(request)),
        )

    async def _reasons(self, request: Request) -> Response:
        position = Position.read((await read_fields(request)).get("position", ""))
        post = self._hub.shown(position) if position is not None else None
        record = await self._originals.record(post.position) if post is not None else None
        if record is None or record.value is None:
            return HTMLResponse('<p class="warn">This post is no longer in its topic.</p>', 404)
        try:
            count(request)
            document = await self._labeller.explain(record.value, request)
        except BusyError as error:
            return HTMLResponse(f'<p class="warn">{error} Close this and ask again.</p>', 429)
        if isinstance(document, Refused):
            return self._renderer.answer("refused.html", 422, refused=document)
        shown = await asyncio.to_thread(_pictures, await self._originals.parsed(record))
        return self._renderer.answer("reasons.html", reasons=reasons_of(document, shown), suffix="-more")

    def _figures(self, shown_of: tuple[int, int] | None) -> str:
        figures = self._hub.figures
        ordered = figures.latencies
        return self._renderer.text(
            "figures.html",
            is_connected=self._hub.is_connected,
            passed_over=self._hub.passed_over,
            shown_of=shown_of,
            posts=figures.posts,
            rate=figures.rate,
            rates=plots.rates(figures.steps, STEP_SECONDS),
            latency=(ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))]) if ordered else None,
            latencies=plots.latencies(figures.steps),
            bands={task: plots.bands(figures, task) for task in self._hub.tasks},
            minutes=STEPS * STEP_SECONDS // 60,
            box=f"0 0 {plots.WIDTH} {plots.HEIGHT}",
        )


def _event(name: str, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"event: {name}\n{lines}\n"


def _words(post: ParsedPost | None, limit: int = _TEXT_CHARS) -> str:
    """Return what a person recognises a post by."""
    if post is None:
        return ""
    drawn = next((one.ocr_text or one.alt_text for one in post.media if one.ocr_text or one.alt_text), None)
    text = post.text if post.text is not None and post.text.strip() else f"({drawn})" if drawn else ""
    return text if len(text) <= limit else f"{text[: limit - 1]}\u2026"


def _answers(post: LabelledPost) -> Sequence[dict[str, Any]]:
    return [
        {"task": task, "label": one["label"], "share": one["probabilities"][one["label"]]}
        for task, one in post.answers.items()
    ]


def _pictures(post: ParsedPost | None) -> dict[int, str]:
    """Return the pictures that a post has with it, as addresses; those by address are not fetched for a viewer."""
    found: dict[int, str] = {}
    for index, medium in enumerate(post.media[:_MAX_PICTURES] if post is not None else ()):
        if medium.data is not None:
            try:
                content = inline_bytes(medium.data)
            except PictureError:
                continue
            if len(content) <= _MAX_PICTURE_BYTES and (kind := kind_of(content)):
                found[index] = data_url(content, kind)
    return found
