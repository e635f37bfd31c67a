"""A post as it was handed in, beside its explanation: what every rendering starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mmorient.explain.explanation import Explanation, explain_post
from mmorient.explain.visible import short
from mmorient.explain.without import Removal, Without
from mmorient.input.pictures import decode_whole
from mmorient.input.post_json import Line, read_line, read_post
from mmorient.moderator import Moderator


@dataclass(frozen=True, slots=True)
class Case:
    """A post and why it has its labels.

    Attributes:
        line: The post.
        own_text: Whether the text that was read is the post's own, and not drawn over its pictures.
        files: The content of each usable picture.
        explanation: Why.
    """

    line: Line
    own_text: bool
    files: tuple[bytes, ...]
    explanation: Explanation

    @property
    def media(self) -> tuple[int, ...]:
        """For each usable picture the place of its medium in the post, from 0."""
        lost = {one["index"] for one in self.line.unavailable}
        return tuple(index for index in range(len(self.files) + len(lost)) if index not in lost)

    def picture(self, index: int) -> Image.Image:
        """A usable picture at its own size, RGB."""
        return decode_whole(self.files[index])

    def name(self, removal: Removal) -> str:
        """A part of the post as people call it; media count from 1."""
        if removal.part == "word" and self.explanation.text is not None and removal.index is not None:
            return f"\u201c{short(self.explanation.text.words[removal.index].text)}\u201d"
        if removal.part == "picture" and removal.index is not None and len(self.files) > 1:
            return f"picture {self.media[removal.index] + 1}"
        return {"text": "the text", "pictures": "all pictures"}.get(removal.part, "the picture")

    def flips(self, without: Without, task: str) -> str | None:
        """The label of a task without a part, where it is another one."""
        label = without.labels.tasks[task].label
        return None if label == self.explanation.labels.tasks[task].label else label

    def change(self, without: Without, task: str) -> float:
        """How the probability of the whole post's label moves without a part."""
        return without.changes[task][self.explanation.labels.tasks[task].label]


def read_case(post: bytes, folder: Path | None, moderator: Moderator, *, neighbours: int, words: int) -> Case:
    """Read a post and explain its labels.

    Args:
        post: JSON, UTF-8.
        folder: What a medium's ``path`` is relative to; None where a post may name no file.
        moderator: The model.
        neighbours: How many reference posts by each modality.
        words: How many of the most attended words are taken away.

    Raises:
        PostError: It is not a post, or nothing of it can be used.
    """
    files: list[bytes] = []
    line = read_line(post, folder, moderator.drawn_text, files, moderator.picture_frame, beside=moderator.reads_beside)
    own_text = read_post(post).has_text
    explanation = explain_post(moderator, line.post, neighbours=neighbours, words=words)
    return Case(line, own_text, tuple(files), explanation)
