"""The examples after the encoders: what a cache would hold, a row each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmorient.model import PostTensors


@dataclass(frozen=True, slots=True)
class Vectors:
    """Embeddings of all examples.

    Attributes:
        texts: fp16 ``[n, Dt + D]``, zeros where there is no text.
        has_text: bool ``[n]``.
        pictures: fp16 ``[m, Dr + D]``, of those that have a picture.
        picture_row: int64 ``[n]``, the row in ``pictures``, -1 where there is none.
    """

    texts: Tensor
    has_text: Tensor
    pictures: Tensor
    picture_row: Tensor

    def posts(
        self, indices: Tensor, sizes: tuple[int, int], *, without_text: Tensor, without_picture: Tensor
    ) -> PostTensors:
        """Rows as the model takes them, fp32.

        Args:
            indices: int64 ``[b]``.
            sizes: Dt and Dr.
            without_text: bool ``[b]``, rows whose text is dropped.
            without_picture: bool ``[b]``, rows whose picture is dropped.
        """
        texts = self.texts[indices].float()
        rows = self.picture_row[indices]
        pictures = self.pictures[rows.clamp(min=0)].float()
        return PostTensors(
            texts[:, : sizes[0]],
            texts[:, sizes[0] :],
            self.has_text[indices] & ~without_text,
            pictures[:, : sizes[1]],
            pictures[:, sizes[1] :],
            (rows >= 0) & ~without_picture,
        )

    def all_of(self, indices: Tensor, sizes: tuple[int, int]) -> PostTensors:
        """Rows with every modality that they have."""
        nothing = torch.zeros(len(indices), dtype=torch.bool)
        return self.posts(indices, sizes, without_text=nothing, without_picture=nothing)
