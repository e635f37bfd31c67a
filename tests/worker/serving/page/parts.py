"""A labeller that says what it is told, and an explanation such as `mmorient explain --json` writes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request

from worker.serving.page.outside import Answer, BusyError, Labelled, Refused
from worker.serving.page.routes import Page
from worker.serving.page.stream.hub import Hub
from worker.serving.page.stream.originals import Originals
from worker.serving.page.try_it import Limits
from worker.serving.page.verdicts import VerdictWriter

CHECKPOINT = "sha256:" + "4f" * 32
MODEL = {"name": "mm-orient-compact", "checkpoint": CHECKPOINT, "precision": "fp32", "graph_context": "bank"}
LIMITS = Limits(picture_bytes=4_000_000, text_chars=10_000)


def label(task: str, name: str, shares: Mapping[str, float], **fields: Any) -> dict[str, Any]:
    """Return a label record's fields."""
    return {
        "post_id": "p-1",
        "task": task,
        "label": name,
        "probabilities": dict(shares),
        "intensity": None,
        "modalities": ["text"],
        "unavailable": [],
        "reading": {"language": "en", "supported": True, "unread": 0.0, "truncated_text": False},
        "model": MODEL,
        "schema": "label/1",
    } | fields


def labels(**fields: Any) -> dict[str, dict[str, Any]]:
    """Return the labels of a post."""
    degrees = {"not_sarcastic": 0.1402, "general": 0.512, "twisted_meaning": 0.2301, "very_twisted": 0.1177}
    return {
        "sentiment": label("sentiment", "negative", {"negative": 0.81, "neutral": 0.13, "positive": 0.06}, **fields),
        "sarcasm": label(
            "sarcasm",
            "sarcastic",
            {"not_sarcastic": 0.1312, "sarcastic": 0.8688},
            intensity={"label": "general", "probabilities": degrees},
            **fields,
        ),
    }


def explanation(words: Sequence[str], *, pictures: int = 0, unavailable: Sequence[Any] = ()) -> dict[str, Any]:
    """Return an explanation of a post with these words, of which the first matters most."""
    answers = {
        task: {key: one[key] for key in ("label", "probabilities", "intensity")} for task, one in labels().items()
    }
    less = {
        "sentiment": {"negative": -0.31, "neutral": 0.3, "positive": 0.01},
        "sarcasm": {"not_sarcastic": 0.0, "sarcastic": 0.0},
    }
    flipped = {**answers, "sentiment": {**answers["sentiment"], "label": "neutral"}}
    shares = [2.0, *(1.0 for _ in words[1:])]
    near = {
        "candidates": 1531,
        "in_graph": 1,
        "posts": [{"reference": 7, "cosine": 0.91, "in_graph": True, "labels": {"sarcasm": "not_sarcastic"}}],
    }

    def without(part: str, index: int | None) -> dict[str, Any]:
        return {
            "part": part,
            "index": index,
            "nothing_left": part == "text" and not pictures,
            "labels": flipped,
            "changes": less,
        }

    starts = [sum(map(len, words[:place])) + place for place in range(len(words))]
    return {
        "id": "try-it",
        "labels": answers,
        "modalities": ["text"],
        "unavailable": list(unavailable),
        "text": {
            "source": "post",
            "windows": 1,
            "markers": 0.1,
            "words": [
                {
                    "word": word,
                    "part": 0,
                    "start": start,
                    "end": start + len(word),
                    "attention": share / sum(shares),
                    "read_as": word.lower(),
                }
                for word, start, share in zip(words, starts, shares, strict=True)
            ],
        },
        "pictures": [
            {"index": index, "width": 30, "height": 20, "grid": [2, 2], "attention": [0.7, 0.1, 0.1, 0.1]}
            for index in range(pictures)
        ],
        "neighbours": {"threshold": 0.9, "used": True, "by_text": near, "by_picture": None},
        "without": [without("text", None), *(without("picture", index) for index in range(pictures))],
        "without_words": [without("word", 0)],
        "model": MODEL | {"embedding": "sha256:1", "arithmetic": "avx2-1"},
        "schema": "explanation/1",
    }


class ToldLabeller:
    """Answers what it is told, and keeps what it was given."""

    def __init__(self, answer: Answer | None = None, why: Mapping[str, Any] | Refused | None = None) -> None:
        self.answer = answer or Labelled(labels())
        self.why = why or explanation(["oh", "great"])
        self.busy: BusyError | None = None
        self.posts: list[bytes] = []

    async def label(self, posts: Sequence[bytes], request: Request) -> Sequence[Answer]:
        """Label."""
        del request
        self.posts += posts
        if self.busy is not None:
            raise self.busy
        return [self.answer for _ in posts]

    async def explain(self, post: bytes, request: Request) -> Mapping[str, Any] | Refused:
        """Explain."""
        del request
        self.posts.append(post)
        if self.busy is not None:
            raise self.busy
        return self.why


def page_of(
    labeller: ToldLabeller,
    *,
    user_header: str | None = None,
    keys_are_asked: bool = False,
    hub: Hub | None = None,
    originals: Originals | None = None,
    verdicts: VerdictWriter | None = None,
) -> Page:
    """Return the page over a labeller."""
    return Page(
        labeller,
        model=lambda: MODEL,
        limits=LIMITS,
        docs="/docs",
        user_header=user_header,
        keys_are_asked=keys_are_asked,
        hub=hub,
        originals=originals,
        verdicts=verdicts,
    )


@asynccontextmanager
async def browser_of(page: Page) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the page."""
    transport = httpx.ASGITransport(app=Starlette(routes=page.routes), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://page.test") as client:
        yield client
