"""A checkpoint with encoders from folders that is trained further: its encoders and its sizes are its own."""

from __future__ import annotations

from typing import Any

from mmorient.checkpointing.loading import Checkpoint
from mmorient.config import CheckpointConfig, FolderPictureConfig, FolderTextConfig
from mmorient.encoders.folder_picture import FolderPicture
from mmorient.encoders.folder_text import FolderText
from mmorient.encoders.weights import fill
from mmorient.errors import CheckpointError
from mmorient.training.config import TrainConfig
from mmorient.training.fitting.encoder_model import EncoderModel
from mmorient.training.fitting.folders import Encoders, mask_token

# What a configuration may say otherwise than the checkpoint that it starts from.
_MAY_DIFFER = ("name", "languages", "encoder_weights")


def holds_encoders(config: CheckpointConfig) -> bool:
    """Whether a checkpoint's own encoders are those of folders."""
    return isinstance(config.text_encoder, FolderTextConfig) and isinstance(config.picture_encoder, FolderPictureConfig)


def continued(config: TrainConfig, start: Checkpoint) -> TrainConfig:
    """A configuration with the sizes of the checkpoint that is trained further.

    Args:
        config: Of the run; name, languages and where weights lie are the checkpoint's where it does not say.
        start: The checkpoint.

    Raises:
        CheckpointError: The configuration says another size.
    """
    text, picture, head = _text(start), _picture(start), start.config.head
    own: dict[str, Any] = {
        "name": start.config.name,
        "languages": text.languages,
        "encoder_weights": text.weights,
        "global_width": text.global_width,
        "framing": picture.framing,
        "side_pixels": picture.side_pixels,
        "trunk": head.trunk,
        "threshold": head.threshold,
        "task_features": bool(head.task_features),
    }
    for name, value in own.items():
        said = getattr(config, name)
        if name in config.model_fields_set and name not in _MAY_DIFFER and said != value:
            raise CheckpointError(
                start.path, f"cannot be trained further as configured: {name} is {said}, the checkpoint's {value}"
            )
    unsaid = {name: one for name, one in own.items() if name not in _MAY_DIFFER or name not in config.model_fields_set}
    return config.model_copy(update=unsaid)


def encoders_of(start: Checkpoint, config: TrainConfig) -> Encoders:
    """The encoders that a checkpoint holds, as a run takes them.

    Args:
        start: The checkpoint.
        config: Of the run: its languages, and where weights shall lie.

    Raises:
        CheckpointError: The weights beside it are missing or other.
    """
    text, picture = start.text_encoder(), start.picture_encoder()
    if not (isinstance(text, FolderText) and isinstance(picture, FolderPicture)):
        raise CheckpointError(start.path, "its encoders are not those of folders")
    laid: dict[str, Any] = {"weights": config.encoder_weights, "folder": None}
    described = _text(start).model_copy(update=laid | {"languages": config.languages})
    companion = described.companion
    return Encoders(
        described,
        _picture(start).model_copy(update=laid),
        text,
        picture,
        mask_token(start.path / described.tokenizer),
        (start.path / described.tokenizer).read_bytes(),
        None if companion is None else (start.path / companion.tokenizer).read_bytes(),
    )


def take_up(model: EncoderModel, start: Checkpoint) -> None:
    """Fill all that is behind the encoders with a checkpoint's weights, in place.

    Raises:
        CheckpointError: They do not fit.
    """
    try:
        fill(model.text_attention, start.part("text_attention."))
        fill(model.picture_attention, start.part("picture_attention."))
        fill(model.head, start.head)
    except ValueError as error:
        raise CheckpointError(start.path, f"cannot be trained further: {error}") from error


def _text(start: Checkpoint) -> FolderTextConfig:
    config = start.config.text_encoder
    if not isinstance(config, FolderTextConfig):
        raise CheckpointError(start.path, f"its text encoder is of kind {config.kind!r}, not from a folder")
    return config


def _picture(start: Checkpoint) -> FolderPictureConfig:
    config = start.config.picture_encoder
    if not isinstance(config, FolderPictureConfig):
        raise CheckpointError(start.path, f"its picture encoder is of kind {config.kind!r}, not from a folder")
    return config
