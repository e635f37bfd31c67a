"""What every variant with encoders from local folders must do; its own test file says on which."""

import json
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from mmorient import CheckpointError, Moderator, Picture, Post, decode_picture
from mmorient.checkpointing.loading import CONFIG, load_checkpoint
from mmorient.config import Precision
from mmorient.digest import file_digest
from tests.mmorient.test_moderator import HOSTILE, same, shuffled, texts

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")),
    pytest.param("mps", marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no MPS here")),
]


def drawn(moderator: Moderator, count: int = 3) -> list[Picture]:
    """Noise, wide and tall, as this moderator's encoder wants it."""
    noise = np.random.default_rng(0)
    found = []
    for index in range(count):
        content = BytesIO()
        size = (60 + 40 * index, 160 - 40 * index, 3)
        Image.fromarray(noise.integers(0, 256, size, dtype=np.uint8)).save(content, "PNG")
        found.append(decode_picture(content.getvalue(), frame=moderator.picture_frame))
    return found


def labels_every_post(checkpoint: Path, device: str, precision: Precision) -> None:
    """Texts, pictures, both and neither; a text over many windows."""
    moderator = Moderator.from_checkpoint(checkpoint, device=device, precision=precision)  # type: ignore[arg-type]
    picture, other, _ = drawn(moderator)
    long = "the rain in spain stays mainly in the plain " * 30
    posts = [Post("love the rain"), Post(None, (picture,)), Post(long, (picture, other)), Post(" ")]
    found = moderator.label(posts)
    assert [tuple(labels.tasks) for labels in found] == [moderator.tasks] * 4
    assert found == moderator.label(posts)
    start, end = moderator.embed_texts([long, long + "hate"])
    assert not np.array_equal(start, end)
    assert all(np.isfinite(vector).all() for vector in [start, *moderator.embed_pictures([picture, other])])


def rows_are_independent(checkpoint: Path, precision: Precision) -> None:
    """A text's and a picture's bits are theirs alone, wherever they stand and whatever stands beside them."""
    moderator = Moderator.from_checkpoint(checkpoint, precision=precision)
    contents = [*texts(12), *HOSTILE, "<|endoftext|>", "[SEP] <|startoftext|>"]
    alone = [moderator.embed_texts([text])[0] for text in contents]
    pictures = drawn(moderator)
    seen = [moderator.embed_pictures([picture])[0] for picture in pictures]
    for seed in range(2):
        order = shuffled(len(contents), seed)
        assert same([alone[index] for index in order], moderator.embed_texts([contents[index] for index in order]))
        order = shuffled(len(pictures), seed)
        assert same([seen[index] for index in order], moderator.embed_pictures([pictures[index] for index in order]))


def refusal(checkpoint: Path) -> str:
    """The one line with which a checkpoint's encoders are refused."""
    with pytest.raises(CheckpointError) as caught:  # noqa: PT012 - both are loaded late
        loaded = load_checkpoint(checkpoint)
        loaded.text_encoder()
        loaded.picture_encoder()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit_json(file: Path, change: Callable[[dict], object]) -> None:
    """Change a JSON file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def edit_tensors(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change a safetensors file."""
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {"format": "pt"})


def reseal(checkpoint: Path, folders: Path) -> None:
    """Bring the digests of the folders' files up to date."""

    def update(config: dict) -> None:
        for encoder in (config["text_encoder"], config["picture_encoder"]):
            for part in encoder.values():
                if isinstance(part, dict):
                    place = folders / Path(part["folder"]).name
                    part["files"] = {
                        name: file_digest(place / name) if (place / name).exists() else "sha256:0"
                        for name in part["files"]
                    }

    edit_json(checkpoint / CONFIG, update)


def word_salad(count: int, seed: int) -> list[str]:
    """Texts of one to twelve words, at most 77 tokens of one letter each."""
    generator = random.Random(seed)
    words = ["the", "rain", "sun", "great", "hate", "monday", "it's", "50", "naïve", "no!"]
    return [" ".join(generator.choices(words, k=generator.randint(1, 12))) for _ in range(count)]
