"""Token states after the encoder's lower, untouched layers, kept on disk: tuning the upper ones then costs half."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from mmorient.encoders.bert import Bert
from mmorient.encoders.minilm import token_batch
from mmorient.text import TEXT_VERSION, TextReader

_ROWS = 32


@dataclass(frozen=True, slots=True)
class TokenStates:
    """States of the first window of each text.

    Attributes:
        states: fp16 ``[all tokens, d]``, text after text.
        starts: int64 ``[n + 1]``, where each text begins.
    """

    states: NDArray[np.float16]
    starts: NDArray[np.int64]

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text."""
        lengths: NDArray[np.int64] = np.diff(self.starts)
        return lengths

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Padded states fp32 ``[b, t, d]`` and their mask ``[b, t]``."""
        longest = max(int(self.starts[index + 1] - self.starts[index]) for index in indices)
        states = torch.zeros(len(indices), longest, self.states.shape[1])
        mask = torch.zeros(len(indices), longest, dtype=torch.bool)
        for row, index in enumerate(indices):
            piece = self.states[self.starts[index] : self.starts[index + 1]]
            states[row, : len(piece)] = torch.from_numpy(piece.astype(np.float32))
            mask[row, : len(piece)] = True
        return states, mask


def batches_by_length(lengths: NDArray[np.int64], rows: int) -> Iterator[list[int]]:
    """Indices in batches of texts of about one length, short ones first."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), rows):
        yield order[start : start + rows].tolist()


def lower_states(bert: Bert, reader: TextReader, texts: Sequence[str], layers: int, cache: Path) -> TokenStates:
    """The states after ``layers`` layers, from the disk where they are there.

    Args:
        bert: The pretrained encoder.
        reader: Its tokeniser.
        texts: The texts.
        layers: How many layers to go through.
        cache: A folder that the project ignores.
    """
    windows = [windows[0].token_ids for windows in reader.windows(texts)]
    identity = hashlib.sha256(json.dumps([TEXT_VERSION, layers, windows]).encode()).hexdigest()[:16]
    file = cache / f"states-{identity}.npy"
    starts = np.cumsum([0, *map(len, windows)]).astype(np.int64)
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npy")
        states = np.lib.format.open_memmap(
            part, mode="w+", dtype=np.float16, shape=(int(starts[-1]), bert.words.embedding_dim)
        )
        _fill(bert, windows, layers, states, starts)
        states.flush()
        part.rename(file)
    return TokenStates(np.load(file, mmap_mode="r"), starts)


@torch.inference_mode()
def _fill(
    bert: Bert,
    windows: list[tuple[int, ...]],
    layers: int,
    states: NDArray[np.float16],
    starts: NDArray[np.int64],
) -> None:
    device = bert.words.weight.device
    batches = list(batches_by_length(np.diff(starts), _ROWS))
    for indices in tqdm(batches, desc="lower layers", disable=None):
        longest = len(windows[indices[-1]])
        ids, mask = token_batch([windows[index] for index in indices], longest, device)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            out = bert.embed(ids)
            for layer in bert.layers[:layers]:
                out = layer(out, mask[:, None, None, :])
        for row, index in enumerate(indices):
            states[starts[index] : starts[index + 1]] = out[row, : len(windows[index])].half().cpu().numpy()
