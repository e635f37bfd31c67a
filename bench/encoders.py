"""The encoders of a variant, alone: `python -m bench.encoders --variant clip|paper|compact`.

`clip` and `paper` run at their full published sizes on random weights: arithmetic costs the same whatever it comes to.
Texts go through tokenizer, encoder and HIMA stage 1, pictures through encoder and stage 1, always in whole tiles.
All three are read with the tokenizer that `compact` brings, so that a text has the same tokens everywhere.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from mmorient import Frame, Picture
from mmorient.arithmetic.tiles import Stacks, TileThreads
from mmorient.config import Tiles
from mmorient.encoders.building import PictureModule, TextModule
from mmorient.encoders.lite import Lite
from mmorient.encoders.minilm import MiniLm
from mmorient.input.text import TextReader
from mmorient.network.embedders import PictureEmbedder, TextEmbedder
from mmorient.network.hima import ElementAttention
from mmorient.training.fitting.compact import GLOBAL_WIDTH, TILES
from mmorient.training.fitting.pretrained import pretrained_picture, pretrained_text, tokenizer_file

if TYPE_CHECKING:
    from mmorient.encoders.clip import ClipPicture, ClipText
    from mmorient.encoders.paper import PaperPicture, PaperText

Content = TypeVar("Content")

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WORDS = "the a of my this rain sun movie great awful monday people never really love hate again today".split()  # noqa: SIM905 - a list of eighteen lines says no more
# Of a call, for each thread: as many texts as the largest stack holds.
TEXT_TILES, PICTURE_TILES = 8, 2


def compact() -> tuple[MiniLm, Lite, dict[str, Tiles]]:
    """MiniLM-L6 and EfficientNet-Lite0."""
    text, picture = MiniLm(tokenizer_file()), Lite(GLOBAL_WIDTH)
    text.bert, picture.network = pretrained_text(), pretrained_picture()
    return text, picture, TILES


def clip() -> tuple[ClipText, ClipPicture, dict[str, Tiles]]:
    """Both towers of ViT-B/32."""
    from transformers import (
        CLIPTextConfig,
        CLIPTextModelWithProjection,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    from mmorient.encoders.clip import ClipPicture, ClipText
    from mmorient.encoders.hugging_face import PixelScale
    from mmorient.training.fitting.variants import CLIP_TILES

    text = ClipText(CLIPTextModelWithProjection(CLIPTextConfig()), reader(77))
    scale = PixelScale(224, (0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
    return text, ClipPicture(CLIPVisionModelWithProjection(CLIPVisionConfig()), scale), CLIP_TILES


def paper() -> tuple[PaperText, PaperPicture, dict[str, Tiles]]:
    """BERT-base, DETR on ResNet-50 at 800 pixels, CLIP ViT-B/32."""
    from transformers import DetrConfig, DetrModel, ResNetConfig

    from mmorient.encoders.bert import Bert, BertSizes
    from mmorient.encoders.paper import PaperPicture, PaperText
    from mmorient.training.fitting.variants import PAPER_TILES

    clip_text, clip_picture, _ = clip()
    sizes = BertSizes(width=768, inner=3072, layers=12)
    # Their constructors take names that their types do not tell.
    resnet_config: Any = ResNetConfig
    detr_config: Any = DetrConfig
    backbone = resnet_config(out_features=["stage4"])
    detr = DetrModel(detr_config(use_timm_backbone=False, backbone_config=backbone))
    picture = PaperPicture(detr, clip_picture.scale, 800, clip_picture)
    return PaperText(Bert(sizes), sizes, reader(128), clip_text), picture, PAPER_TILES


def reader(window_tokens: int) -> TextReader:
    """The tokenizer that all variants are measured with."""
    return TextReader(tokenizer_file(), window_tokens=window_tokens)


def texts(count: int, words: int) -> list[str]:
    """Texts of `words` words, a token each."""
    choice = np.random.default_rng(0)
    return [" ".join(choice.choice(WORDS, words)) for _ in range(count)]


def pictures(count: int, frame: Frame) -> list[Picture]:
    """Noise."""
    noise = np.random.default_rng(0)
    side = frame.side
    return [
        Picture(noise.integers(0, 256, (side, side, 3), dtype=np.uint8), side, side, frame=frame) for _ in range(count)
    ]


@torch.inference_mode()
def rate(embed: Callable[[Sequence[Content]], object], contents: Sequence[Content], seconds: float) -> float:
    """Return contents a second, over as many whole rounds as `seconds` hold, after one that does not count."""
    embed(contents)
    rounds, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds or rounds == 0:
        embed(contents)
        rounds += 1
    return rounds * len(contents) / spent


def attention(encoder: TextModule | PictureModule, device: torch.device) -> ElementAttention:
    """HIMA stage 1 of an encoder's width."""
    stage: ElementAttention = ElementAttention(encoder.state_width).to(device).eval()
    return stage


def weights(*modules: torch.nn.Module) -> int:
    """Return the parameters of modules, shared ones once."""
    every: dict[int, Tensor] = {id(one): one for module in modules for one in module.parameters()}
    return sum(one.numel() for one in every.values())


def main() -> None:
    """Measure one variant and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("compact", "clip", "paper"), required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="fp32")
    parser.add_argument("--words", type=int, default=30, help="of a text; 30 are 32 tokens")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--texts", type=int, help="of a tile; the variant's own number by default")
    parser.add_argument("--pictures", type=int, help="of a tile; the variant's own number by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = torch.device(args.device)
    variants: dict[str, Callable[[], tuple[TextModule, PictureModule, dict[str, Tiles]]]]
    variants = {"compact": compact, "clip": clip, "paper": paper}
    text, picture, table = variants[args.variant]()
    for module in (text, picture):
        module.to(device, DTYPES[args.precision]).eval()
    tiles = table[device.type]
    text_rows, picture_rows = args.texts or tiles.texts, args.pictures or tiles.pictures
    tile_threads = TileThreads(device, args.threads)
    stacks = Stacks(allowed=device.type == "cpu")
    read = TextEmbedder(text, attention(text, device), text_rows, device, threads=tile_threads, stacks=stacks)
    seen = PictureEmbedder(picture, attention(picture, device), picture_rows, device, threads=tile_threads)
    words = texts(TEXT_TILES * text_rows * tile_threads.count, args.words)
    noise = pictures(PICTURE_TILES * picture_rows * tile_threads.count, picture.frame)
    rates = {
        "texts/s": (rate(read.embed, words, args.seconds), text_rows, weights(text)),
        "pictures/s": (rate(seen.embed, noise, args.seconds), picture_rows, weights(picture)),
    }
    threads = f", {args.threads} threads" if device.type == "cpu" else ""
    print(f"{args.variant}, {device.type}, {args.precision}{threads}, {args.words} words a text")
    for name, (found, rows, size) in rates.items():
        print(f"{name:<12}{found:>10.1f}   tiles of {rows}, {size / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
