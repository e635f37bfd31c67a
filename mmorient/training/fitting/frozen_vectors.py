"""``compact`` with encoders that stay: stage 1 vectors of all posts are computed once, and what follows them learns.

An epoch then takes seconds rather than minutes, so that heads can be tried on one encoder again and again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mmorient.labels import TASKS
from mmorient.training.config import TrainConfig
from mmorient.training.data.examples import VAL
from mmorient.training.data.tokens import TokenTable, batches_by_length
from mmorient.training.fitting.bank_choice import draw_bank
from mmorient.training.fitting.batches import Batch, TrainingSet, epochs_of
from mmorient.training.fitting.finishing import POOL
from mmorient.training.fitting.joint_model import CompactModel
from mmorient.training.fitting.preparing import Prepared

_log = logging.getLogger(__name__)
_TEXTS, _PICTURES = 64, 256


class FrozenModel(CompactModel):
    """The first column of a batch's tokens is the text's row in ``texts``; a picture's one region is its vector.

    Args:
        model: Whose weights it takes over.
        texts: fp16 ``[n, Dt + D]``.
    """

    def __init__(self, model: CompactModel, texts: Tensor) -> None:
        super().__init__(model.bert, model.head.sizes, 0)
        self.text_attention, self.picture_attention = model.text_attention, model.picture_attention
        self.head, self.bf16 = model.head, model.bf16
        self.texts = texts
        for one in (self.bert, self.text_attention, self.picture_attention):
            one.requires_grad_(requires_grad=False)

    def embed_texts(self, batch: Batch, *, dropout: float = 0.0, token_dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """As ``JointModel.embed_texts``; a share of the values is left out instead of tokens."""
        del token_dropout
        rows = self.texts[batch.tokens[:, 0].cpu()].to(batch.tokens.device).float()
        width = self.head.sizes.text_vector
        vector, globals_ = rows[:, :width], rows[:, width:]
        if dropout:
            vector = functional.dropout(vector, dropout)
            globals_ = functional.normalize(functional.dropout(globals_, dropout), dim=-1)
        return vector, globals_

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """What is behind the stage 1 vectors."""
        learned: list[nn.Parameter] = [one for one in self.rest() if one.requires_grad]
        return [{"params": learned, "lr": config.head_rate}]


def freeze(
    model: CompactModel, prepared: Prepared, config: TrainConfig, work: Path, identity: str
) -> tuple[FrozenModel, Prepared]:
    """Compute the vectors of all that a run reads, or find them on the disk.

    Args:
        model: Its encoder and its stage 1 stay.
        prepared: Whose tokens and regions are read.
        config: Of the run: what its epochs and its bank take.
        work: A folder that the project ignores, 1.5 kB a text that is read.
        identity: Of the model's weights.

    Returns:
        What learns, and what it learns from.
    """
    data = prepared.data
    rows = rows_read(data, config, config.bank)
    texts = _text_vectors(model, data, rows, work / "cache", identity)
    pictures = _picture_vectors(model, data.regions)
    frozen = replace(prepared, data=data.with_vectors(TokenTable(tuple((row,) for row in range(len(texts)))), pictures))
    return FrozenModel(model, texts), frozen


def rows_read(data: TrainingSet, config: TrainConfig, bank: dict[str, int]) -> list[int]:
    """The examples with a text that a run shows, validates on or may put into its bank, in their order."""
    shown = {row for epoch in epochs_of(data, config) for batch in epoch for row in batch}
    pool = draw_bank(data.examples, {source: POOL * count for source, count in bank.items()}, config.seed)
    drawn = draw_bank(data.examples, bank, config.seed)
    judged = [row for row, one in enumerate(data.examples) if one.split == VAL and TASKS.keys() & one.targets.keys()]
    return sorted(row for row in shown.union(pool, drawn, judged) if data.has_text[row])


@torch.no_grad()
def _text_vectors(model: CompactModel, data: TrainingSet, rows: Sequence[int], cache: Path, identity: str) -> Tensor:
    """fp16 ``[n, Dt + D]``, zeros of what is not read. They are kept on the disk, by what each text is made of."""
    width = model.head.sizes.text_vector + model.head.sizes.global_vector
    table = np.zeros((len(data.examples), width), dtype=np.float16)
    tokens = [data.tokens.rows[row] for row in rows]
    stored = cache / f"vectors-{_digest(identity, tokens)}.npy"
    if stored.is_file():
        table[rows] = np.load(stored)
        return torch.from_numpy(table)
    cache.mkdir(parents=True, exist_ok=True)
    model.eval()
    device = model.text_attention.kernel.device
    for places in tqdm(list(batches_by_length(data.tokens.lengths()[rows], _TEXTS)), desc="texts", disable=None):
        own = [rows[place] for place in places]
        vectors = model.embed_texts(data.batch(own, None).to(device))
        table[own] = torch.cat(vectors, dim=-1).half().cpu().numpy()
    part = stored.with_suffix(".part.npy")
    np.save(part, table[rows])
    part.rename(stored)
    return torch.from_numpy(table)


@torch.no_grad()
def _picture_vectors(model: CompactModel, regions: NDArray[np.float16]) -> NDArray[np.float16]:
    """fp16 ``[m, 1, Dr]``: attention over one region is that region."""
    vectors = np.zeros((len(regions), 1, regions.shape[2]), dtype=np.float16)
    device = model.picture_attention.kernel.device
    for start in tqdm(range(0, len(regions), _PICTURES), desc="pictures", disable=None):
        own = torch.from_numpy(regions[start : start + _PICTURES].astype(np.float32)).to(device)
        vectors[start : start + _PICTURES, 0] = model.attend_regions(own).half().cpu().numpy()
    return vectors


def _digest(identity: str, tokens: Collection[tuple[int, ...]]) -> str:
    found = hashlib.sha256(identity.encode())
    for one in tokens:
        found.update(np.array([*one, -1], dtype=np.int32).tobytes())
    return found.hexdigest()[:16]
