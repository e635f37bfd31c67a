"""The model before the cache: encoders and HIMA stage 1, one text or one picture at a time (sections 1, 2 and 7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mmorient.encoders import PictureEncoder, TextEncoder
from mmorient.encoders.minilm import token_batch
from mmorient.encoders.threads import enough_threads
from mmorient.input.posts import Embedding, Frame, Picture
from mmorient.input.text import Window
from mmorient.network.hima import Attended, ElementAttention, pool_windows


class TextEmbedder:
    """Texts to ``v ‖ global``."""

    def __init__(self, encoder: TextEncoder, attention: ElementAttention, rows: int, device: torch.device) -> None:
        self._encoder = encoder
        self._attention = attention
        self._rows = rows
        self._device = device
        self.width = encoder.state_width + encoder.global_width

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed texts of any length; an empty one too.

        Returns:
            fp16 ``[width]`` each.
        """
        split = self._encoder.reader.windows(texts)
        flat = [window for windows in split for window in windows]
        vectors, globals_, masses = self._windows(flat)
        companion = self._encoder.companion
        means = _means(split, globals_) if companion is None else self._companion_means(companion, texts)
        embeddings, start = [], 0
        for windows, mean in zip(split, means, strict=True):
            end = start + len(windows)
            vector = pool_windows(vectors[start:end], masses[start:end])
            embeddings.append(_embedding(vector, functional.normalize(mean, dim=0)))
            start = end
        return embeddings

    def attention(self, text: str) -> list[tuple[Window, Tensor]]:
        """Where stage 1 looks in one text (section 2): its windows, each with a weight ``[t]`` a token.

        Weights sum to 1 over all windows, [CLS] and [SEP] included: those with which ``embed`` pools token states.
        """
        [windows] = self._encoder.reader.windows([text])
        masses = torch.zeros(len(windows))
        weights = [torch.zeros(0)] * len(windows)
        for chunk, attended, _ in self._attend(windows):
            masses[chunk] = attended.mass[: len(chunk)].cpu()
            for row, index in enumerate(chunk):
                weights[index] = attended.weights[row, : len(windows[index].token_ids)].cpu()
        return [
            (window, share * weight) for window, share, weight in zip(windows, masses.softmax(0), weights, strict=True)
        ]

    def _windows(self, windows: list[Window]) -> tuple[Tensor, Tensor, Tensor]:
        """Encode windows: ``[w, Dt]``, ``[w, D]``, ``[w]``."""
        vectors = torch.zeros(len(windows), self._encoder.state_width)
        globals_ = torch.zeros(len(windows), self._encoder.global_width)
        masses = torch.zeros(len(windows))
        for chunk, attended, means in self._attend(windows):
            vectors[chunk] = attended.vector[: len(chunk)].cpu()
            masses[chunk] = attended.mass[: len(chunk)].cpu()
            if self._encoder.companion is None:
                globals_[chunk] = means[: len(chunk)].cpu()
        return vectors, globals_, masses

    def _companion_means(self, companion: TextEncoder, texts: Sequence[str]) -> list[Tensor]:
        """The companion's global vector of each text, before its normalisation: ``[D]``."""
        split = companion.reader.windows(texts)
        flat = [window for windows in split for window in windows]
        globals_ = torch.zeros(len(flat), companion.global_width)
        for chunk, _, _, means in self._encode(companion, flat):
            globals_[chunk] = means[: len(chunk)].cpu()
        return _means(split, globals_)

    def _attend(self, windows: list[Window]) -> Iterator[tuple[list[int], Attended, Tensor]]:
        """Encode windows and attend to their tokens.

        Yields:
            Which windows, in the order of the rows; stage 1 and the means ``[rows, D]``, rows past them padding.
        """
        for chunk, mask, states, means in self._encode(self._encoder, windows):
            yield chunk, self._attention(states, mask), means

    def _encode(
        self, encoder: TextEncoder, windows: list[Window]
    ) -> Iterator[tuple[list[int], Tensor, Tensor, Tensor]]:
        """Encode windows in groups of one length, always ``rows`` at a time.

        Yields:
            Which windows, in the order of the rows; their mask, states and means, rows past them padding.
        """
        by_bucket: dict[int, list[int]] = defaultdict(list)
        for index, window in enumerate(windows):
            by_bucket[window.bucket].append(index)
        for bucket, members in by_bucket.items():
            for start in range(0, len(members), self._rows):
                chunk = members[start : start + self._rows]
                rows = [windows[index].token_ids for index in chunk]
                rows += [encoder.reader.blank.token_ids] * (self._rows - len(rows))
                ids, mask = token_batch(rows, bucket, self._device)
                yield chunk, mask, *encoder.encode(ids, mask)


class PictureEmbedder:
    """Pictures to ``v ‖ global``."""

    def __init__(self, encoder: PictureEncoder, attention: ElementAttention, rows: int, device: torch.device) -> None:
        self._encoder = encoder
        self._attention = attention
        self._rows = rows
        self._device = device
        self.width = encoder.state_width + encoder.global_width

    def embed(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Embed pictures, always ``rows`` at a time; an animated one as the mean of its frames.

        Returns:
            fp16 ``[width]`` each.
        """
        frames = [pixels for picture in pictures for pixels in (picture.pixels, *picture.later)]
        vectors: list[Tensor] = []
        globals_: list[Tensor] = []
        for count, attended, means in self._attend(frames):
            vectors += attended.vector[:count].cpu()
            globals_ += means[:count].cpu()
        embeddings, start = [], 0
        for picture in pictures:
            end = start + 1 + len(picture.later)
            embeddings.append(_embedding(*pool_frames(vectors[start:end], globals_[start:end])))
            start = end
        return embeddings

    @property
    def frame(self) -> Frame:
        """How pictures are put into the square that the encoder reads."""
        return self._encoder.frame

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns in which the regions tile a picture; None where they have no fixed place."""
        return self._encoder.grid

    def attention(self, pictures: Sequence[Picture]) -> Tensor:
        """Where stage 1 looks in each picture (section 2): ``[n, R]``, each row summing to 1.

        Of an animated picture, in its first frame.
        """
        frames = [picture.pixels for picture in pictures]
        rows = [attended.weights[:count].cpu() for count, attended, _ in self._attend(frames)]
        return torch.cat(rows) if rows else torch.zeros(0, self._encoder.regions)

    def _attend(self, frames: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[int, Attended, Tensor]]:
        """Encode frames ``rows`` at a time: how many, stage 1, global vectors ``[rows, D]``, the rest padding."""
        for start in range(0, len(frames), self._rows):
            chunk = list(frames[start : start + self._rows])
            dummies = [np.zeros_like(chunk[0])] * (self._rows - len(chunk))
            pixels = torch.from_numpy(np.stack(chunk + dummies)).to(self._device)
            with enough_threads():
                states, globals_ = self._encoder.encode(pixels)
            yield len(chunk), self._attention(states), globals_


def _means(split: list[list[Window]], globals_: Tensor) -> list[Tensor]:
    """The mean over each text's windows, a longer window counting for more: ``[w, D]`` to ``[D]`` a text."""
    means, start = [], 0
    for windows in split:
        lengths = torch.tensor([float(len(window.token_ids)) for window in windows])
        part = globals_[start : start + len(windows)]
        means.append((part * lengths[:, None]).sum(0) / lengths.sum())
        start += len(windows)
    return means


def pool_frames(vectors: Sequence[Tensor], globals_: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Frames of one picture as one, as pictures of one post are: means, the global one of length 1 again.

    Args:
        vectors: fp32 ``[v]`` each.
        globals_: fp32 ``[D]`` each.

    Returns:
        ``[v]`` and ``[D]``; of one frame, that frame's.
    """
    if len(vectors) == 1:
        return vectors[0], globals_[0]
    return torch.stack(list(vectors)).mean(0), functional.normalize(torch.stack(list(globals_)).mean(0), dim=0)


def _embedding(vector: Tensor, global_: Tensor) -> Embedding:
    embedding: Embedding = torch.cat([vector, global_]).to(torch.float16).numpy()
    return embedding
