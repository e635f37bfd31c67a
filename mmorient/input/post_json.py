"""A post as a line of JSON, for the commands: what it becomes, what could not be used of it, and its labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmorient.errors import PictureError, PostError
from mmorient.input.pictures import decode_picture
from mmorient.input.posts import Frame, Picture, Post
from mmorient.input.reading.inline import inline_bytes
from mmorient.input.reading.media import MAX_MEDIA
from mmorient.input.reading.parsed import ParsedMedium, ParsedPost, PassedOver
from mmorient.input.reading.post_reader import PostReader
from mmorient.input.text import post_text
from mmorient.labels import PostLabels, TaskLabel

if TYPE_CHECKING:
    from mmorient.input.ocr.drawn_text import DrawnText


# As many as the worker's labels name one by one.
_LISTED_MEDIA = 32
_reader = PostReader()


@dataclass(frozen=True, slots=True)
class Line:
    """One post of the input.

    Attributes:
        id: The post's.
        post: What the model reads.
        unavailable: ``{"index", "reason"}`` of each medium that could not be used.
        media_left_out: How many media there are behind those that are looked at.
    """

    id: str
    post: Post
    unavailable: tuple[dict[str, int | str], ...]
    media_left_out: int = 0


class UnusableMediaError(PostError):
    """A post that has media and no text, and none of the media can be used.

    Attributes:
        id: The post's.
        unavailable: As of a ``Line``.
        media_left_out: As of a ``Line``.
    """

    def __init__(self, message: str, id_: str, unavailable: tuple[dict[str, int | str], ...], left_out: int) -> None:
        super().__init__(message, "nothing_to_read")
        self.id = id_
        self.unavailable = unavailable
        self.media_left_out = left_out


def read_line(
    line: bytes,
    folder: Path | None,
    drawn_text: DrawnText | None = None,
    files: list[bytes] | None = None,
    frame: Frame = Frame(),  # noqa: B008 - frozen
    *,
    beside: bool = False,
) -> Line:
    """Read one post.

    Args:
        line: JSON, UTF-8.
        folder: What a medium's ``path`` is relative to; None where a post may name no file.
        drawn_text: Of the moderator that shall label it.
        files: Is given the content of each of ``post.pictures``, for whoever shows them.
        frame: Of the same moderator: its ``picture_frame``.
        beside: Of the same moderator: its ``reads_beside``.

    Raises:
        UnusableMediaError: It is a post, and nothing of it can be used.
        PostError: It is not a post.
    """
    read = read_post(line)
    media = read.media
    drawn, shown = [medium.ocr_text for medium in media], [medium.alt_text for medium in media]
    text = post_text(read.text, drawn, shown, beside=beside)
    pictures: list[Picture] = []
    unavailable: list[dict[str, int | str]] = []
    for index, medium in enumerate(media):
        try:
            content = _content(medium, folder)
            pictures.append(decode_picture(content, drawn_text=drawn_text, read_text=text is None, frame=frame))
            if files is not None:
                files.append(content)
        except PictureError as error:
            unavailable.append({"index": index, "reason": error.code})
    if text is None and not pictures:
        reasons = ", ".join(str(one["reason"]) for one in unavailable)
        said = f"{read.id!r} has neither text nor a picture{f' ({reasons})' if reasons else ''}"
        if not unavailable:
            raise PostError(said)
        raise UnusableMediaError(said, read.id, tuple(unavailable), read.media_left_out)
    return Line(read.id, Post(text, tuple(pictures)), tuple(unavailable), read.media_left_out)


def read_post(line: bytes) -> ParsedPost:
    """Read a post's fields, by the rules of the stream, out of whatever it comes wrapped in.

    Raises:
        PostError: It is not a post; the code of a deletion is ``deletion``.
    """
    found = _reader.read(line)
    if isinstance(found, PassedOver):
        raise PostError("record: is a deletion" if found.reason == "deletion" else "record: is no post", found.reason)
    return found


def _content(medium: ParsedMedium, folder: Path | None) -> bytes:
    if medium.data is not None:
        return inline_bytes(medium.data)
    if medium.path is not None and folder is not None:
        try:
            return (folder / medium.path).read_bytes()
        except (OSError, ValueError) as error:
            raise PictureError("no_such_file", str(error)) from error
    if medium.url is not None:
        raise PictureError("not_fetched", "this command fetches nothing")
    raise PictureError("bad_medium", "neither data, path nor url")


def write_line(line: Line, labels: PostLabels, model: Mapping[str, str] | None = None) -> str:
    """One line of output; ``unavailable`` is there only where something could not be used, and of many the first.

    Args:
        line: What was read.
        labels: Of it.
        model: Which model they are by, as label records have it.
    """
    answer = {task: label_fields(label) for task, label in labels.tasks.items()}
    return _line(line, answer, labels.modalities, model)


def write_unlabelled(post: UnusableMediaError, model: Mapping[str, str]) -> str:
    """The line of a post that nothing could be used of: no labels, and why."""
    return _line(post, {}, (), model)


def _line(
    post: Line | UnusableMediaError,
    labels: Mapping[str, Any],
    modalities: Sequence[str],
    model: Mapping[str, str] | None,
) -> str:
    answer: dict[str, Any] = {"id": post.id, "labels": dict(labels), "modalities": list(modalities)}
    if post.unavailable:
        answer["unavailable"] = list(post.unavailable[:_LISTED_MEDIA])
    if more := len(post.unavailable[_LISTED_MEDIA:]) + post.media_left_out:
        first = post.unavailable[_LISTED_MEDIA]["index"] if post.unavailable[_LISTED_MEDIA:] else MAX_MEDIA
        answer["unavailable"] = [
            *answer.get("unavailable", ()),
            {"index": first, "reason": "not_listed", "count": more},
        ]
    if model is not None:
        answer["model"] = dict(model)
    return json.dumps(answer, ensure_ascii=False)


def label_fields(label: TaskLabel) -> dict[str, Any]:
    """One task's answer as JSON has it."""
    intensity = label.intensity
    threshold = {} if label.threshold is None else {"threshold": label.threshold}
    return {
        "label": label.label,
        "probabilities": dict(label.probabilities),
        **threshold,
        "intensity": intensity and {"label": intensity.label, "probabilities": dict(intensity.probabilities)},
    }
