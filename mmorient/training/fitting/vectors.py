"""The examples after the encoders: what a cache would hold, a row each."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mmorient.network.mm_orient import PostTensors


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

    def posts(self, indices: Tensor, sizes: tuple[int, int]) -> PostTensors:
        """Rows as the model takes them, fp32, with every modality that they have.

        Args:
            indices: int64 ``[b]``.
            sizes: Dt and Dr.
        """
        texts = self.texts[indices].float()
        rows = self.picture_row[indices]
        pictures = self.pictures[rows.clamp(min=0)].float()
        return PostTensors(
            texts[:, : sizes[0]],
            texts[:, sizes[0] :],
            self.has_text[indices],
            pictures[:, : sizes[1]],
            pictures[:, sizes[1] :],
            rows >= 0,
        )
