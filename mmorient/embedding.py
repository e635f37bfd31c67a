"""The model before the cache: encoders and HIMA stage 1, one text or one picture at a time (sections 1, 2 and 7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmorient.encoders import PictureEncoder, TextEncoder
from mmorient.encoders.minilm import token_batch
from mmorient.hima import ElementAttention, pool_windows
from mmorient.posts import Embedding, Picture
from mmorient.text import Window


class TextEmbedder:
    """Texts to ``v ‖ global``."""

    def __init__(self, encoder: TextEncoder, attention: ElementAttention, rows: int, device: torch.device) -> None:
        self._encoder = encoder
        self._attention = attention
        self._rows = rows
        self._device = device
        self._dummy = Window((101, 102), (-1, -1))
        self.width = encoder.state_width + encoder.global_width

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed texts of any length; an empty one too.

        Returns:
            fp16 ``[width]`` each.
        """
        split = self._encoder.reader.windows(texts)
        flat = [window for windows in split for window in windows]
        vectors, globals_, masses = self._windows(flat)
        embeddings, start = [], 0
        for windows in split:
            end = start + len(windows)
            vector = pool_windows(vectors[start:end], masses[start:end])
            lengths = torch.tensor([float(len(window.token_ids)) for window in windows])
            mean = (globals_[start:end] * lengths[:, None]).sum(0) / lengths.sum()
            embeddings.append(_embedding(vector, functional.normalize(mean, dim=0)))
            start = end
        return embeddings

    def _windows(self, windows: list[Window]) -> tuple[Tensor, Tensor, Tensor]:
        """Encode windows in groups of one length, always ``rows`` at a time: ``[w, Dt]``, ``[w, D]``, ``[w]``."""
        vectors = torch.zeros(len(windows), self._encoder.state_width)
        globals_ = torch.zeros(len(windows), self._encoder.global_width)
        masses = torch.zeros(len(windows))
        by_bucket: dict[int, list[int]] = defaultdict(list)
        for index, window in enumerate(windows):
            by_bucket[window.bucket].append(index)
        for bucket, members in by_bucket.items():
            for start in range(0, len(members), self._rows):
                chunk = members[start : start + self._rows]
                rows = [windows[index].token_ids for index in chunk]
                rows += [self._dummy.token_ids] * (self._rows - len(rows))
                ids, mask = token_batch(rows, bucket, self._device)
                states, means = self._encoder.encode(ids, mask)
                attended = self._attention(states, mask)
                vectors[chunk] = attended.vector[: len(chunk)].cpu()
                globals_[chunk] = means[: len(chunk)].cpu()
                masses[chunk] = attended.mass[: len(chunk)].cpu()
        return vectors, globals_, masses


class PictureEmbedder:
    """Pictures to ``v ‖ global``."""

    def __init__(self, encoder: PictureEncoder, attention: ElementAttention, rows: int, device: torch.device) -> None:
        self._encoder = encoder
        self._attention = attention
        self._rows = rows
        self._device = device
        self.width = encoder.state_width + encoder.global_width

    def embed(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Embed pictures, always ``rows`` at a time.

        Returns:
            fp16 ``[width]`` each.
        """
        embeddings: list[Embedding] = []
        for start in range(0, len(pictures), self._rows):
            chunk = [picture.pixels for picture in pictures[start : start + self._rows]]
            dummies = [np.zeros_like(chunk[0])] * (self._rows - len(chunk))
            pixels = torch.from_numpy(np.stack(chunk + dummies)).to(self._device)
            states, globals_ = self._encoder.encode(pixels)
            vectors = self._attention(states).vector.cpu()
            embeddings += map(_embedding, vectors[: len(chunk)], globals_[: len(chunk)].cpu())
        return embeddings


def _embedding(vector: Tensor, global_: Tensor) -> Embedding:
    embedding: Embedding = torch.cat([vector, global_]).to(torch.float16).numpy()
    return embedding
