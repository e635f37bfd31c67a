"""From a trained model to a checkpoint: weights rounded to what is stored, the bank chosen, frozen and written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmorient.checkpointing.loading import Checkpoint
from mmorient.checkpointing.saving import save_checkpoint
from mmorient.config import Calibration, CheckpointConfig
from mmorient.training.config import TrainConfig
from mmorient.training.data.tokens import batches_by_length
from mmorient.training.fitting.bank_choice import choose_bank, class_counts, draw_bank, freeze_bank
from mmorient.training.fitting.batches import TrainingSet
from mmorient.training.fitting.compact import compact_config
from mmorient.training.fitting.joint_model import CompactModel, JointModel
from mmorient.training.fitting.preparing import Prepared
from mmorient.training.fitting.pretrained import tokenizer_file
from mmorient.training.fitting.vectors import Vectors

_log = logging.getLogger(__name__)
_CHUNK = 64
POOL = 8  # candidates to a place in the bank


@dataclass(frozen=True, slots=True)
class Held:
    """What a checkpoint holds of its encoders.

    Attributes:
        config: The number of reference posts to the checkpoint's configuration.
        tensors: Of both encoders, under the names that ``embedding.safetensors`` has.
        tokenizer: Of the text encoder.
        global_tokenizer: Of its companion.
        before: The checkpoint that is trained further and whose bank and calibration stay, if one is.
    """

    config: Callable[[int], CheckpointConfig]
    tensors: dict[str, Tensor]
    tokenizer: bytes
    global_tokenizer: bytes | None = None
    before: Checkpoint | None = None


def finish(
    model: CompactModel, prepared: Prepared, config: TrainConfig, out: Path, before: Checkpoint | None = None
) -> None:
    """Write a ``compact`` checkpoint, not yet calibrated.

    Args:
        model: Trained; its weights are rounded to fp16 here, so that the bank is frozen by what will be loaded.
        prepared: What it was trained on.
        config: Of the run.
        out: The folder.
        before: The checkpoint that is trained further and whose bank and calibration stay, if one is.
    """
    _round(model)
    parts = {
        "text_encoder.bert": model.bert.state_dict(),
        "picture_encoder.network": prepared.network.state_dict(),
        "picture_encoder": prepared.projection,
    }

    def describe(bank_posts: int) -> CheckpointConfig:
        return compact_config(
            config.name,
            probes=dict(prepared.sizes.probes),
            bank_posts=bank_posts,
            trunk=config.trunk,
            dropout=config.head_dropout,
            layers=len(model.bert.layers),
        )

    tensors = {f"{place}.{name}": tensor for place, own in parts.items() for name, tensor in own.items()}
    write(model, prepared.data, config, out, Held(describe, tensors, tokenizer_file().read_bytes(), before=before))


def write(model: JointModel, data: TrainingSet, config: TrainConfig, out: Path, held: Held) -> None:
    """Choose and freeze the bank, and write a checkpoint, not yet calibrated.

    Args:
        model: Its weights are what fp16 can say.
        data: What it was trained on.
        config: Of the run.
        out: The folder.
        held: What the checkpoint holds of the encoders.
    """
    sizes = model.head.sizes
    pool = draw_bank(data.examples, {source: POOL * count for source, count in config.bank.items()}, config.seed)
    examples = [data.examples[row] for row in pool]
    vectors = embed_examples(model, data, pool)
    chosen = choose_bank(examples, vectors, config.bank, sizes.global_vector, config.seed)
    _log.info("bank: %d posts, %s", len(chosen), class_counts(examples, chosen))
    posts = vectors.posts(torch.tensor(chosen), (sizes.text_vector, sizes.picture_vector))
    model.head.cpu()
    bank = freeze_bank(model.head, posts, [examples[row] for row in chosen])
    if held.before is not None:
        bank = held.before.bank.extended(bank)
    attention = {"text_attention": model.text_attention, "picture_attention": model.picture_attention}
    stage_1 = {f"{place}.{name}": one for place, part in attention.items() for name, one in part.state_dict().items()}
    save_checkpoint(
        out,
        held.config(len(bank)),
        Calibration() if held.before is None else held.before.calibration,
        embedding=held.tensors | stage_1,
        head=model.head.state_dict(),
        bank=bank,
        tokenizer=held.tokenizer,
        global_tokenizer=held.global_tokenizer,
    )


@torch.no_grad()
def embed_examples(model: JointModel, data: TrainingSet, rows: Sequence[int]) -> Vectors:
    """Some examples as a cache would hold them, in the order of the rows."""
    model.eval()
    sizes, device = model.head.sizes, model.text_attention.kernel.device
    texts = torch.zeros(len(rows), sizes.text_vector + sizes.global_vector, dtype=torch.float16)
    for places in batches_by_length(data.tokens.lengths()[rows], _CHUNK):
        batch = data.batch([rows[place] for place in places], None).to(device)
        texts[places] = torch.cat(model.embed_texts(batch), dim=-1).half().cpu()
    files = data.picture_row[rows]
    pictured = files[files >= 0]
    # A row that nobody owns where there is no picture, for rows without one to point at.
    pictures = torch.zeros(max(1, len(pictured)), sizes.picture_vector + sizes.global_vector, dtype=torch.float16)
    for start in range(0, len(pictured), _CHUNK):
        own = pictured[start : start + _CHUNK]
        regions = torch.from_numpy(data.regions[own].astype(np.float32))
        seen = model.embed_pictures(regions.to(device), data.picture_globals[own].to(device))
        pictures[start : start + _CHUNK] = torch.cat(seen, dim=-1).half().cpu()
    places_of = np.where(files >= 0, np.cumsum(files >= 0) - 1, -1)
    return Vectors(texts, torch.from_numpy(data.has_text[rows]), pictures, torch.from_numpy(places_of))


@torch.no_grad()
def _round(model: JointModel) -> None:
    for parameter in model.parameters():
        parameter.copy_(parameter.half().float())
