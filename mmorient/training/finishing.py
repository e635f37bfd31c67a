"""From a trained model to a checkpoint: weights rounded to what is stored, the bank chosen, frozen and written."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmorient.config import Calibration
from mmorient.saving import save_checkpoint
from mmorient.training.bank_choice import choose_bank, class_counts, freeze_bank
from mmorient.training.batches import TrainingSet
from mmorient.training.compact import compact_config
from mmorient.training.config import TrainConfig
from mmorient.training.joint_model import JointModel
from mmorient.training.preparing import Prepared
from mmorient.training.pretrained import tokenizer_file
from mmorient.training.tokens import batches_by_length
from mmorient.training.vectors import Vectors

_log = logging.getLogger(__name__)


def finish(model: JointModel, prepared: Prepared, config: TrainConfig, out: Path) -> None:
    """Write the checkpoint, not yet calibrated.

    Args:
        model: Trained; its weights are rounded to fp16 here, so that the bank is frozen by what will be loaded.
        prepared: What it was trained on.
        config: Of the run.
        out: The folder.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    sizes, examples = prepared.sizes, prepared.data.examples
    vectors = embed_examples(model, prepared.data)
    chosen = choose_bank(examples, vectors, config.bank, sizes.global_vector, config.seed)
    _log.info("bank: %d posts, %s", len(chosen), class_counts(examples, chosen))
    posts = vectors.all_of(torch.tensor(chosen), (sizes.text_vector, sizes.picture_vector))
    bank = freeze_bank(model.head, posts, [examples[row] for row in chosen])
    save_checkpoint(
        out,
        compact_config(
            config.name,
            probes=dict(sizes.probes),
            bank_posts=len(bank),
            trunk=config.trunk,
            dropout=config.head_dropout,
        ),
        Calibration(),
        embedding=_embedding(model, prepared),
        head=model.head.state_dict(),
        bank=bank,
        tokenizer=tokenizer_file().read_bytes(),
    )


@torch.no_grad()
def embed_examples(model: JointModel, data: TrainingSet) -> Vectors:
    """All examples as a cache would hold them."""
    model.eval()
    sizes = model.head.sizes
    texts = torch.zeros(len(data.examples), sizes.text_vector + sizes.global_vector, dtype=torch.float16)
    for rows in batches_by_length(data.tokens.lengths(), 64):
        posts = model.embed_texts(data.batch(rows, None))
        texts[rows] = torch.cat(posts, dim=-1).half().cpu()
    regions = [
        model.attend_regions(torch.from_numpy(data.regions[start : start + 64].astype(np.float32))).cpu()
        for start in range(0, len(data.regions), 64)
    ]
    attended = torch.cat(regions) if regions else torch.zeros(0, sizes.picture_vector)
    return Vectors(
        texts,
        torch.from_numpy(data.has_text),
        torch.cat([attended, data.picture_globals], dim=-1).half(),
        torch.from_numpy(data.picture_row),
    )


def _embedding(model: JointModel, prepared: Prepared) -> dict[str, Tensor]:
    parts = {
        "text_encoder.bert": model.bert.state_dict(),
        "picture_encoder.network": prepared.network.state_dict(),
        "picture_encoder": prepared.projection,
        "text_attention": model.text_attention.state_dict(),
        "picture_attention": model.picture_attention.state_dict(),
    }
    return {f"{place}.{name}": tensor for place, tensors in parts.items() for name, tensor in tensors.items()}
