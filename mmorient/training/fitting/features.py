"""What frozen encoders make of all posts, kept on the disk: read in every epoch, computed once."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from mmorient.encoders.folder_picture import FolderPicture
from mmorient.encoders.folder_text import FolderText
from mmorient.encoders.minilm import token_batch
from mmorient.errors import PictureError
from mmorient.input.formats.source import PICTURE_VERSION
from mmorient.input.pictures import decode_picture
from mmorient.input.text import TEXT_VERSION
from mmorient.training.data.tokens import TokenTable, batches_by_length

_log = logging.getLogger(__name__)
_TEXTS, _PICTURES = 64, 16


@dataclass(frozen=True, slots=True)
class TextStates:
    """Token states of all texts, one behind the other.

    Attributes:
        states: fp16 ``[tokens, Dt]``, mapped from the disk.
        starts: int64 ``[n + 1]``, where each text's begin.
    """

    states: NDArray[np.float16]
    starts: NDArray[np.int64]

    def batch(self, rows: Sequence[int], length: int) -> Tensor:
        """States of some texts, padded with zeros: fp32 ``[b, length, Dt]``."""
        padded = np.zeros((len(rows), length, self.states.shape[1]), dtype=np.float32)
        for place, row in enumerate(rows):
            own = self.states[self.starts[row] : self.starts[row + 1]][:length]
            padded[place, : len(own)] = own
        return torch.from_numpy(padded)


def text_states(
    encoder: FolderText, table: TokenTable, cache: Path, identity: str, device: torch.device
) -> tuple[TextStates, Tensor]:
    """Token states and global vectors before their projection, from the disk where they are there.

    Args:
        encoder: Frozen, on the device.
        table: Token ids of all texts.
        cache: A folder that the project ignores; two bytes a token and state.
        identity: Of the encoder: its weights and its preprocessing.
        device: Where it computes.

    Returns:
        The states, and fp32 ``[n, W]``.
    """
    starts = np.concatenate([[0], np.cumsum(table.lengths())]).astype(np.int64)
    name = _name("states", f"{TEXT_VERSION} {identity}", table.rows)
    stored, globals_file = cache / f"{name}.npy", cache / f"{name}-globals.npy"
    if not (stored.is_file() and globals_file.is_file()):
        cache.mkdir(parents=True, exist_ok=True)
        part = stored.with_suffix(".part.npy")
        states = np.lib.format.open_memmap(
            part, mode="w+", dtype=np.float16, shape=(int(starts[-1]), encoder.state_width)
        )
        raw = torch.zeros(len(table.rows), encoder.raw_width)
        for rows, found, globals_ in _read(encoder, table, range(len(table.rows)), device):
            raw[rows] = globals_
            for row, own in zip(rows, found, strict=True):
                states[starts[row] : starts[row + 1]] = own[: len(table.rows[row])].numpy()
        states.flush()
        np.save(globals_file, raw.numpy())
        part.rename(stored)
    return TextStates(np.load(stored, mmap_mode="r"), starts), torch.from_numpy(np.load(globals_file))


def text_globals(encoder: FolderText, table: TokenTable, rows: Sequence[int], device: torch.device) -> Tensor:
    """Global vectors of some texts before their projection: fp32 ``[n, W]``, in the order of the rows."""
    raw = torch.zeros(len(rows), encoder.raw_width)
    place_of = {row: place for place, row in enumerate(rows)}
    for own, _, globals_ in _read(encoder, table, rows, device):
        raw[[place_of[row] for row in own]] = globals_
    return raw


@torch.inference_mode()
def _read(encoder: FolderText, table: TokenTable, rows: Sequence[int], device: torch.device) -> Any:
    """Yield rows of about one length, their states as fp16 ``[b, t, Dt]``, and their global vectors."""
    lengths = table.lengths()[list(rows)]
    for places in tqdm(list(batches_by_length(lengths, _TEXTS)), desc="reading texts", disable=None):
        own = [rows[place] for place in places]
        tokens = [table.rows[row] for row in own]
        ids, mask = token_batch(tokens, max(map(len, tokens)), device)
        states, globals_ = encoder.encode_raw(ids, mask)
        yield own, states.half().cpu(), globals_.cpu()


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures as training reads them.

    Attributes:
        values: fp16 ``[m, R, Dr]`` of a frozen encoder, or uint8 ``[m, side, side, 3]``; mapped from the disk.
        decoded: bool ``[m]``, False where a file is no picture: zeros stand there.
    """

    values: NDArray[Any]
    decoded: NDArray[np.bool_]


def picture_pixels(encoder: FolderPicture, files: Sequence[Path], cache: Path) -> Pictures:
    """Squares of pixels, from the disk where they are there.

    Args:
        encoder: Whose frame they are put into.
        files: The pictures.
        cache: A folder that the project ignores; 150 kB a picture of 224 pixels.
    """
    frame = encoder.frame
    shape = (len(files), frame.side, frame.side, 3)
    name = pixels_name(encoder, files)
    stored, seen_file = cache / f"{name}.npy", cache / f"{name}-decoded.npy"
    if not (stored.is_file() and seen_file.is_file()):
        cache.mkdir(parents=True, exist_ok=True)
        part = stored.with_suffix(".part.npy")
        pixels = _new(part, np.uint8, shape)
        decoded = np.zeros(len(files), dtype=bool)
        for place, file in enumerate(tqdm(files, desc="pictures", disable=None)):
            try:
                pixels[place] = decode_picture(file.read_bytes(), frame=frame).pixels
                decoded[place] = True
            except PictureError as error:
                _log.warning("%s: %s", file.name, error)
        np.save(seen_file, decoded)
        _close(part, stored, pixels)
    return Pictures(_mapped(stored, shape), np.load(seen_file))


def picture_states(
    encoder: FolderPicture, pixels: Pictures, cache: Path, identity: str, device: torch.device
) -> tuple[Pictures, Tensor]:
    """Region states and global vectors before their projection, from the disk where they are there.

    Args:
        encoder: Frozen, on the device.
        pixels: What it reads.
        cache: A folder that the project ignores; two bytes a region and state.
        identity: Of the encoder and the pictures.
        device: Where it computes.

    Returns:
        The states, and fp32 ``[m, W]``.
    """
    shape = (len(pixels.values), encoder.regions, encoder.state_width)
    stored, globals_file = cache / f"{identity}.npy", cache / f"{identity}-globals.npy"
    if not (stored.is_file() and globals_file.is_file()):
        part = stored.with_suffix(".part.npy")
        states = _new(part, np.float16, shape)
        raw = np.zeros((len(pixels.values), encoder.raw_width), dtype=np.float32)
        for start in tqdm(range(0, len(pixels.values), _PICTURES), desc="seeing pictures", disable=None):
            places = [one for one in range(start, min(start + _PICTURES, len(states))) if pixels.decoded[one]]
            if places:
                found, globals_ = _see(encoder, pixels.values[places], device)
                states[places], raw[places] = found.half().numpy(), globals_.numpy()
        np.save(globals_file, raw)
        _close(part, stored, states)
    return Pictures(_mapped(stored, shape), pixels.decoded), torch.from_numpy(np.load(globals_file))


def picture_globals(encoder: FolderPicture, pixels: Pictures, rows: Sequence[int], device: torch.device) -> Tensor:
    """Global vectors of some pictures before their projection: fp32 ``[n, W]``."""
    parts = [list(rows[start : start + _PICTURES]) for start in range(0, len(rows), _PICTURES)]
    found = [_see(encoder, pixels.values[part], device)[1] for part in parts]
    return torch.cat(found) if found else torch.zeros(0, encoder.raw_width)


def pixels_name(encoder: FolderPicture, files: Sequence[Path]) -> str:
    """What squares of pixels depend on: the files, and how they are read."""
    stamps = [f"{file.parent.name}/{file.name}:{file.stat().st_size if file.is_file() else 0}" for file in files]
    return _name("pixels", f"{PICTURE_VERSION} {encoder.frame}", stamps)


def identity_of(*parts: object) -> str:
    """A short digest of what features depend on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


@torch.inference_mode()
def _see(encoder: FolderPicture, pixels: NDArray[np.uint8], device: torch.device) -> tuple[Tensor, Tensor]:
    states, raw = encoder.encode_raw(torch.from_numpy(np.ascontiguousarray(pixels)).to(device))
    return states.cpu(), raw.cpu()


def _name(kind: str, identity: str, content: object) -> str:
    return f"{kind}-{identity_of(identity, content)}"


def _new(file: Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    # An array without rows cannot be mapped.
    return np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape) if shape[0] else np.zeros(shape, dtype)


def _close(part: Path, stored: Path, values: NDArray[Any]) -> None:
    if isinstance(values, np.memmap):
        values.flush()
        part.rename(stored)
    else:
        np.save(stored, values)


def _mapped(file: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    found: NDArray[Any] = np.load(file, mmap_mode="r" if shape[0] else None)
    return found
