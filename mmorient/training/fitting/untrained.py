"""A checkpoint with random weights after the encoders: for tests and for whoever builds around the model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mmorient.checkpointing.loading import model_sizes
from mmorient.checkpointing.saving import save_checkpoint
from mmorient.config import Calibration, CheckpointConfig, PictureEncoderConfig
from mmorient.encoders.efficientnet import REGION_WIDTH
from mmorient.labels import TASKS
from mmorient.network.bank import Bank
from mmorient.network.mm_orient import MmOrient
from mmorient.training.data.examples import PROBES
from mmorient.training.fitting.compact import GLOBAL_WIDTH, compact_config
from mmorient.training.fitting.pretrained import pretrained_picture, pretrained_text, tokenizer_file


def write_untrained(path: Path, *, seed: int = 0, bank_posts: int = 64, config: CheckpointConfig | None = None) -> None:
    """Write a checkpoint of random weights.

    Args:
        path: The folder.
        seed: Same seed, same checkpoint.
        bank_posts: Reference posts, random ones; every second has a picture.
        config: Of another variant than ``compact``; then it says how many reference posts there are.
    """
    generator = torch.Generator().manual_seed(seed)
    if config is None:
        config = compact_config("mm-orient-untrained", probes=PROBES, bank_posts=bank_posts)
    bank_posts = config.head.bank_posts
    sizes = model_sizes(config)
    head = {name: _random(generator, *tensor.shape) * 0.05 for name, tensor in MmOrient(sizes).state_dict().items()}
    embedding = _of_compact(generator) if isinstance(config.picture_encoder, PictureEncoderConfig) else {}
    embedding |= {
        "text_attention.kernel": _random(generator, sizes.text_vector, 1) * 0.1,
        "text_attention.bias": torch.zeros(1),
        "picture_attention.kernel": _random(generator, sizes.picture_vector, 1) * 0.1,
        "picture_attention.bias": torch.zeros(1),
    }
    pictured = torch.arange(0, bank_posts, 2, dtype=torch.int32)
    bank = Bank(
        text_global=functional.normalize(_random(generator, bank_posts, sizes.global_vector), dim=-1),
        text_index=torch.arange(bank_posts, dtype=torch.int32),
        picture_global=functional.normalize(_random(generator, len(pictured), sizes.global_vector), dim=-1),
        picture_index=pictured,
        text_bias=_random(generator, sizes.text_vector) * 0.1,
        picture_bias=_random(generator, sizes.picture_vector) * 0.1,
        labels=torch.full((bank_posts, len(TASKS)), -1, dtype=torch.int8),
    )
    tokenizer = tokenizer_file().read_bytes()
    save_checkpoint(path, config, Calibration(), embedding=embedding, head=head, bank=bank, tokenizer=tokenizer)


def _of_compact(generator: torch.Generator) -> dict[str, Tensor]:
    """The encoders as they were pretrained, and a random projection."""
    text = {f"text_encoder.bert.{name}": tensor for name, tensor in pretrained_text().state_dict().items()}
    network = pretrained_picture().state_dict()
    picture = {f"picture_encoder.network.{name}": tensor for name, tensor in network.items()}
    return (
        text
        | picture
        | {
            "picture_encoder.centre": torch.zeros(REGION_WIDTH),
            "picture_encoder.axes": _random(generator, GLOBAL_WIDTH, REGION_WIDTH) * REGION_WIDTH**-0.5,
        }
    )


def _random(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator)
