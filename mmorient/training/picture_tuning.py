"""Phase 1, pictures: the projection of the global vector, and HIMA stage 1 over the regions of a frozen encoder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mmorient.encoders.efficientnet import REGION_WIDTH, REGIONS, EfficientNetLite
from mmorient.encoders.lite import scaled
from mmorient.errors import PictureError
from mmorient.hima import ElementAttention
from mmorient.pictures import PICTURE_VERSION, decode_picture
from mmorient.training.data import TRAIN, Example

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
        means: fp32 ``[n, 1280]``, of training pictures.
        width: Axes to keep.

    Returns:
        ``centre`` ``[1280]`` and ``axes`` ``[width, 1280]``.
    """
    centre = means.mean(0)
    _, _, axes = torch.linalg.svd(means - centre, full_matrices=False)
    missing = max(0, width - len(axes))  # fewer pictures than axes
    return {"centre": centre, "axes": functional.pad(axes[:width], (0, 0, 0, missing))}


def tune_regions(
    states: NDArray[np.float16], examples: Sequence[Example], *, epochs: int = 6, rate: float = 1e-3, seed: int = 0
) -> ElementAttention:
    """Train HIMA stage 1 of the pictures, with one throw-away linear head a question.

    Args:
        states: ``[n, 49, 1280]``, of the examples' pictures, in their order.
        examples: Those with a picture; only the train split is learned from.
        epochs: Passes.
        rate: Learning rate.
        seed: Of order and initial weights.
    """
    torch.manual_seed(seed)
    attention = ElementAttention(REGION_WIDTH)
    nn.init.normal_(attention.kernel, std=0.01)
    questions = sorted({f"{example.source}_{head}" for example in examples for head in example.targets})
    heads = nn.ModuleDict({name: nn.Linear(REGION_WIDTH, 3) for name in questions})
    optimiser = torch.optim.AdamW([*attention.parameters(), *heads.parameters()], lr=rate, weight_decay=0.05)
    learned = np.array([index for index, example in enumerate(examples) if example.split == TRAIN])
    random = np.random.default_rng(seed)
    for epoch in range(epochs):
        losses = []
        for indices in np.array_split(random.permutation(learned), max(1, len(learned) // 64)):
            batch = torch.from_numpy(states[np.sort(indices)].astype(np.float32))
            vectors = functional.dropout(attention(batch).vector, 0.3)
            loss = _loss(heads, vectors, [examples[index] for index in np.sort(indices)])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
        _log.info("regions: epoch %d of %d, loss %.4f", epoch + 1, epochs, np.mean(losses))
    return attention.eval()


def _loss(heads: nn.ModuleDict, vectors: Tensor, examples: Sequence[Example]) -> Tensor:
    total = vectors.new_zeros(())
    by_question: dict[str, tuple[list[int], list[int]]] = {}
    for row, example in enumerate(examples):
        for head, target in example.targets.items():
            rows, targets = by_question.setdefault(f"{example.source}_{head}", ([], []))
            rows.append(row)
            targets.append(target)
    for name, (rows, targets) in by_question.items():
        logits = heads[name](vectors[rows])
        total = total + functional.cross_entropy(logits, torch.tensor(targets), reduction="sum") / len(examples)
    return total
