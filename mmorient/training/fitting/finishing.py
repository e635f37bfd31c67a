"""From a trained model to a checkpoint: weights rounded to what is stored, the bank chosen, frozen and written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmorient.checkpointing.loading import Checkpoint
from mmorient.checkpointing.saving import save_checkpoint
from mmorient.config import Calibration
from mmorient.training.config import TrainConfig
from mmorient.training.data.tokens import batches_by_length
from mmorient.training.fitting.bank_choice import choose_bank, class_counts, draw_bank, freeze_bank
from mmorient.training.fitting.batches import TrainingSet
from mmorient.training.fitting.compact import compact_config
from mmorient.training.fitting.joint_model import JointModel
from mmorient.training.fitting.preparing import Prepared
from mmorient.training.fitting.pretrained import tokenizer_file
from mmorient.training.fitting.vectors import Vectors

_log = logging.getLogger(__name__)
_CHUNK = 64
_POOL = 8  # candidates to a place in the bank


def finish(
    model: JointModel, prepared: Prepared, config: TrainConfig, out: Path, before: Checkpoint | None = None
) -> None:
    """Write the checkpoint, not yet calibrated.

    Args:
        model: Trained; its weights are rounded to fp16 here, so that the bank is frozen by what will be loaded.
        prepared: What it was trained on.
        config: Of the run.
        out: The folder.
        before: The checkpoint that is trained further and whose bank and calibration stay, if one is.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    sizes, data = prepared.sizes, prepared.data
    pool = draw_bank(data.examples, {source: _POOL * count for source, count in config.bank.items()}, config.seed)
    examples = [data.examples[row] for row in pool]
    vectors = embed_examples(model, data, pool)
    chosen = choose_bank(examples, vectors, config.bank, sizes.global_vector, config.seed)
    _log.info("bank: %d posts, %s", len(chosen), class_counts(examples, chosen))
    posts = vectors.posts(torch.tensor(chosen), (sizes.text_vector, sizes.picture_vector))
    bank = freeze_bank(model.head, posts, [examples[row] for row in chosen])
    if before is not None:
        bank = before.bank.extended(bank)
    save_checkpoint(
        out,
        compact_config(
            config.name,
            probes=dict(sizes.probes),
            bank_posts=len(bank),
            trunk=config.trunk,
            dropout=config.head_dropout,
        ),
        Calibration() if before is None else before.calibration,
        embedding=_embedding(model, prepared),
        head=model.head.state_dict(),
        bank=bank,
        tokenizer=tokenizer_file().read_bytes(),
    )


@torch.no_grad()
def embed_examples(model: JointModel, data: TrainingSet, rows: Sequence[int]) -> Vectors:
    """Some examples as a cache would hold them, in the order of the rows."""
    model.eval()
    sizes = model.head.sizes
    texts = torch.zeros(len(rows), sizes.text_vector + sizes.global_vector, dtype=torch.float16)
    for places in batches_by_length(data.tokens.lengths()[rows], _CHUNK):
        batch = data.batch([rows[place] for place in places], None)
        texts[places] = torch.cat(model.embed_texts(batch), dim=-1).half()
    files = data.picture_row[rows]
    pictured = files[files >= 0]
    # A row that nobody owns where there is no picture, for rows without one to point at.
    pictures = torch.zeros(max(1, len(pictured)), sizes.picture_vector + sizes.global_vector, dtype=torch.float16)
    for start in range(0, len(pictured), _CHUNK):
        own = pictured[start : start + _CHUNK]
        attended = model.attend_regions(torch.from_numpy(data.regions[own].astype(np.float32)))
        pictures[start : start + _CHUNK] = torch.cat([attended, data.picture_globals[own]], dim=-1).half()
    places_of = np.where(files >= 0, np.cumsum(files >= 0) - 1, -1)
    return Vectors(texts, torch.from_numpy(data.has_text[rows]), pictures, torch.from_numpy(places_of))


def _embedding(model: JointModel, prepared: Prepared) -> dict[str, Tensor]:
    parts = {
        "text_encoder.bert": model.bert.state_dict(),
        "picture_encoder.network": prepared.network.state_dict(),
        "picture_encoder": prepared.projection,
        "text_attention": model.text_attention.state_dict(),
        "picture_attention": model.picture_attention.state_dict(),
    }
    return {f"{place}.{name}": tensor for place, tensors in parts.items() for name, tensor in tensors.items()}
