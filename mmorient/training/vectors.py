"""The examples after the encoders, as phase 2 sees them: what a cache would hold, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmorient.bank import Bank
from mmorient.labels import TASKS
from mmorient.model import MmOrient, PostTensors
from mmorient.training.data import TRAIN, Example


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


def choose_bank(examples: Sequence[Example], counts: dict[str, int], seed: int) -> Tensor:
    """Draw the reference posts from the train split.

    Args:
        examples: All.
        counts: Source to how many.
        seed: Of the draw.

    Returns:
        int64 ``[k]``, in the order of the examples.
    """
    random = np.random.default_rng(seed)
    chosen: list[int] = []
    for source, count in counts.items():
        members = [
            index
            for index, example in enumerate(examples)
            if (example.source, example.split) == (source, TRAIN) and example.text
        ]
        chosen += random.permutation(members)[:count].tolist()
    return torch.tensor(sorted(chosen))


@torch.inference_mode()
def freeze_bank(model: MmOrient, bank: PostTensors, examples: Sequence[Example]) -> Bank:
    """The bank as a checkpoint holds it: global vectors, known labels, and u computed once."""
    text_bias, picture_bias = model.set_biases(bank)
    labels = torch.tensor([[example.targets.get(task, -1) for task in TASKS] for example in examples], dtype=torch.int8)
    text_index = bank.text_present.nonzero()[:, 0]
    picture_index = bank.picture_present.nonzero()[:, 0]
    return Bank(
        text_global=bank.text_global[text_index].half(),
        text_index=text_index.int(),
        picture_global=bank.picture_global[picture_index].half(),
        picture_index=picture_index.int(),
        text_bias=text_bias.half(),
        picture_bias=picture_bias.half(),
        labels=labels,
    )
