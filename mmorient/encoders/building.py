"""Every kind of encoder that ``config.json`` can name, and how it is built from what it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from safetensors.torch import load_file
from torch import Tensor

from mmorient.config import (
    AnyPictureEncoder,
    AnyTextEncoder,
    ClipPictureConfig,
    ClipTextConfig,
    FolderPictureConfig,
    FolderTextConfig,
    PictureEncoderConfig,
    TextEncoderConfig,
)
from mmorient.encoders.lite import Lite
from mmorient.encoders.minilm import MiniLm
from mmorient.encoders.weights import fill

if TYPE_CHECKING:
    from mmorient.encoders.clip import ClipPicture, ClipText
    from mmorient.encoders.folder_picture import FolderPicture
    from mmorient.encoders.folder_text import FolderText
    from mmorient.encoders.paper import PaperPicture, PaperText

TextModule: TypeAlias = "MiniLm | ClipText | PaperText | FolderText"
PictureModule: TypeAlias = "Lite | ClipPicture | PaperPicture | FolderPicture"


def build_text_encoder(config: AnyTextEncoder, base: Path, tensors: dict[str, Tensor]) -> TextModule:
    """Build the text encoder.

    Args:
        config: What it is.
        base: The checkpoint's folder, which a relative folder is relative to.
        tensors: What the checkpoint itself holds of it: all, none where its weights lie beside it, or low-rank deltas.

    Raises:
        CheckpointError: A folder is missing or other.
        ValueError: A tensor does not fit.
    """
    if isinstance(config, TextEncoderConfig):
        text = MiniLm(base / config.tokenizer, config.layers)
        fill(text, tensors)
        return text
    # All others import transformers, which takes seconds that ``compact`` need not wait for.
    if isinstance(config, FolderTextConfig):
        from mmorient.encoders.folder_text import FolderText

        read = FolderText(config, base)
        fill(read, _weights(config, base, tensors))
        return read
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
        tensors: What the checkpoint itself holds of it: all, or none where its weights lie beside it.

    Raises:
        CheckpointError: A folder is missing or other.
        ValueError: A tensor is missing or does not fit.
    """
    if isinstance(config, PictureEncoderConfig):
        picture = Lite(config.global_width)
        fill(picture, tensors)
        return picture
    if isinstance(config, FolderPictureConfig):
        from mmorient.encoders.folder_picture import FolderPicture

        seen = FolderPicture(config)
        fill(seen, _weights(config, base, tensors))
        return seen
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


def _weights(
    config: FolderTextConfig | FolderPictureConfig, base: Path, tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """All tensors of an encoder, from the checkpoint or from the folder beside it.

    Raises:
        CheckpointError: The folder or its file is missing, or other.
        ValueError: The checkpoint holds tensors of an encoder whose weights lie beside it.
    """
    if config.weights == "inside":
        return tensors
    _none_left(tensors)
    if config.folder is None:
        raise ValueError("its weights lie beside the checkpoint, and no folder is named")
    from mmorient.encoders.hugging_face import WEIGHTS, check_files

    folder = base / config.folder.folder
    check_files(config.folder, folder, (WEIGHTS,))
    return load_file(folder / WEIGHTS)


def _none_left(tensors: dict[str, Tensor]) -> None:
    if tensors:
        raise ValueError(f"no place for {min(tensors)}")
