"""What ``config.json`` and ``calibration.json`` of a checkpoint hold: read strictly, unknown fields refused."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mmorient.labels import TASKS

FORMAT = "mm-orient-checkpoint/4"
MINILM_LAYERS = 6
_SHARES_ERROR = 1e-6  # of their sum: people write 0.333333 three times
GraphKind = Literal["bank", "self"]
Precision = Literal["fp32", "bf16", "fp16"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackagedFile(_Strict):
    """A file that a pip package brings, by its digest."""

    file: str
    sha256: str


class _TextConfig(_Strict):
    """What every text encoder says.

    Attributes:
        beside: What is drawn over a post's pictures (``ocr_text``), and what its author says that they show
            (``alt_text``), is read behind the post's own text; else ``ocr_text`` alone, where the post has no text.
        languages: ISO 639-1 codes that the checkpoint was made for and is measured in; none: it does not say.
    """

    preprocessing: str
    beside: bool = False
    languages: tuple[Annotated[str, Field(pattern="^[a-z]{2,3}$")], ...] = ()
    state_width: int
    global_width: int


class TextEncoderConfig(_TextConfig):
    """A BERT of MiniLM's width, whose weights lie in the checkpoint itself.

    Attributes:
        tokenizer: File in the checkpoint's folder, ``tokenizer.json`` of Hugging Face's tokenizers.
        layers: MiniLM-L6 has 6, which the file does not name; bge-small has 12.
    """

    kind: Literal["minilm"] = "minilm"
    tokenizer: str = Field(pattern=r"^\w[\w.-]*$")
    layers: int = Field(default=MINILM_LAYERS, ge=1, exclude_if=lambda layers: layers == MINILM_LAYERS)


class PictureEncoderConfig(_Strict):
    """EfficientNet-Lite0 and the projection of its mean region, whose weights lie in the checkpoint itself."""

    kind: Literal["efficientnet-lite0"] = "efficientnet-lite0"
    preprocessing: str
    state_width: int
    global_width: int


class HuggingFaceFolder(_Strict):
    """A local folder in the Hugging Face layout, by the digests of the files that are read from it.

    Attributes:
        folder: Absolute, or relative to the checkpoint's own folder. No digest of an embedding covers where it lies.
        files: Name to ``sha256:…``.
    """

    folder: str
    files: dict[str, str]


class ClipTextConfig(_TextConfig):
    """The text tower of a CLIP: token states, and global vectors in the space that pictures share."""

    kind: Literal["clip"] = "clip"
    clip: HuggingFaceFolder


class ClipPictureConfig(_Strict):
    """The picture tower of a CLIP: patches as regions, and global vectors in the space that texts share.

    Attributes:
        framing: ``whole`` squeezes the picture into the square; ``centre`` is CLIP's own way, cutting out the middle:
            of a picture that is not square it then sees a part, and captions stand at the edges.
    """

    kind: Literal["clip"] = "clip"
    clip: HuggingFaceFolder
    framing: Literal["whole", "centre"] = "whole"
    preprocessing: str
    state_width: int
    global_width: int


class PaperTextConfig(_TextConfig):
    """The paper's texts: token states of a BERT, global vectors of a CLIP."""

    kind: Literal["paper"] = "paper"
    bert: HuggingFaceFolder
    clip: HuggingFaceFolder


class PaperPictureConfig(_Strict):
    """The paper's pictures: object queries of a DETR as regions, global vectors of a CLIP.

    Attributes:
        side_pixels: Of the square that the DETR reads; None takes the shorter side that its own folder names.
    """

    kind: Literal["paper"] = "paper"
    detr: HuggingFaceFolder
    clip: HuggingFaceFolder
    side_pixels: int | None = Field(default=None, ge=32)
    preprocessing: str
    state_width: int
    global_width: int


class FolderTextConfig(_TextConfig):
    """A text encoder that was read from a local folder in the Hugging Face layout, by the family it is of.

    Attributes:
        family: The ``model_type`` of its folder.
        architecture: The folder's own ``config.json``, less what says nothing of the arithmetic.
        tokenizer: File in the checkpoint's folder, ``tokenizer.json`` of Hugging Face's tokenizers.
        begin: The token that begins a window.
        end: The token that ends it.
        between: The token between a post's own text and what its media say.
        lead: What stands before each word when it is cut into tokens: a space where a vocabulary's words hold theirs.
        window_tokens: The most tokens of a window.
        known_tokens: Tokens from this number on are steps on the way to others, and unknown; None where all are known.
        projected: Global vectors are centred and projected to ``global_width``; else they are the encoder's own.
        companion: The encoder whose global vectors stand in the place of this one's.
        weights: ``inside`` the checkpoint, in ``embedding.safetensors``, or ``beside`` it, in ``folder``.
        folder: Where they lie then; its name is a digest.
    """

    kind: Literal["hugging-face"] = "hugging-face"
    family: str
    architecture: dict[str, Any]
    tokenizer: str = Field(pattern=r"^\w[\w.-]*$")
    begin: str
    end: str
    between: str
    lead: str = ""
    window_tokens: int = Field(ge=8, le=128)
    known_tokens: int | None = None
    projected: bool = False
    companion: FolderTextConfig | None = None
    weights: Literal["inside", "beside"] = "inside"
    folder: HuggingFaceFolder | None = None


class FolderPictureConfig(_Strict):
    """A picture encoder that was read from a local folder in the Hugging Face layout, by the family it is of.

    Attributes:
        family: The ``model_type`` of its folder.
        architecture: The folder's own ``config.json``, less what says nothing of the arithmetic.
        scaling: Version of the arithmetic from the square of ``preprocessing`` to what the encoder reads.
        side_pixels: Of the square.
        framing: As of ``clip``.
        mean: Of each channel, on 0..1.
        deviation: Of each channel, on 0..1.
        projected: As of texts.
        companion: As of texts; it sees the same square, made smaller.
        weights: As of texts.
        folder: As of texts.
    """

    kind: Literal["hugging-face"] = "hugging-face"
    family: str
    architecture: dict[str, Any]
    preprocessing: str
    scaling: Literal["pixels/1"] = "pixels/1"
    side_pixels: int = Field(ge=16)
    framing: Literal["whole", "centre"] = "whole"
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    state_width: int
    global_width: int
    projected: bool = False
    companion: FolderPictureConfig | None = None
    weights: Literal["inside", "beside"] = "inside"
    folder: HuggingFaceFolder | None = None


AnyTextEncoder = Annotated[
    TextEncoderConfig | ClipTextConfig | PaperTextConfig | FolderTextConfig, Field(discriminator="kind")
]
AnyPictureEncoder = Annotated[
    PictureEncoderConfig | ClipPictureConfig | PaperPictureConfig | FolderPictureConfig, Field(discriminator="kind")
]


class DrawnTextConfig(_Strict):
    """Text drawn over pictures: whether it is read, whether it is painted out, and with which networks.

    Attributes:
        version: Of the code that does it.
        ocr: A post without a text is read off its pictures.
        inpaint: The picture encoder sees pictures without their text.
    """

    version: str
    ocr: bool
    inpaint: bool
    package: str
    detector: PackagedFile
    recogniser: PackagedFile


class Tiles(_Strict):
    """How many rows a tile has, by kind: missing ones are padded with a dummy, so that all go the same way.

    A matrix product must have 16 rows at least: with fewer, libraries add up a row's products in an order that tells
    where it stands. A text gives as many rows as its window has tokens, a picture as many as it has pixels.
    """

    texts: int = Field(ge=1)
    pictures: int = Field(ge=1)
    posts: int = Field(ge=16)


class HeadConfig(_Strict):
    """Widths and switches of the model after the cache."""

    threshold: float = Field(default=0.9, gt=0, lt=1)
    trunk: tuple[int, int]
    dropout: float
    task_features: dict[str, int]
    bank_posts: int


class CheckpointConfig(_Strict):
    """``config.json``.

    Attributes:
        drawn_text: What is done about text drawn over pictures; None is nothing.
        files: Name to ``sha256:…`` of every other file that can change a label.
        tiles: Device type to the rows of its tiles.
    """

    format: str
    name: str
    text_encoder: AnyTextEncoder
    picture_encoder: AnyPictureEncoder
    drawn_text: DrawnTextConfig | None = None
    head: HeadConfig
    tiles: dict[str, Tiles]
    files: dict[str, str]


class HeadCalibration(_Strict):
    """``logits / temperature + bias`` before the softmax."""

    temperature: float = Field(default=1.0, gt=0)
    bias: tuple[float, ...] | None = None


class Calibration(_Strict):
    """``calibration.json``: what makes probabilities of the heads' outputs.

    Attributes:
        heads: Modalities (``text``, ``image``, ``text+image``, ``none``) to head to its scaling.
        shares: Task to the reference share of each of its classes: probabilities are stated for posts of which this
            share has each class, whatever their modalities (prior shift; Saerens et al. 2002). Empty where that is not
            known.
    """

    heads: dict[str, dict[str, HeadCalibration]] = Field(default_factory=dict)
    shares: dict[str, tuple[Annotated[float, Field(gt=0, lt=1)], ...]] = Field(default_factory=dict)

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        for name, own in shares.items():
            if name not in TASKS:
                raise ValueError(f"shares of {name!r}, which is no task")
            if len(own) != len(TASKS[name].classes):
                raise ValueError(f"shares of {name}: {len(own)}, of {len(TASKS[name].classes)} classes")
            if abs(math.fsum(own) - 1) > _SHARES_ERROR:
                raise ValueError(f"shares of {name} sum to {math.fsum(own):g}, not to 1")
        return shares

    def apply(self, modalities: tuple[str, ...], head: str, logits: list[float]) -> list[float]:
        """Scale one post's logits of one head."""
        scaling = self.scaling(modalities, head)
        bias = scaling.bias or (0.0,) * len(logits)
        return [value / scaling.temperature + shift for value, shift in zip(logits, bias, strict=True)]

    def scaling(self, modalities: tuple[str, ...], head: str) -> HeadCalibration:
        """What scales the logits of one head, of posts with these modalities."""
        return self.heads.get("+".join(modalities) or "none", {}).get(head) or HeadCalibration()
