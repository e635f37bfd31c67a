"""The model before the cache: encoders and HIMA stage 1, one text or one picture at a time (sections 1, 2 and 7)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmorient.arithmetic.exactness import Probe
from mmorient.arithmetic.launches import Launches
from mmorient.arithmetic.tiles import Stacks, TileThreads, stack_up
from mmorient.arithmetic.transfer import side_by_side, to_cpu
from mmorient.encoders import PictureEncoder, TextEncoder
from mmorient.encoders.minilm import token_batch
from mmorient.input.posts import Embedding, Frame, Picture
from mmorient.input.text import BUCKETS, Window
from mmorient.network.hima import ElementAttention, pool_windows

# A call of more tokens is no faster a token on a CPU, and two calls side by side need that much memory twice.
_STACK_TOKENS = 256


@dataclass(frozen=True, slots=True)
class _Read:
    """Windows after the encoder and stage 1: ``[w, t]``, ``[w, Dt]``, ``[w]``, ``[w, D]``."""

    weights: Tensor
    vectors: Tensor
    masses: Tensor
    globals_: Tensor

    @property
    def bits(self) -> Tensor:
        """All that an embedding is made of, side by side."""
        return torch.cat([self.vectors, self.masses[:, None], self.globals_], dim=1)


class TextEmbedder:
    """Texts to ``v ‖ global``.

    Args:
        encoder: Token ids to states.
        attention: HIMA stage 1.
        rows: Windows of one tile.
        device: Where both are.
        threads: Compute tiles.
        stacks: How many tiles one call may hold.
        recorded: Whether tiles are recorded on a GPU, where the encoder can be.

    Attributes:
        rows: Windows of one tile.
        width: Of an embedding.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        attention: ElementAttention,
        rows: int,
        device: torch.device,
        *,
        threads: TileThreads,
        stacks: Stacks,
        recorded: bool = False,
    ) -> None:
        self._encoder = encoder
        self._attention = attention
        self.rows = rows
        self._threads = threads
        self._stacks = stacks
        self.width = encoder.state_width + encoder.global_width
        self._own = Launches(self._encoded, device, recorded=recorded and encoder.replayable)
        self._companions = Launches(
            self._companion_means,
            device,
            recorded=recorded and encoder.companion is not None and encoder.companion.replayable,
        )

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """Embed texts of any length; an empty one too.

        Returns:
            fp16 ``[width]`` each.
        """
        split = self._encoder.reader.windows(texts)
        read = self._windows(self._encoder, [window for windows in split for window in windows])
        companion = self._encoder.companion
        if companion is None:
            own, others = split, read
        else:
            own = companion.reader.windows(texts)
            others = self._windows(companion, [window for windows in own for window in windows])

        def join(_: None) -> list[Embedding]:
            embeddings, start = [], 0
            for windows, mean in zip(split, _means(own, others.globals_), strict=True):
                end = start + len(windows)
                vector = pool_windows(read.vectors[start:end], read.masses[start:end])
                embeddings.append(_embedding(vector, functional.normalize(mean, dim=0)))
                start = end
            return embeddings

        return self._threads.run(join, [None])[0]

    def attention(self, text: str) -> list[tuple[Window, Tensor]]:
        """Where stage 1 looks in one text (section 2): its windows, each with a weight ``[t]`` a token.

        Weights sum to 1 over all windows, [CLS] and [SEP] included: those with which ``embed`` pools token states.
        """
        [windows] = self._encoder.reader.windows([text])
        read = self._windows(self._encoder, windows)
        shares = read.masses.softmax(0)
        return [
            (window, share * weights[: len(window.token_ids)])
            for window, share, weights in zip(windows, shares, read.weights, strict=True)
        ]

    def probes(self) -> Iterator[Probe[Window]]:
        """A sample tile of every shape."""
        for encoder in (self._encoder, self._encoder.companion):
            if encoder is not None:
                yield from (self._probe(encoder, bucket) for bucket in _buckets(encoder))

    def stack_sizes(self) -> list[tuple[int, ...]]:
        """For every shape the sizes of stacks that have the bits of their tiles, found out where that is not known."""
        encoders = [encoder for encoder in (self._encoder, self._encoder.companion) if encoder is not None]
        return [self._sizes(encoder, bucket) for encoder in encoders for bucket in _buckets(encoder)]

    def _windows(self, encoder: TextEncoder, windows: Sequence[Window]) -> _Read:
        """Encode windows, those of one padded length together."""
        by_bucket: dict[int, list[int]] = defaultdict(list)
        for index, window in enumerate(windows):
            by_bucket[window.bucket].append(index)
        calls: list[list[int]] = []
        for bucket in sorted(by_bucket, reverse=True):  # the longest first, or all would wait for the last of them
            start, members = 0, by_bucket[bucket]
            tiles = -(-len(members) // self.rows)
            sizes = self._sizes(encoder, bucket) if tiles > 1 else (1,)
            for size in stack_up(tiles, sizes, self._threads.count):
                calls.append(members[start : start + size * self.rows])
                start += size * self.rows
        answers = to_cpu(
            self._threads.run(lambda call: self._begin(encoder, [windows[index] for index in call]), calls)
        )
        longest = max((window.bucket for window in windows), default=0)
        read = _Read(
            torch.zeros(len(windows), longest),
            torch.zeros(len(windows), encoder.state_width),
            torch.zeros(len(windows)),
            torch.zeros(len(windows), encoder.global_width),
        )
        for call, answer in zip(calls, answers, strict=True):
            found = self._parted(encoder, answer[: len(call)])
            read.weights[call, : found.weights.shape[1]] = found.weights
            read.vectors[call] = found.vectors
            read.masses[call] = found.masses
            read.globals_[call] = found.globals_
        return read

    def _begin(self, encoder: TextEncoder, windows: Sequence[Window]) -> Tensor:
        """Encode whole tiles of windows of one padded length: rows past them are padding.

        Returns:
            What ``_parted`` takes apart, on the device: it may still be computed.
        """
        rows = [window.token_ids for window in windows]
        rows += [encoder.reader.blank.token_ids] * (-len(rows) % self.rows)
        launches = self._own if encoder is self._encoder else self._companions
        return launches(*token_batch(rows, windows[0].bucket))

    def _encoded(self, ids: Tensor, mask: Tensor) -> Tensor:
        """``[b, t]`` each to what stage 1 makes of the states, and the global vectors where this encoder makes them."""
        states, means = self._encoder.encode(ids, mask)
        attended = self._attention(states, mask)
        parts = [attended.weights, attended.vector, attended.mass]
        return side_by_side(parts if self._encoder.companion is not None else [*parts, means])

    def _companion_means(self, ids: Tensor, mask: Tensor) -> Tensor:
        """``[b, t]`` each to the global vectors, for which alone a companion is asked."""
        if self._encoder.companion is None:
            raise ValueError("this encoder has no companion")
        return self._encoder.companion.encode(ids, mask)[1]

    def _parted(self, encoder: TextEncoder, rows: Tensor) -> _Read:
        """Rows of ``_encoded`` or ``_companion_means`` on the CPU; what an encoder does not say is zero."""
        count, states, globals_ = len(rows), encoder.state_width, encoder.global_width
        if encoder is not self._encoder:
            return _Read(torch.zeros(count, 0), torch.zeros(count, states), torch.zeros(count), rows)
        without = encoder.companion is not None
        tokens = rows.shape[1] - states - 1 - (0 if without else globals_)
        weights, vectors, masses, means = rows.split_with_sizes([tokens, states, 1, 0 if without else globals_], dim=1)
        return _Read(weights, vectors, masses[:, 0], torch.zeros(count, globals_) if without else means)

    def _sizes(self, encoder: TextEncoder, bucket: int) -> tuple[int, ...]:
        probe = self._probe(encoder, bucket)
        return self._stacks.sizes(
            (encoder is self._encoder, bucket),
            _STACK_TOKENS // (bucket * self.rows),
            lambda tiles: probe.stack_is_equal(tiles, self._threads),
        )

    def _probe(self, encoder: TextEncoder, bucket: int) -> Probe[Window]:
        return Probe(
            f"texts of {bucket} tokens",
            self.rows,
            _sample_windows(encoder, bucket, 2 * self.rows),
            lambda windows: self._parted(encoder, self._begin(encoder, windows).cpu()).bits,
        )


class PictureEmbedder:
    """Pictures to ``v ‖ global``.

    Args:
        encoder: Pixels to states.
        attention: HIMA stage 1.
        rows: Pictures of one tile.
        device: Where both are.
        threads: Compute tiles.
        recorded: Whether tiles are recorded on a GPU, where the encoder can be.
    """

    def __init__(
        self,
        encoder: PictureEncoder,
        attention: ElementAttention,
        rows: int,
        device: torch.device,
        *,
        threads: TileThreads,
        recorded: bool = False,
    ) -> None:
        self._encoder = encoder
        self._attention = attention
        self._rows = rows
        self._threads = threads
        self.width = encoder.state_width + encoder.global_width
        self._launches = Launches(self._encoded, device, recorded=recorded and encoder.replayable)

    def embed(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Embed pictures, an animated one as the mean of its frames.

        Returns:
            fp16 ``[width]`` each.
        """
        frames = [still for picture in pictures for still in picture.stills()]
        widths = [self._encoder.state_width, self._encoder.global_width]
        rows = zip(*self._tiles(frames)[:, self._encoder.regions :].split_with_sizes(widths, dim=1), strict=True)
        return [_embedding(*pool_frames([next(rows) for _ in range(1 + len(picture.later))])) for picture in pictures]

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
        return self._tiles(pictures)[:, : self._encoder.regions]

    def probe(self) -> Probe[Picture]:
        """A sample tile."""
        noise = np.random.default_rng(0)
        side = self.frame.side
        samples = [
            Picture(noise.integers(0, 256, (side, side, 3), dtype=np.uint8), side, side, frame=self.frame)
            for _ in range(2 * self._rows)
        ]
        return Probe(
            "pictures",
            self._rows,
            samples,
            lambda pictures: self._begin(pictures)[:, self._encoder.regions :].cpu().contiguous(),
        )

    def _tiles(self, pictures: Sequence[Picture]) -> Tensor:
        """Encode pictures, a tile a call: convolutions of another number of pictures take other kernels.

        Returns:
            Rows of ``_encoded`` on the CPU, ``[n, R + Dr + D]``.
        """
        tiles = [pictures[start : start + self._rows] for start in range(0, len(pictures), self._rows)]
        rows = to_cpu(self._threads.run(self._begin, tiles))
        return torch.cat(rows)[: len(pictures)] if rows else torch.zeros(0, self._encoder.regions + self.width)

    def _begin(self, pictures: Sequence[Picture]) -> Tensor:
        """Encode a tile of pictures: rows past them are padding. The result may still be computed."""
        chunk = [picture.pixels for picture in pictures]
        dummies = [np.zeros_like(chunk[0])] * (-len(chunk) % self._rows)
        return self._launches(torch.from_numpy(np.stack(chunk + dummies)))

    def _encoded(self, pixels: Tensor) -> Tensor:
        """Pixels to stage 1's weights of the regions and its vector, and the global vector, ``[b, R + Dr + D]``."""
        states, globals_ = self._encoder.encode(pixels)
        attended = self._attention(states)
        return side_by_side([attended.weights, attended.vector, globals_])


def _buckets(encoder: TextEncoder) -> list[int]:
    """The padded lengths of an encoder's windows, in tokens."""
    return sorted({min(bucket, encoder.reader.blank.limit) for bucket in BUCKETS})


def _sample_windows(encoder: TextEncoder, bucket: int, count: int) -> list[Window]:
    """Windows that fill a padded length to its last token, made of any tokens.

    Padding would hide what becomes of the rows that it stands in: kernels compute the last ones another way.
    """
    generator = random.Random(bucket)  # noqa: S311 - any tokens do, the same ones every time
    limit = encoder.reader.blank.limit
    return [
        Window(tuple(generator.randrange(encoder.reader.vocabulary) for _ in range(bucket)), (-1,) * bucket, limit)
        for _ in range(count)
    ]


def _means(split: list[list[Window]], globals_: Tensor) -> list[Tensor]:
    """The mean over each text's windows, a longer window counting for more: ``[w, D]`` to ``[D]`` a text."""
    means, start = [], 0
    for windows in split:
        lengths = torch.tensor([float(len(window.token_ids)) for window in windows])
        part = globals_[start : start + len(windows)]
        means.append((part * lengths[:, None]).sum(0) / lengths.sum())
        start += len(windows)
    return means


def pool_frames(frames: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Frames of one picture as one, as pictures of one post are: means, the global one of length 1 again.

    Args:
        frames: fp32 ``[v]`` and ``[D]`` of each.

    Returns:
        ``[v]`` and ``[D]``; of one frame, that frame's.
    """
    if len(frames) == 1:
        return frames[0]
    vectors, globals_ = (torch.stack(part) for part in zip(*frames, strict=True))
    return vectors.mean(0), functional.normalize(globals_.mean(0), dim=0)


def _embedding(vector: Tensor, global_: Tensor) -> Embedding:
    embedding: Embedding = torch.cat([vector, global_]).to(torch.float16).numpy()
    return embedding
