"""The configuration of ``compact``: MiniLM-L6 and EfficientNet-Lite0."""

from __future__ import annotations

from mmorient.config import (
    FORMAT,
    MINILM_LAYERS,
    CheckpointConfig,
    HeadConfig,
    PictureEncoderConfig,
    TextEncoderConfig,
    Tiles,
)
from mmorient.encoders.efficientnet import REGION_WIDTH
from mmorient.input.formats.source import PICTURE_VERSION
from mmorient.input.text import TEXT_VERSION

GLOBAL_WIDTH = 384
TILES = {
    # On one core of a CPU, fp32: a call of 1, 2, 4 texts of 32 tokens takes 12, 16, 27 ms, so that a lone text pays
    # little for the second row; a picture 25 ms alone and 24 each by 2; 16 posts 3 ms (`python -m bench.tiles`).
    "cpu": Tiles(texts=1, pictures=1, posts=16),
    "cuda": Tiles(texts=64, pictures=32, posts=256),
    "mps": Tiles(texts=16, pictures=8, posts=64),
}


def compact_config(
    name: str,
    *,
    probes: dict[str, int],
    bank_posts: int,
    trunk: tuple[int, int] = (320, 128),
    dropout: float = 0.2,
    layers: int = MINILM_LAYERS,
) -> CheckpointConfig:
    """The config of a ``compact`` checkpoint, without the digests of its files."""
    return CheckpointConfig(
        format=FORMAT,
        name=name,
        text_encoder=TextEncoderConfig(
            tokenizer="tokenizer.json",
            preprocessing=TEXT_VERSION,
            beside=True,
            languages=("en",),
            state_width=384,
            global_width=GLOBAL_WIDTH,
            layers=layers,
        ),
        picture_encoder=PictureEncoderConfig(
            preprocessing=PICTURE_VERSION,
            state_width=REGION_WIDTH,
            global_width=GLOBAL_WIDTH,
        ),
        head=HeadConfig(trunk=trunk, dropout=dropout, task_features=probes, bank_posts=bank_posts),
        tiles=TILES,
        files={},
    )
