"""What the templates show of an explanation, the object of `mmorient explain --json`."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmorient.explain.heatmap import RegionReading, png, veil
from mmorient.explain.strength import strengths
from mmorient.explain.visible import short
from worker.serving.page.labels_view import Card, cards, unavailable

LEVELS = 10
_LISTED_WORDS = 8
# A change below it is written as none.
_STILL = 0.005


@dataclass(frozen=True)
class Tinted:
    """A word as its author wrote it.

    Args:
        text: the word.
        level: how strongly it is tinted, 0 to `LEVELS`; None where nothing of it is read.
        share: of the attention; None where nothing of it is read.
        read_as: what normalisation makes of it.
        starts_part: whether a text of its own begins here, such as the one of a picture.
    """

    text: str
    level: int | None
    share: float | None
    read_as: str
    starts_part: bool


@dataclass(frozen=True)
class Text:
    """Where the model looked in a text.

    Args:
        words: all of them.
        top: those with most attention, each with its share in times of the largest.
        normalised: what is read in their place.
        is_changed: whether normalisation makes another word of any of the top ones.
        own: whether it is the post's own text, not what is drawn over its pictures.
        windows: in how many stretches it was read.
    """

    words: Sequence[Tinted]
    top: Sequence[tuple[Tinted, float]]
    normalised: str
    is_changed: bool
    own: bool
    windows: int


@dataclass(frozen=True)
class Picture:
    """Where the model looked in a picture.

    Args:
        number: among the post's media, from 1.
        size: in pixels.
        grid: rows and columns; None where regions have no fixed place.
        veil: a picture to lay over it, as a data URL; empty without a grid.
        peak: the largest share, in times of an even one.
        shown: the picture itself, as a data URL; empty where the browser has it.
    """

    number: int
    size: str
    grid: tuple[int, int] | None
    veil: str
    peak: float
    shown: str


@dataclass(frozen=True)
class Move:
    """How one label's probability moves without a part.

    Args:
        change: of the probability.
        kind: `up`, `down` or `still`.
        flips_to: the label that takes its place; empty where it stays.
    """

    change: float
    kind: str
    flips_to: str


@dataclass(frozen=True)
class Part:
    """A part that was taken away, and how each task's label moves."""

    name: str
    is_word: bool
    nothing_left: bool
    moves: Sequence[Move]


@dataclass(frozen=True)
class Near:
    """The reference posts nearest by one modality."""

    by: str
    candidates: int
    in_graph: int
    posts: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Reasons:
    """All that is shown of an explanation."""

    cards: Sequence[Card]
    text: Text | None
    pictures: Sequence[Picture]
    parts: Sequence[Part]
    near: Sequence[Near]
    threshold: float
    graph_used: bool
    unavailable: Sequence[str]
    model: Mapping[str, Any]


def reasons_of(document: Mapping[str, Any], shown: Mapping[int, str] | None = None) -> Reasons:
    """Return what is shown of an explanation.

    Args:
        document: the object of `mmorient explain --json`.
        shown: pictures as data URLs by the medium's index, where the browser does not have them.
    """
    near = document["neighbours"]
    return Reasons(
        cards=cards(document["labels"]),
        text=None if document["text"] is None else _text(document["text"]),
        pictures=[_picture(one, (shown or {}).get(one["index"], "")) for one in document["pictures"]],
        parts=[_part(document, one) for one in (*document["without"], *document["without_words"])],
        near=[
            Near(by, found["candidates"], found["in_graph"], found["posts"])
            for by, found in (("text", near["by_text"]), ("picture", near["by_picture"]))
            if found is not None
        ],
        threshold=near["threshold"],
        graph_used=near["used"],
        unavailable=list(unavailable(document["unavailable"])),
        model=document["model"],
    )


def _text(text: Mapping[str, Any]) -> Text:
    read = [word for word in text["words"] if word["attention"] is not None]
    levels = dict(zip(map(id, read), strengths([word["attention"] for word in read]), strict=True))
    words, part = [], 0
    for word in text["words"]:
        level = round(LEVELS * levels[id(word)]) if id(word) in levels else None
        words.append(Tinted(word["word"], level, word["attention"], word["read_as"], word["part"] != part))
        part = word["part"]
    top = sorted((one for one in words if one.share is not None), key=lambda one: -(one.share or 0))[:_LISTED_WORDS]
    largest = (top[0].share if top else None) or 1.0
    return Text(
        words=words,
        top=[(one, (one.share or 0) / largest) for one in top],
        normalised=" ".join(one.read_as for one in words if one.read_as),
        is_changed=any(one.read_as != one.text.lower() for one in top),
        own=text["source"] == "post",
        windows=text["windows"],
    )


def _picture(picture: Mapping[str, Any], shown: str) -> Picture:
    grid = None if picture["grid"] is None else (int(picture["grid"][0]), int(picture["grid"][1]))
    reading = RegionReading(picture["width"], picture["height"], tuple(picture["attention"]), grid)
    return Picture(
        number=picture["index"] + 1,
        size=f"{reading.width} \u00d7 {reading.height}",
        grid=grid,
        veil="" if grid is None else data_url(png(veil(reading)), "image/png"),
        peak=reading.peak,
        shown=shown,
    )


def data_url(content: bytes, kind: str) -> str:
    """Return bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _part(document: Mapping[str, Any], without: Mapping[str, Any]) -> Part:
    return Part(
        name=_name(document, without),
        is_word=without["part"] == "word",
        nothing_left=without["nothing_left"],
        moves=[_move(task, label, without) for task, label in document["labels"].items()],
    )


def _name(document: Mapping[str, Any], without: Mapping[str, Any]) -> str:
    if without["part"] == "word":
        return f"\u201c{short(document['text']['words'][without['index']]['word'])}\u201d"
    if without["part"] == "picture" and len(document["pictures"]) > 1:
        return f"picture {without['index'] + 1}"
    return {"text": "the text", "pictures": "all pictures"}.get(without["part"], "the picture")


def _move(task: str, whole: Mapping[str, Any], without: Mapping[str, Any]) -> Move:
    change = without["changes"][task][whole["label"]] + 0.0
    other = without["labels"][task]["label"]
    kind = "still" if abs(change) < _STILL else "up" if change > 0 else "down"
    return Move(change, kind, "" if other == whole["label"] else other)
