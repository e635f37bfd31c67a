"""Pictures: region states of the frozen encoder, and the projection of the global vector."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from mmorient.encoders.efficientnet import REGION_WIDTH, REGIONS, EfficientNetLite
from mmorient.encoders.lite import scaled
from mmorient.errors import PictureError
from mmorient.input.formats.source import PICTURE_VERSION
from mmorient.input.pictures import decode_picture

_log = logging.getLogger(__name__)
_ROWS = 8


def region_states(network: EfficientNetLite, files: Sequence[Path], cache: Path) -> NDArray[np.float16]:
    """Region states of pictures, from the disk where they are there.

    Args:
        network: The encoder.
        files: The pictures; one that cannot be decoded leaves zeros.
        cache: A folder that the project ignores.

    Returns:
        fp16 ``[n, 49, 1280]``, mapped from the disk.
    """
    if not files:
        return np.zeros((0, REGIONS, REGION_WIDTH), dtype=np.float16)
    names = [f"{file.parent.name}/{file.name}" for file in files]
    identity = hashlib.sha256(json.dumps([PICTURE_VERSION, names]).encode()).hexdigest()[:16]
    stored = cache / f"regions-{identity}.npy"
    if not stored.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        part = stored.with_suffix(".part.npy")
        states = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=(len(files), REGIONS, REGION_WIDTH))
        _fill(network, files, states)
        states.flush()
        part.rename(stored)
    loaded: NDArray[np.float16] = np.load(stored, mmap_mode="r")
    return loaded


@torch.inference_mode()
def _fill(network: EfficientNetLite, files: Sequence[Path], states: NDArray[np.float16]) -> None:
    for start in tqdm(range(0, len(files), _ROWS), desc="regions", disable=None):
        pixels, places = [], []
        for place, file in enumerate(files[start : start + _ROWS], start):
            try:
                pixels.append(decode_picture(file.read_bytes()).pixels)
            except PictureError as error:
                _log.warning("%s: %s", file.name, error)
                continue
            places.append(place)
        if pixels:
            batch = scaled(torch.from_numpy(np.stack(pixels)), torch.float32)
            states[places] = network(batch.to(memory_format=torch.channels_last)).half().numpy()


def fit_projection(means: Tensor, width: int) -> dict[str, Tensor]:
    """Centre and principal axes of pictures' mean regions.

    Args:
        means: fp32 ``[n, 1280]``, of training pictures; of none, the first axes as they stand.
        width: Axes to keep.

    Returns:
        ``centre`` ``[1280]`` and ``axes`` ``[width, 1280]``.
    """
    if not len(means):
        return {"centre": torch.zeros(REGION_WIDTH), "axes": torch.eye(width, REGION_WIDTH)}
    centre = means.mean(0)
    _, _, axes = torch.linalg.svd(means - centre, full_matrices=False)
    missing = max(0, width - len(axes))  # fewer pictures than axes
    return {"centre": centre, "axes": functional.pad(axes[:width], (0, 0, 0, missing))}
