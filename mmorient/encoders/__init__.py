"""The two encoders, behind one small protocol each (PAE's feature extraction, section 1; arXiv 2508.16300)."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from mmorient.input.posts import Frame
from mmorient.input.text import TextReader

__all__ = ["PictureEncoder", "TextEncoder"]


class TextEncoder(Protocol):
    """Token ids to token states and a global vector.

    Attributes:
        companion: The encoder whose global vectors stand in the place of this one's, reading the text in windows of
            its own; None where this one makes both.
        replayable: Whether a shape alone decides which operations ``encode`` does, and none of them waits for the
            device: then a GPU may record and replay them.
    """

    state_width: int
    global_width: int
    reader: TextReader
    companion: TextEncoder | None
    replayable: bool

    def encode(self, token_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode windows.

        Args:
            token_ids: int64 ``[b, t]``.
            mask: bool ``[b, t]``, True where there is a token.

        Returns:
            Token states ``[b, t, state_width]`` and the global vectors before their normalisation
            ``[b, global_width]``, both fp32. Where there is a companion, nobody reads the latter.
        """
        ...


class PictureEncoder(Protocol):
    """Pixels to region states and a global vector.

    Attributes:
        grid: Rows and columns where regions tile the picture, row by row; None where they have no fixed place.
        frame: How pictures are put into the square that it reads.
        replayable: As a ``TextEncoder``'s.
    """

    state_width: int
    global_width: int
    regions: int
    grid: tuple[int, int] | None
    frame: Frame
    replayable: bool

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pictures.

        Args:
            pixels: uint8 ``[b, side, side, 3]``, ``side`` being the frame's.

        Returns:
            Region states ``[b, regions, state_width]`` and global vectors ``[b, global_width]``, both fp32.
        """
        ...
