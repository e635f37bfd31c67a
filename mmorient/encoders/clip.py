"""The encoders of ``clip``: both towers of a CLIP such as ViT-B/32 (PAE, section 1; arXiv 2508.16300).

Tokens and patches are what HIMA attends to; the projected vectors are the global ones, and share a space.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPTextModelWithProjection, CLIPVisionModelWithProjection

from mmorient.config import HuggingFaceFolder
from mmorient.encoders import TextEncoder
from mmorient.encoders.hugging_face import (
    CONFIG,
    PREPROCESSOR,
    TOKENIZER,
    WEIGHTS,
    PixelScale,
    load_config,
    load_model,
    load_reader,
    open_folder,
    read_scale,
)
from mmorient.errors import CheckpointError
from mmorient.input.posts import Frame
from mmorient.input.text import WINDOW_TOKENS, TextReader

TEXT_FILES = (CONFIG, WEIGHTS, TOKENIZER)
PICTURE_FILES = (CONFIG, WEIGHTS, PREPROCESSOR)


class ClipText(nn.Module):
    """Token states are the last layer's, normed; the global vector is the end token's, projected.

    Args:
        model: The text tower.
        reader: Its tokenizer, windows of no more tokens than it has positions.
    """

    def __init__(self, model: CLIPTextModelWithProjection, reader: TextReader) -> None:
        super().__init__()
        sizes: Any = model.config
        self.state_width: int = sizes.hidden_size
        self.global_width: int = sizes.projection_dim
        self.reader = reader
        self.companion: TextEncoder | None = None
        self.replayable = False
        self.model = model

    def encode(self, token_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As ``TextEncoder.encode``: ``[b, t]`` to ``[b, t, Dt]`` and ``[b, D]``."""
        # Attention is causal: padding stands to the right, where no token looks, and needs no mask.
        states = self.model.text_model(input_ids=token_ids).last_hidden_state
        # transformers looks for the end by its id, first occurrence or largest number; we know where it is.
        ends = states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]  # [b, t, d] -> [b, d]
        projected: Tensor = self.model.text_projection(ends)
        return states.float(), projected.float()


class ClipPicture(nn.Module):
    """Region states are the patches', row by row; the global vector is the class token's, projected, of length 1.

    Args:
        model: The picture tower.
        scale: The folder's pixel statistics.
        centre: Whether the square shows the picture's middle alone, as CLIP was trained.
    """

    def __init__(self, model: CLIPVisionModelWithProjection, scale: PixelScale, *, centre: bool = False) -> None:
        super().__init__()
        sizes: Any = model.config
        side = sizes.image_size // sizes.patch_size
        self.state_width: int = sizes.hidden_size
        self.global_width: int = sizes.projection_dim
        self.regions: int = side * side
        # The middle's patches tile the middle: as a map of the picture they would mislead.
        self.grid: tuple[int, int] | None = None if centre else (side, side)
        self.frame = Frame(sizes.image_size, centre)
        self.replayable = False
        self.model = model
        self.scale = scale

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``PictureEncoder.encode``: ``[b, side, side, 3]`` to ``[b, R, Dr]`` and ``[b, D]``."""
        found = self.model(pixel_values=self.scale(pixels, self.model.visual_projection.weight.dtype))
        patches: Tensor = found.last_hidden_state[:, 1:]  # the class token stands first
        return patches.float(), functional.normalize(found.image_embeds.float(), dim=-1)


def load_clip_text(config: HuggingFaceFolder, base: Path) -> ClipText:
    """Load the text tower of a local folder.

    Args:
        config: The folder; ``TEXT_FILES`` are read.
        base: What a relative folder is relative to.

    Raises:
        CheckpointError: A file is missing, other, or of another model or shape.
    """
    folder = open_folder(config, base, kind="clip", files=TEXT_FILES)
    sizes = load_config(CLIPConfig, folder).text_config
    model = load_model(CLIPTextModelWithProjection, folder, sizes)
    reader = load_reader(
        folder,
        begin="<|startoftext|>",
        # CLIP's global vector is that of the first token that ends a text.
        between="<|startoftext|>",
        end="<|endoftext|>",
        vocabulary=sizes.vocab_size,
        window_tokens=min(sizes.max_position_embeddings, WINDOW_TOKENS),
    )
    return ClipText(model, reader)


def load_clip_picture(config: HuggingFaceFolder, base: Path, *, centre: bool = False) -> ClipPicture:
    """Load the picture tower of a local folder.

    Args:
        config: The folder; ``PICTURE_FILES`` are read.
        base: What a relative folder is relative to.
        centre: Whether pictures are cut to their middle.

    Raises:
        CheckpointError: A file is missing, other, or of another model or shape.
    """
    folder = open_folder(config, base, kind="clip", files=PICTURE_FILES)
    sizes = load_config(CLIPConfig, folder).vision_config
    scale = read_scale(folder)
    if scale.side != sizes.image_size:
        raise CheckpointError(folder / PREPROCESSOR, f"cuts to {scale.side} pixels, the model reads {sizes.image_size}")
    return ClipPicture(load_model(CLIPVisionModelWithProjection, folder, sizes), scale, centre=centre)
