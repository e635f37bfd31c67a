"""The encoders of ``paper``: a BERT's tokens, a DETR's object queries, a CLIP's global vectors.

PAE, section 1 (arXiv 2508.16300): BERT-base-uncased, 128 tokens of width 768; CLIP ViT-B/32, width 512. The paper's
regions are Mask R-CNN's, 100 of width 2048; no release of it loads without Detectron, so 100 queries of a DETR, width
256, stand in their place.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DetrConfig, DetrModel

from mmorient.config import PaperPictureConfig, PaperTextConfig
from mmorient.encoders import TextEncoder
from mmorient.encoders.bert import Bert, BertSizes, merge_deltas
from mmorient.encoders.bert_folder import load_bert
from mmorient.encoders.clip import ClipPicture, ClipText, load_clip_picture, load_clip_text
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
from mmorient.encoders.minilm import mean_over
from mmorient.input.posts import Frame
from mmorient.input.text import WINDOW_TOKENS, TextReader

BERT_FILES = (CONFIG, WEIGHTS, TOKENIZER)
DETR_FILES = (CONFIG, WEIGHTS, PREPROCESSOR)


class PaperText(nn.Module):
    """Token states are BERT's; global vectors are those of the companion, CLIP's text tower.

    Args:
        bert: The token encoder.
        sizes: Of the token encoder.
        reader: BERT's tokenizer.
        clip: The companion, which reads the text in windows of its own.
    """

    def __init__(self, bert: Bert, sizes: BertSizes, reader: TextReader, clip: ClipText) -> None:
        super().__init__()
        self.state_width = sizes.width
        self.global_width = clip.global_width
        self.reader = reader
        self.companion: TextEncoder | None = clip
        self.replayable = False
        self.bert = bert

    def encode(self, token_ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As ``TextEncoder.encode``: ``[b, t]`` to ``[b, t, Dt]`` and means ``[b, Dt]``, which nobody reads."""
        states = self.bert(token_ids, mask).float()
        return states, mean_over(states, mask)


class PaperPicture(nn.Module):
    """Region states are the DETR's object queries after its decoder; global vectors are CLIP's.

    Queries have no fixed place on a picture, so that there is no grid.

    Args:
        detr: The detector, without its heads.
        scale: Its pixel statistics.
        side: Of the square that it reads, in pixels; CLIP sees the same square, made smaller.
        clip: The picture tower.
    """

    def __init__(self, detr: DetrModel, scale: PixelScale, side: int, clip: ClipPicture) -> None:
        super().__init__()
        self.state_width: int = detr.config.d_model
        self.global_width = clip.global_width
        self.regions: int = detr.config.num_queries
        self.grid: tuple[int, int] | None = None
        self.frame = Frame(side)
        self.replayable = False
        self.detr = detr
        self.scale = scale
        self.clip = clip

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``PictureEncoder.encode``: ``[b, side, side, 3]`` to ``[b, R, Dr]`` and ``[b, D]``."""
        values = self.scale(pixels, self.detr.query_position_embeddings.weight.dtype)
        everywhere = torch.ones(values.shape[0], *values.shape[2:], dtype=torch.int64, device=values.device)
        queries: Tensor = self.detr(pixel_values=values, pixel_mask=everywhere).last_hidden_state
        _, globals_ = self.clip.encode(smaller(pixels, self.clip.frame.side))
        return queries.float(), globals_


def smaller(pixels: Tensor, side: int) -> Tensor:
    """Resize with Pillow's bicubic filter: ``[b, S, S, 3]`` to ``[b, side, side, 3]``, whole numbers in fp32."""
    maps = pixels.permute(0, 3, 1, 2).float()
    resized = functional.interpolate(maps, (side, side), mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255).permute(0, 2, 3, 1)


def load_paper_text(config: PaperTextConfig, base: Path, deltas: dict[str, Tensor]) -> PaperText:
    """Load BERT and CLIP's text tower from local folders.

    Args:
        config: The folders.
        base: What a relative folder is relative to.
        deltas: Low-rank deltas of BERT's weights, as ``merge_deltas`` takes them.

    Raises:
        CheckpointError: A file is missing, other, or of another model or shape.
        ValueError: A delta that fits no weight.
    """
    folder = open_folder(config.bert, base, kind="bert", files=BERT_FILES)
    bert, sizes = load_bert(folder)
    merge_deltas(bert, deltas)
    reader = load_reader(
        folder,
        begin="[CLS]",
        end="[SEP]",
        vocabulary=sizes.vocabulary,
        window_tokens=min(sizes.positions, WINDOW_TOKENS),
    )
    return PaperText(bert, sizes, reader, load_clip_text(config.clip, base))


def load_paper_picture(config: PaperPictureConfig, base: Path) -> PaperPicture:
    """Load DETR and CLIP's picture tower from local folders.

    Args:
        config: The folders, and the side of the square.
        base: What a relative folder is relative to.

    Raises:
        CheckpointError: A file is missing, other, or of another model or shape.
    """
    folder = open_folder(config.detr, base, kind="detr", files=DETR_FILES)
    sizes = load_config(DetrConfig, folder)
    if getattr(sizes.backbone_config, "use_pretrained_backbone", False):
        # The folder's weights hold the backbone; a second copy would be asked of the hub.
        sizes.backbone_config.use_pretrained_backbone = False
    scale = read_scale(folder)
    model = load_model(DetrModel, folder, sizes)
    return PaperPicture(model, scale, config.side_pixels or scale.side, load_clip_picture(config.clip, base))
