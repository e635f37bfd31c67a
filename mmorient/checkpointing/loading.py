"""A checkpoint: one folder of JSON and safetensors, held together by digests.

``config.json``            sizes, encoders, rows, and the digest of every other file that can change a label
``embedding.safetensors``  what makes a cached vector: encoders, picture projection, HIMA stage 1
``tokenizer.json``         of a text encoder that lies in the checkpoint itself
``head.safetensors``       all after the cache: stand-ins, HIMA stage 2, CMRL, task features, MLC
``bank.safetensors``       the reference posts
``calibration.json``       temperatures and biases, and the shares of classes that probabilities are stated for
``README.md``              the model card, which no digest covers
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mmorient.config import (
    AnyPictureEncoder,
    AnyTextEncoder,
    Calibration,
    CheckpointConfig,
    FolderTextConfig,
    Precision,
    TextEncoderConfig,
    Tiles,
)
from mmorient.digest import CONFIG, check_checkpoint, checkpoint_digest, file_digest
from mmorient.encoders.building import (
    PictureModule,
    TextModule,
    build_picture_encoder,
    build_text_encoder,
    encoder_identity,
)
from mmorient.encoders.weights import fill
from mmorient.errors import CheckpointError
from mmorient.input.formats.source import PICTURE_VERSION
from mmorient.input.ocr import OCR_VERSION
from mmorient.input.text import TEXT_VERSION
from mmorient.network.bank import Bank
from mmorient.network.hima import ElementAttention
from mmorient.network.mm_orient import MmOrient, ModelSizes

if TYPE_CHECKING:
    from mmorient.input.ocr.drawn_text import DrawnText

EMBEDDING = "embedding.safetensors"
HEAD = "head.safetensors"
BANK = "bank.safetensors"
CALIBRATION = "calibration.json"

_Json = TypeVar("_Json", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint's parts, checked against each other."""

    path: Path
    config: CheckpointConfig
    calibration: Calibration
    embedding: dict[str, Tensor]
    head: dict[str, Tensor]
    bank: Bank

    @property
    def digest(self) -> str:
        """``sha256:…`` of ``config.json``, which itself holds the digest of every file that can change a label."""
        return checkpoint_digest(self.path)

    def embedding_digest(
        self,
        precision: Precision,
        *,
        compiled: bool = False,
        tiles: Tiles | None = None,
        arithmetic: str | None = None,
    ) -> str:
        """``sha256:…`` of what makes a cached vector: encoders, preprocessing, HIMA stage 1, arithmetic, no more.

        Args:
            precision: What the encoders compute in.
            compiled: Whether they are compiled.
            tiles: Of the device; None leaves the device out, for what is equal on all of them.
            arithmetic: The bits that sample tiles have there; None as well.
        """
        parts: dict[str, Any] = {
            "text_encoder": encoder_identity(self.config.text_encoder),
            "picture_encoder": encoder_identity(self.config.picture_encoder),
            "weights": self.config.files[EMBEDDING],
            "precision": precision,
        }
        for place, tokenizer in zip(("tokenizer", "global_tokenizer"), tokenizers_of(self.config), strict=False):
            parts[place] = self.config.files[tokenizer]
        if compiled:
            parts["compiled"] = True
        if tiles is not None:
            parts["tiles"] = {"texts": tiles.texts, "pictures": tiles.pictures}
        if arithmetic is not None:
            parts["arithmetic"] = arithmetic
        if self.config.drawn_text is not None:
            parts["drawn_text"] = self.config.drawn_text.model_dump()
        return f"sha256:{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}"

    def text_encoder(self) -> TextModule:
        """The text encoder.

        Raises:
            CheckpointError: A local folder is missing or other, or a tensor does not fit.
        """
        config = self.config.text_encoder
        try:
            encoder = build_text_encoder(config, self.path, self.part("text_encoder."))
        except (ValueError, KeyError, AttributeError) as error:
            raise CheckpointError(self.path / EMBEDDING, f"text encoder: {error}") from error
        self._check_widths("text_encoder", config, encoder)
        return encoder

    def picture_encoder(self) -> PictureModule:
        """The picture encoder.

        Raises:
            CheckpointError: A local folder is missing or other, or a tensor does not fit.
        """
        config = self.config.picture_encoder
        try:
            encoder = build_picture_encoder(config, self.path, self.part("picture_encoder."))
        except (ValueError, KeyError, AttributeError) as error:
            raise CheckpointError(self.path / EMBEDDING, f"picture encoder: {error}") from error
        self._check_widths("picture_encoder", config, encoder)
        return encoder

    def drawn_text(self) -> DrawnText | None:
        """What reads and paints pictures, None where both are switched off: then nothing of it is imported.

        Raises:
            CheckpointError: The extra ``ocr`` is not installed, or brings other networks.
        """
        config = self.config.drawn_text
        if config is None or not (config.ocr or config.inpaint):
            return None
        try:
            from mmorient.input.ocr.drawn_text import DrawnText
        except ImportError as error:
            raise CheckpointError(
                self.path / CONFIG, f"reads pictures: pip install 'mm-orient-moderation[ocr]' ({error})"
            ) from error
        return DrawnText(config)

    def attention(self, modality: str) -> ElementAttention:
        """HIMA stage 1 of ``text`` or ``picture``."""
        encoder = self.config.text_encoder if modality == "text" else self.config.picture_encoder
        attention = ElementAttention(encoder.state_width)
        _fill(attention, self.part(f"{modality}_attention."), self.path / EMBEDDING)
        return attention

    def model(self) -> MmOrient:
        """All after the cache.

        Raises:
            CheckpointError: The config asks for sizes that nobody can build, or a tensor does not fit.
        """
        try:
            model = MmOrient(model_sizes(self.config), self.config.head.threshold)
        except (TypeError, ValueError, RuntimeError, MemoryError) as error:
            # Torch puts its own call stack behind the first line.
            said = str(error).partition("\n")[0]
            raise CheckpointError(self.path / CONFIG, f"asks for a model that cannot be built: {said}") from error
        _fill(model, self.head, self.path / HEAD)
        return model

    def _check_widths(
        self, name: str, config: AnyTextEncoder | AnyPictureEncoder, encoder: TextModule | PictureModule
    ) -> None:
        for width in ("state_width", "global_width"):
            found, wanted = getattr(encoder, width), getattr(config, width)
            if found != wanted:
                raise CheckpointError(self.path / CONFIG, f"{name}.{width} is {wanted}, the encoder's is {found}")

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of ``embedding.safetensors`` under a prefix, without it."""
        return {name.removeprefix(prefix): tensor for name, tensor in self.embedding.items() if name.startswith(prefix)}


def model_sizes(config: CheckpointConfig) -> ModelSizes:
    """The widths after the cache that a config asks for."""
    return ModelSizes(
        text_vector=config.text_encoder.state_width,
        picture_vector=config.picture_encoder.state_width,
        global_vector=config.text_encoder.global_width,
        trunk=config.head.trunk,
        dropout=config.head.dropout,
        probes=config.head.task_features,
    )


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and hold its files against their digests.

    Raises:
        CheckpointError: A file is missing, is not what ``config.json`` names, or is of a version that this code does
            not know.
    """
    config = read_config(path)
    for name in digested_files(config):
        file = path / name
        if name not in config.files:
            raise CheckpointError(path / CONFIG, f"names no digest of {name}")
        if not file.is_file():
            raise CheckpointError(file, "is missing")
        if (found := file_digest(file)) != config.files[name]:
            raise CheckpointError(file, f"holds {found}, {CONFIG} names {config.files[name]}")
    _check_versions(path / CONFIG, config)
    return Checkpoint(
        path,
        config,
        _read_json(path / CALIBRATION, Calibration),
        _read_tensors(path / EMBEDDING),
        _read_tensors(path / HEAD),
        _read_bank(path / BANK, config),
    )


def read_config(path: Path) -> CheckpointConfig:
    """A checkpoint's ``config.json``; its other files are there, no more is known of them.

    Raises:
        CheckpointError: There is no such checkpoint.
    """
    check_checkpoint(path)
    return _read_json(path / CONFIG, CheckpointConfig)


def _check_versions(file: Path, config: CheckpointConfig) -> None:
    known = {
        "text preprocessing": (config.text_encoder.preprocessing, TEXT_VERSION),
        "picture preprocessing": (config.picture_encoder.preprocessing, PICTURE_VERSION),
    }
    if config.drawn_text is not None:
        known["drawn text"] = (config.drawn_text.version, OCR_VERSION)
    for what, (found, wanted) in known.items():
        if found != wanted:
            raise CheckpointError(file, f"{what} is {found!r}, this version reads {wanted!r}")
    text, picture = config.text_encoder.global_width, config.picture_encoder.global_width
    if text != picture:
        raise CheckpointError(file, f"global_width is {text} for texts and {picture} for pictures, section 3 adds them")


def tokenizers_of(config: CheckpointConfig) -> tuple[str, ...]:
    """The tokenizers' files that the checkpoint holds: of the text encoder, and of its companion."""
    text = config.text_encoder
    if isinstance(text, TextEncoderConfig):
        return (text.tokenizer,)
    if isinstance(text, FolderTextConfig):
        return (text.tokenizer, *([] if text.companion is None else [text.companion.tokenizer]))
    return ()


def digested_files(config: CheckpointConfig) -> tuple[str, ...]:
    """Files that ``config.json`` names the digests of: all that can change a label."""
    return (EMBEDDING, HEAD, BANK, CALIBRATION, *tokenizers_of(config))


def _fill(module: nn.Module, tensors: dict[str, Tensor], file: Path) -> None:
    try:
        fill(module, tensors)
    except ValueError as error:
        raise CheckpointError(file, str(error)) from error


def _read_json(file: Path, model: type[_Json]) -> _Json:
    try:
        return model.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(file, "is missing") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CheckpointError(file, f"{place}: {first['msg']}" if place else str(first["msg"])) from error


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except SafetensorError as error:
        raise CheckpointError(file, f"not safetensors: {error}") from error


def _read_bank(file: Path, config: CheckpointConfig) -> Bank:
    tensors = _read_tensors(file)
    if missing := sorted(set(bank_fields()) - tensors.keys()):
        raise CheckpointError(file, f"lacks {missing[0]}")
    bank = Bank(**{name: tensors[name] for name in bank_fields()})
    width = config.text_encoder.global_width
    shapes = {
        "labels": (len(bank) == config.head.bank_posts, config.head.bank_posts),
        "text_global": (bank.text_global.shape == (len(bank.text_index), width), width),
        "picture_global": (bank.picture_global.shape == (len(bank.picture_index), width), width),
        "text_bias": (bank.text_bias.shape == (config.text_encoder.state_width,), "text_encoder.state_width"),
        "picture_bias": (
            bank.picture_bias.shape == (config.picture_encoder.state_width,),
            "picture_encoder.state_width",
        ),
    }
    for name, (fits, wanted) in shapes.items():
        if not fits:
            raise CheckpointError(file, f"{name} is {tuple(tensors[name].shape)}, config.json asks for {wanted}")
    return bank


def bank_fields() -> tuple[str, ...]:
    """Names of the bank's tensors."""
    return tuple(Bank.__dataclass_fields__)
