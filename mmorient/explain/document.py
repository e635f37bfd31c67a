"""An explanation for a program: ``mmorient explain --json``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmorient.explain.case import Case, read_case
from mmorient.explain.explanation import explain_post
from mmorient.explain.heatmap import RegionReading
from mmorient.explain.neighbours import Nearest
from mmorient.explain.without import Without
from mmorient.explain.words import TextReading
from mmorient.input.post_json import Line, label_fields
from mmorient.input.posts import Post
from mmorient.input.units import SEPARATOR
from mmorient.labels import PostLabels
from mmorient.moderator import Moderator

SCHEMA = "explanation/1"


def explain_document(
    post: bytes, moderator: Moderator, *, folder: Path | None = None, neighbours: int = 5, words: int = 5
) -> dict[str, Any]:
    """Explain one post's labels: the object of ``mmorient explain --json``.

    Args:
        post: JSON, UTF-8.
        moderator: The model.
        folder: What a medium's ``path`` is relative to; None where a post may name no file.
        neighbours: How many reference posts by each modality.
        words: How many of the most attended words are taken away, each alone.

    Raises:
        PostError: It is not a post, or nothing of it can be used.
    """
    return document(read_case(post, folder, moderator, neighbours=neighbours, words=words))


def explain_read_post(
    moderator: Moderator,
    post: Post,
    *,
    id_: str,
    own_text: bool,
    unavailable: Mapping[int, str],
    neighbours: int = 5,
    words: int = 5,
) -> dict[str, Any]:
    """The same of a post that somebody else has read, and whose pictures they have decoded.

    Args:
        moderator: The model.
        post: As the model reads it.
        id_: The post's.
        own_text: Whether the text is the post's own, and not drawn over its pictures.
        unavailable: The reason of each medium that cannot be used, by its place in the post.
        neighbours: How many reference posts by each modality.
        words: How many of the most attended words are taken away.
    """
    lost: list[dict[str, int | str]] = [{"index": one, "reason": unavailable[one]} for one in sorted(unavailable)]
    explanation = explain_post(moderator, post, neighbours=neighbours, words=words)
    return document(Case(Line(id_, post, tuple(lost)), own_text, (b"",) * len(post.pictures), explanation))


def document(case: Case) -> dict[str, Any]:
    """All of an explanation as JSON has it; what a post lacks is null or empty, no field is ever missing."""
    explanation = case.explanation
    media = case.media
    return {
        "id": case.line.id,
        "labels": _labels(explanation.labels),
        "modalities": list(explanation.labels.modalities),
        "unavailable": list(case.line.unavailable),
        "text": None if explanation.text is None else _text(explanation.text, own=case.own_text),
        "pictures": [_picture(reading, media[index]) for index, reading in enumerate(explanation.pictures)],
        "neighbours": {
            "threshold": explanation.threshold,
            "used": explanation.model.graph_context == "bank",
            "by_text": _nearest(explanation.near_text),
            "by_picture": _nearest(explanation.near_picture),
        },
        "without": [_without(one, media) for one in explanation.without],
        "without_words": [_without(one, media) for one in explanation.without_words],
        "model": asdict(explanation.model),
        "schema": SCHEMA,
    }


def _labels(labels: PostLabels) -> dict[str, Any]:
    return {task: label_fields(label) for task, label in labels.tasks.items()}


def _text(reading: TextReading, *, own: bool) -> dict[str, Any]:
    parts = reading.text.split(SEPARATOR)
    starts = [sum(map(len, parts[:index])) + index for index in range(len(parts))]
    part_of = [bisect_right(starts, word.start) - 1 for word in reading.words]
    return {
        "source": "post" if own else "drawn",
        "windows": reading.windows,
        "markers": _share(reading.markers),
        "words": [
            {
                "word": word.text,
                "part": part,
                "start": word.start - starts[part],
                "end": word.end - starts[part],
                "attention": None if word.attention is None else _share(word.attention),
                "read_as": word.read_as,
            }
            for word, part in zip(reading.words, part_of, strict=True)
        ],
    }


def _picture(reading: RegionReading, medium: int) -> dict[str, Any]:
    return {
        "index": medium,
        "width": reading.width,
        "height": reading.height,
        "grid": None if reading.grid is None else list(reading.grid),
        "attention": [_share(share) for share in reading.shares],
    }


def _nearest(near: Nearest | None) -> dict[str, Any] | None:
    if near is None:
        return None
    return {
        "candidates": near.candidates,
        "in_graph": near.in_graph,
        "posts": [
            {
                "reference": post.reference,
                "cosine": round(post.cosine, 4),
                "in_graph": post.in_graph,
                "labels": dict(post.labels),
            }
            for post in near.posts
        ],
    }


def _without(without: Without, media: tuple[int, ...]) -> dict[str, Any]:
    part, index = without.removal.part, without.removal.index
    return {
        "part": part,
        "index": media[index] if part == "picture" and index is not None else index,
        "nothing_left": without.nothing_left,
        "labels": _labels(without.labels),
        "changes": {task: dict(changes) for task, changes in without.changes.items()},
    }


def _share(value: float) -> float:
    """Six digits: a text of a thousand words has shares of a thousandth."""
    return round(value, 6)
