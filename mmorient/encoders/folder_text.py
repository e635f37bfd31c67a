"""Text encoders of a local folder in the Hugging Face layout, whatever their family (PAE, section 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmorient.config import FolderTextConfig
from mmorient.encoders import TextEncoder
from mmorient.encoders.families import TEXTS, build
from mmorient.encoders.minilm import mean_over
from mmorient.encoders.projection import Precise, Projection
from mmorient.input.text import TextReader


class FolderText(Precise):
    """Token states are the last layer's, the global vector their mean (of a CLIP: the end token's, projected).

    Args:
        config: What it is.
        tokenizers: Folder of the tokenizers that the configuration names.

    Raises:
        ValueError: The configuration builds none, or a tokenizer is not what it says.
    """

    def __init__(self, config: FolderTextConfig, tokenizers: Path) -> None:
        super().__init__()
        family = TEXTS.get(config.family)
        if family is None:
            raise ValueError(f"{config.family!r} is no family of text encoders: {', '.join(TEXTS)}")
        self.family = config.family
        self.model: Any = build(family, config.architecture)
        sizes: Any = self.model.config
        self.state_width: int = sizes.hidden_size
        self.raw_width: int = sizes.projection_dim if config.family == "clip" else sizes.hidden_size
        self.projection = Projection(self.raw_width, config.global_width) if config.projected else None
        # Code of transformers may wait for the device, or do other operations from call to call.
        self.replayable = False
        self.companion: TextEncoder | None = (
            None if config.companion is None else FolderText(config.companion, tokenizers)
        )
        self.global_width: int = (
            config.global_width if self.projection or self.companion is not None else self.raw_width
        )
        self.reader = _reader(config, tokenizers / config.tokenizer, sizes.vocab_size)
        # RoBERTa's positions begin behind that of the padding. Given here, they do not depend on what the padding is.
        self.first_position: int | None = sizes.pad_token_id + 1 if family.offset_positions else None
        self.padding: int = sizes.pad_token_id or 0

    def encode(self, token_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As ``TextEncoder.encode``: ``[b, t]`` to ``[b, t, Dt]`` and ``[b, D]``."""
        states, raw = self.encode_raw(token_ids, mask)
        return states, raw if self.projection is None else self.projection(raw)

    def encode_raw(self, token_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token states ``[b, t, Dt]``, and global vectors before their projection ``[b, W]``; both fp32."""
        ids = token_ids.masked_fill(~mask, self.padding)
        if self.family == "clip":
            # Attention is causal: padding stands to the right, where no token looks, and needs no mask.
            states = self.model.text_model(input_ids=ids).last_hidden_state
            ends = states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]  # [b, t, d] -> [b, d]
            return states.float(), self.model.text_projection(ends).float()
        places: dict[str, Tensor] = {}
        if self.first_position is not None:
            places["position_ids"] = torch.arange(ids.shape[1], device=ids.device)[None] + self.first_position
        found = self.model(input_ids=ids, attention_mask=mask.long(), **places)
        states = found.last_hidden_state.float()
        return states, mean_over(states, mask)


def _reader(config: FolderTextConfig, tokenizer: Path, vocabulary: int) -> TextReader:
    try:
        reader = TextReader(
            tokenizer,
            window_tokens=config.window_tokens,
            begin=config.begin,
            end=config.end,
            between=config.between,
            lead=config.lead,
            known=config.known_tokens,
        )
    except Exception as error:  # tokenizers raises bare ones
        raise ValueError(f"{tokenizer.name}: {' '.join(str(error).split())[:200]}") from error
    if reader.vocabulary > vocabulary:
        raise ValueError(f"{tokenizer.name} knows {reader.vocabulary} tokens, the model {vocabulary}")
    return reader


def own_parameters(encoder: nn.Module) -> list[nn.Parameter]:
    """An encoder's parameters without those of its companion."""
    theirs = getattr(encoder, "companion", None)
    aside = set(theirs.parameters()) if isinstance(theirs, nn.Module) else set()
    return [one for one in encoder.parameters() if one not in aside]
