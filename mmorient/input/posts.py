"""What goes into the model: a post, its pictures, and the embeddings that a cache may hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Embedding = NDArray[np.float16]
"""One text or one picture after HIMA stage 1: ``v ‖ global``, 1-D, fp16 by definition, cached or fresh."""

TEXT = "text"
IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Frame:
    """The square of pixels that an encoder reads, always of one size, whatever the picture's.

    Attributes:
        side: In pixels.
        centre: The square shows the picture's middle, its shape kept; else the whole picture, squeezed.
    """

    side: int = 224
    centre: bool = False

    def part(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of what the square shows of a picture, in that picture's pixels."""
        if not self.centre:
            return 0.0, 0.0, float(width), float(height)
        shorter = min(width, height)
        left, top = (width - shorter) / 2, (height - shorter) / 2
        return left, top, left + shorter, top + shorter


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture as the encoder wants it.

    Attributes:
        pixels: uint8 ``[side, side, 3]``, RGB, as ``frame`` says.
        width: Pixels across before resizing, after orientation.
        height: Pixels down before resizing, after orientation.
        text: What is drawn over it, empty where nothing is; None where nobody has looked.
        painted: Whether drawn text is painted out of the pixels.
        frame: How the picture was put into the square.
        later: Of an animated picture, the further frames that are looked at, each like ``pixels``. Their embeddings
            are pooled: they count as one picture.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    text: str | None = None
    painted: bool = False
    frame: Frame = Frame()
    later: tuple[NDArray[np.uint8], ...] = ()

    def stills(self) -> Iterator[Picture]:
        """Yield each frame as a picture of its own; a still picture as it is."""
        if not self.later:
            yield self
            return
        for pixels in (self.pixels, *self.later):
            yield replace(self, pixels=pixels, later=())


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of a post's text was read.

    Attributes:
        language: Of the text, ISO 639-1; None where it cannot be told.
        supported: Whether the checkpoint was made for that language; true where either is not known.
        unread: Share of the text's characters that became unknown tokens or nothing, 0 to 1, two decimals. Characters
            that show nothing count where a whole word of them comes to nothing.
        truncated_text: Whether a part of the text was left out because it is too long.
    """

    language: str | None
    supported: bool
    unread: float
    truncated_text: bool


@dataclass(frozen=True, slots=True)
class Post:
    """A post as the model reads it: a text, pictures, or both."""

    text: str | None = None
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PostEmbeddings:
    """A post after the encoders; what is absent is ``None`` or empty."""

    text: Embedding | None = None
    pictures: tuple[Embedding, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the post brings: ``("text", "image")`` or part of it."""
        return ((TEXT,) if self.text is not None else ()) + ((IMAGE,) if self.pictures else ())
