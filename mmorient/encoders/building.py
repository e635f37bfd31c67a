"""Every kind of encoder that ``config.json`` can name, and how it is built from what it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from mmorient.config import (
    AnyPictureEncoder,
    AnyTextEncoder,
    ClipPictureConfig,
    ClipTextConfig,
    PictureEncoderConfig,
    TextEncoderConfig,
)
from mmorient.encoders.lite import Lite
from mmorient.encoders.minilm import MiniLm
from mmorient.encoders.packages import package_file

if TYPE_CHECKING:
    from mmorient.encoders.clip import ClipPicture, ClipText
    from mmorient.encoders.paper import PaperPicture, PaperText

TextModule: TypeAlias = "MiniLm | ClipText | PaperText"
PictureModule: TypeAlias = "Lite | ClipPicture | PaperPicture"


def build_text_encoder(config: AnyTextEncoder, base: Path, tensors: dict[str, Tensor]) -> TextModule:
    """Build the text encoder.

    Args:
        config: What it is.
        base: The checkpoint's folder, which a relative folder is relative to.
        tensors: What the checkpoint itself holds of it: low-rank deltas.

    Raises:
        CheckpointError: A package or folder is missing or other.
        ValueError: A tensor does not fit.
    """
    if isinstance(config, TextEncoderConfig):
        weights = package_file(config.package, config.weights.file, config.weights.sha256)
        tokenizer = package_file(config.package, config.tokenizer.file, config.tokenizer.sha256)
        return MiniLm(weights, tokenizer, tensors)
    # Both import transformers, which takes seconds that ``compact`` need not wait for.
    if isinstance(config, ClipTextConfig):
        from mmorient.encoders.clip import load_clip_text

        _none_left(tensors)
        return load_clip_text(config.clip, base)
    from mmorient.encoders.paper import load_paper_text

    return load_paper_text(config, base, tensors)


def build_picture_encoder(config: AnyPictureEncoder, base: Path, tensors: dict[str, Tensor]) -> PictureModule:
    """Build the picture encoder.

    Args:
        config: What it is.
        base: The checkpoint's folder, which a relative folder is relative to.
        tensors: What the checkpoint itself holds of it: the projection of ``compact``.

    Raises:
        CheckpointError: A package or folder is missing or other.
        KeyError: A tensor is missing.
        ValueError: A tensor does not fit.
    """
    if isinstance(config, PictureEncoderConfig):
        return Lite(package_file(config.package, config.weights.file, config.weights.sha256), tensors)
    _none_left(tensors)
    if isinstance(config, ClipPictureConfig):
        from mmorient.encoders.clip import load_clip_picture

        return load_clip_picture(config.clip, base, centre=config.framing == "centre")
    from mmorient.encoders.paper import load_paper_picture

    return load_paper_picture(config, base)


def compile_encoder(encoder: TextModule | PictureModule) -> None:
    """Let ``torch.compile`` have the encoder, one graph for each of its fixed shapes; in place."""
    for part in (encoder, getattr(encoder, "companion", None)):
        if part is not None:
            vars(part)["encode"] = torch.compile(part.encode, dynamic=False)


def encoder_identity(config: AnyTextEncoder | AnyPictureEncoder) -> dict[str, Any]:
    """What an encoder's vectors depend on: its config less the folders that its files happen to lie in."""
    return {
        name: {key: inner for key, inner in value.items() if key != "folder"} if isinstance(value, dict) else value
        for name, value in config.model_dump().items()
    }


def _none_left(tensors: dict[str, Tensor]) -> None:
    if tensors:
        raise ValueError(f"no place for {min(tensors)}")
