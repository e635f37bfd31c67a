"""The configurations of ``clip`` and ``paper``, whose encoders lie in local folders in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from transformers import BertConfig, CLIPConfig, DetrConfig

from mmorient.config import (
    FORMAT,
    CheckpointConfig,
    ClipPictureConfig,
    ClipTextConfig,
    HeadConfig,
    PaperPictureConfig,
    PaperTextConfig,
    Tiles,
)
from mmorient.encoders.clip import PICTURE_FILES, TEXT_FILES
from mmorient.encoders.hugging_face import describe_folder, load_config
from mmorient.encoders.paper import BERT_FILES, DETR_FILES
from mmorient.input.formats.source import PICTURE_VERSION
from mmorient.input.text import TEXT_VERSION

CLIP_TILES = {
    "cpu": Tiles(texts=1, pictures=1, posts=16),
    "cuda": Tiles(texts=64, pictures=32, posts=256),
    "mps": Tiles(texts=16, pictures=8, posts=64),
}
# A DETR's picture has thirteen times the pixels of a CLIP's.
PAPER_TILES = {
    "cpu": Tiles(texts=1, pictures=1, posts=16),
    "cuda": Tiles(texts=64, pictures=8, posts=256),
    "mps": Tiles(texts=16, pictures=2, posts=64),
}
PAPER_TRUNK = (4618, 2048)


def clip_config(
    name: str,
    clip: Path,
    *,
    probes: dict[str, int],
    bank_posts: int,
    framing: Literal["whole", "centre"] = "whole",
    trunk: tuple[int, int] = PAPER_TRUNK,
    dropout: float = 0.2,
    base: Path | None = None,
) -> CheckpointConfig:
    """The config of a ``clip`` checkpoint, without the digests of its own files.

    Args:
        name: Of the checkpoint.
        clip: The folder of a CLIP such as ViT-B/32.
        probes: Task features: probe name to classes.
        bank_posts: Reference posts.
        framing: Whether pictures are seen whole, or their middle alone as CLIP's own preprocessing has it.
        trunk: Outputs of the two dense layers.
        dropout: After each of them, while training.
        base: The checkpoint's folder, where ``clip`` lies inside it.

    Raises:
        CheckpointError: A file is missing, or not CLIP's.
    """
    sizes = load_config(CLIPConfig, clip)
    return CheckpointConfig(
        format=FORMAT,
        name=name,
        text_encoder=ClipTextConfig(
            clip=describe_folder(clip, TEXT_FILES, base=base),
            preprocessing=TEXT_VERSION,
            state_width=sizes.text_config.hidden_size,
            global_width=sizes.text_config.projection_dim,
        ),
        picture_encoder=ClipPictureConfig(
            clip=describe_folder(clip, PICTURE_FILES, base=base),
            framing=framing,
            preprocessing=PICTURE_VERSION,
            state_width=sizes.vision_config.hidden_size,
            global_width=sizes.vision_config.projection_dim,
        ),
        head=HeadConfig(trunk=trunk, dropout=dropout, task_features=probes, bank_posts=bank_posts),
        tiles=CLIP_TILES,
        files={},
    )


def paper_config(
    name: str,
    *,
    clip: Path,
    bert: Path,
    detr: Path,
    probes: dict[str, int],
    bank_posts: int,
    side_pixels: int | None = None,
    trunk: tuple[int, int] = PAPER_TRUNK,
    dropout: float = 0.2,
    base: Path | None = None,
) -> CheckpointConfig:
    """The config of a ``paper`` checkpoint, without the digests of its own files.

    Args:
        name: Of the checkpoint.
        clip: The folder of a CLIP such as ViT-B/32.
        bert: The folder of a BERT such as BERT-base-uncased.
        detr: The folder of a DETR such as DETR-ResNet-50.
        probes: Task features: probe name to classes.
        bank_posts: Reference posts.
        side_pixels: Of the square that the DETR reads; None takes the shorter side that its folder names.
        trunk: Outputs of the two dense layers.
        dropout: After each of them, while training.
        base: The checkpoint's folder, where the other folders lie inside it.

    Raises:
        CheckpointError: A file is missing, or of another model.
    """
    clip_sizes = load_config(CLIPConfig, clip)
    return CheckpointConfig(
        format=FORMAT,
        name=name,
        text_encoder=PaperTextConfig(
            bert=describe_folder(bert, BERT_FILES, base=base),
            clip=describe_folder(clip, TEXT_FILES, base=base),
            preprocessing=TEXT_VERSION,
            state_width=load_config(BertConfig, bert).hidden_size,
            global_width=clip_sizes.text_config.projection_dim,
        ),
        picture_encoder=PaperPictureConfig(
            detr=describe_folder(detr, DETR_FILES, base=base),
            clip=describe_folder(clip, PICTURE_FILES, base=base),
            side_pixels=side_pixels,
            preprocessing=PICTURE_VERSION,
            state_width=load_config(DetrConfig, detr).d_model,
            global_width=clip_sizes.vision_config.projection_dim,
        ),
        head=HeadConfig(trunk=trunk, dropout=dropout, task_features=probes, bank_posts=bank_posts),
        tiles=PAPER_TILES,
        files={},
    )
