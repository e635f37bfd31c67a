"""Texts as token ids, batched by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmorient.encoders.minilm import token_batch
from mmorient.input.text import TextReader


@dataclass(frozen=True, slots=True)
class TokenTable:
    """The first window of each text: training reads no further.

    Attributes:
        rows: Token ids with [CLS] and [SEP].
    """

    rows: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, reader: TextReader, texts: Sequence[str]) -> TokenTable:
        """Tokenise."""
        return cls(tuple(windows[0].token_ids for windows in reader.windows(texts)))

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text."""
        return np.array([len(row) for row in self.rows])

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Padded token ids ``[b, t]`` and their mask ``[b, t]``."""
        rows = [self.rows[index] for index in indices]
        return token_batch(rows, max(map(len, rows)), torch.device("cpu"))


def batches_by_length(lengths: NDArray[np.int64], rows: int) -> Iterator[list[int]]:
    """Indices in batches of texts of about one length, short ones first."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), rows):
        yield order[start : start + rows].tolist()
