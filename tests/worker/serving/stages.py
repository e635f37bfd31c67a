"""Stages that do what real ones cannot be made to do on cue: wait, break, and say what they were given."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from mmorient import ParsedPost, PostLabels, TaskLabel
from schemas import ModelStamp
from worker.errors import InvalidRecordError
from worker.items import Item
from worker.labelling.embed import EmbeddingTable
from worker.serving.admission import Admission
from worker.serving.answers import Answers
from worker.serving.labeller import Labeller

STAMP = ModelStamp(name="none", checkpoint=f"sha256:{'0' * 64}", graph_context="bank", precision="fp32")
LABELS = PostLabels(
    {
        "sarcasm": TaskLabel("sarcastic", {"not_sarcastic": 0.25, "sarcastic": 0.75}),
        "offensiveness": TaskLabel("not_offensive", {"not_offensive": 0.9, "offensive": 0.1}),
        "sentiment": TaskLabel("neutral", {"negative": 0.2, "neutral": 0.5, "positive": 0.3}),
    },
    ("text",),
)


class WaitingStages:
    """Labels a batch once it may, or after a time for each post.

    Args:
        seconds_a_post: of the model.
        error: what the model raises.
    """

    def __init__(self, seconds_a_post: float = 0.0, error: Exception | None = None) -> None:
        self.may = asyncio.Event()
        self.may.set()
        self.seconds_a_post = seconds_a_post
        self.error = error
        self.batches: list[list[str]] = []
        self.held: set[Item] = set()
        self._model = asyncio.Lock()

    async def decode(self, items: Sequence[Item]) -> None:
        for item in items:
            try:
                said = json.loads(item.record.value or b"")
            except ValueError:
                item.rejection = InvalidRecordError("decode", "record: is no JSON", reason="no_json")
                continue
            if not isinstance(said, dict):
                item.rejection = InvalidRecordError("decode", "record: is no post", reason="no_post")
                continue
            item.post = ParsedPost(id=said["id"], text=said["text"], media=())
            item.text = said["text"]

    async def collect(self, items: Sequence[Item]) -> None:
        self.held.update(items)

    async def label(self, items: Sequence[Item]) -> EmbeddingTable:
        async with self._model:
            self.batches.append([item.post.id for item in items if item.post is not None])
            await self.may.wait()
            await asyncio.sleep(self.seconds_a_post * len(items))
            if self.error is not None:
                raise self.error
        for item in items:
            item.labels = LABELS
        return EmbeddingTable()

    async def explain(self, item: Item, *, neighbours: int, words: int) -> dict[str, Any]:
        await self.may.wait()
        if self.error is not None:
            raise self.error
        return {"id": item.post.id if item.post else None, "neighbours": neighbours, "words": words}

    async def store(self, table: EmbeddingTable) -> None:
        del table

    def let_go(self, items: Sequence[Item]) -> None:
        self.held.difference_update(items)


def labeller_of(stages: WaitingStages, **terms: Any) -> Labeller:
    """Return a labeller over such stages."""
    clock = terms.pop("clock", time.monotonic)
    return Labeller(
        stages,
        Answers(STAMP, terms.pop("tasks", ("sentiment", "sarcasm", "offensiveness")), terms.pop("policies", None)),
        admission=terms.pop("admission", None)
        or Admission(
            max_posts=terms.pop("max_waiting_posts", 100),
            max_bytes=terms.pop("max_waiting_bytes", 100_000),
            clock=clock,
        ),
        deadline_seconds=terms.pop("deadline_seconds", 5.0),
        max_posts=terms.pop("max_posts", 4),
        max_explanations=terms.pop("max_explanations", 2),
        clock=clock,
    )


def post(number: int, text: str = "hello") -> bytes:
    """Return a post."""
    return json.dumps({"id": f"p-{number}", "text": text}).encode()
