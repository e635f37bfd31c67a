"""The configuration of ``compact``: MiniLM-L6 and EfficientNet-Lite0."""

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
from mmorient.input.pictures import PICTURE_VERSION
from mmorient.input.text import TEXT_VERSION

GLOBAL_WIDTH = 384
ROWS = {
    # On 2 CPU cores, fp32: texts of 32 tokens 116/s one at a time, 196/s by 4, 230/s by 8, where 8 cost a lone text
    # twice the wait of 4; pictures 75/s one at a time, 102/s by 2, 84/s by 4.
    "cpu": Rows(texts=4, pictures=2, posts=8),
    "cuda": Rows(texts=64, pictures=32, posts=256),
    "mps": Rows(texts=16, pictures=8, posts=64),
}


def compact_config(
    name: str,
    *,
    probes: dict[str, int],
    bank_posts: int,
    trunk: tuple[int, int] = (320, 128),
    dropout: float = 0.2,
) -> CheckpointConfig:
    """The config of a ``compact`` checkpoint, without the digests of its files."""
    return CheckpointConfig(
        format=FORMAT,
        name=name,
        text_encoder=TextEncoderConfig(
            tokenizer="tokenizer.json",
            preprocessing=TEXT_VERSION,
            state_width=384,
            global_width=GLOBAL_WIDTH,
        ),
        picture_encoder=PictureEncoderConfig(
            preprocessing=PICTURE_VERSION,
            state_width=REGION_WIDTH,
            global_width=GLOBAL_WIDTH,
        ),
        head=HeadConfig(trunk=trunk, dropout=dropout, task_features=probes, bank_posts=bank_posts),
        rows=ROWS,
        files={},
    )
