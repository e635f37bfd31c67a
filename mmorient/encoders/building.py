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
from mmorient.encoders.weights import fill

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
        tensors: What the checkpoint itself holds of it: all of ``compact``, low-rank deltas of the others.

    Raises:
        CheckpointError: A folder is missing or other.
        ValueError: A tensor does not fit.
    """
    if isinstance(config, TextEncoderConfig):
        text = MiniLm(base / config.tokenizer)
        fill(text, tensors)
        return text
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
        tensors: What the checkpoint itself holds of it: all of ``compact``.

    Raises:
        CheckpointError: A folder is missing or other.
        ValueError: A tensor is missing or does not fit.
    """
    if isinstance(config, PictureEncoderConfig):
        picture = Lite(config.global_width)
        fill(picture, tensors)
        return picture
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
    """What an encoder's vectors depend on: its config less the folders of its files, and the languages it is for."""
    return {
        name: {key: inner for key, inner in value.items() if key != "folder"} if isinstance(value, dict) else value
        for name, value in config.model_dump(exclude={"languages"}).items()
    }


def _none_left(tensors: dict[str, Tensor]) -> None:
    if tensors:
        raise ValueError(f"no place for {min(tensors)}")
