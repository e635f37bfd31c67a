"""What ``config.json`` and ``calibration.json`` of a checkpoint hold: read strictly, unknown fields refused."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = "mm-orient-checkpoint/1"
GraphKind = Literal["bank", "self"]
Precision = Literal["fp32", "bf16", "fp16"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackagedFile(_Strict):
    """A file that a pip package brings, by its digest."""

    file: str
    sha256: str


class TextEncoderConfig(_Strict):
    """The text encoder: its kind, and where its pretrained weights come from."""

    kind: Literal["minilm"] = "minilm"
    package: str
    weights: PackagedFile
    tokenizer: PackagedFile
    preprocessing: str
    state_width: int
    global_width: int


class PictureEncoderConfig(_Strict):
    """The picture encoder: its kind, and where its pretrained weights come from."""

    kind: Literal["efficientnet-lite0"] = "efficientnet-lite0"
    package: str
    weights: PackagedFile
    preprocessing: str
    state_width: int
    global_width: int


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


class Rows(_Strict):
    """How many rows one call of the network always has, whatever is waiting: missing ones are padded with a dummy.

    Fixed, so that a row goes through the same arithmetic in whatever company it comes.
    """

    texts: int = Field(ge=1)
    pictures: int = Field(ge=1)
    posts: int = Field(ge=1)


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
        rows: Device type to its fixed rows.
    """

    format: str
    name: str
    text_encoder: TextEncoderConfig
    picture_encoder: PictureEncoderConfig
    drawn_text: DrawnTextConfig | None = None
    head: HeadConfig
    rows: dict[str, Rows]
    files: dict[str, str]


class HeadCalibration(_Strict):
    """``logits / temperature + bias``, before the softmax."""

    temperature: float = Field(default=1.0, gt=0)
    bias: tuple[float, ...] | None = None


class Calibration(_Strict):
    """``calibration.json``: modalities (``text``, ``image``, ``text+image``, ``none``) to head to its scaling."""

    heads: dict[str, dict[str, HeadCalibration]] = Field(default_factory=dict)

    def apply(self, modalities: tuple[str, ...], head: str, logits: list[float]) -> list[float]:
        """Scale one post's logits of one head."""
        scaling = self.heads.get("+".join(modalities) or "none", {}).get(head)
        if scaling is None:
            return logits
        bias = scaling.bias or (0.0,) * len(logits)
        return [value / scaling.temperature + shift for value, shift in zip(logits, bias, strict=True)]
