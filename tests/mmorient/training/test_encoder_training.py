"""Encoders out of folders of every family: trained, resumed, written, and labels that are the post's own."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from click.testing import CliRunner
from safetensors.torch import load_file

from mmorient import CheckpointError, Moderator, Picture, Post, decode_picture
from mmorient.cli import mmorient
from mmorient.errors import DataError
from mmorient.training.config import TrainConfig
from mmorient.training.encoder_run import train_encoders
from mmorient.training.fitting import joint_training
from tests.mmorient import independence, tiny_folders
from tests.tiers import rest_soaks

CPU = torch.device("cpu")
TRAINED, VALIDATED = 48, 12
FEW: dict[str, Any] = {
    "epochs": 4,
    "rows": 8,
    "trunk": (16, 8),
    "bank": {"ours": 8},
    "bank_steps": 4,
    "log_steps": TRAINED // 8,
    "swaps": 0,
    "rate": 1e-3,
    "head_rate": 5e-3,
    "average": 1,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts of which one word and one colour tell what they are."""
    root = tmp_path_factory.mktemp("data")
    random, lines = np.random.default_rng(0), ["text,picture,split,offensiveness,sentiment"]
    words = ["rain", "sun", "dog", "cat", "tea", "bus", "town", "song", "road", "bread", "chair", "stone"]
    for n in range(TRAINED + VALIDATED):
        said, colour, labels = [
            ("love", (0, 200, 0), "not_offensive,positive"),
            ("hate", (200, 0, 0), "offensive,negative"),
        ][n % 2]
        Image.new("RGB", (20, 20 + n), colour).save(root / f"{n}.png")
        text = f"{said} {' '.join(random.choice(words, 4))} {said}" if n % 6 else ""
        picture = f"{n}.png" if n % 3 == 0 else ""
        lines.append(f"{text},{picture},{'train' if n < TRAINED else 'val'},{labels}")
    (root / "ours.csv").write_text("\n".join(lines))
    return root


def configured(root: Path, text: str, picture: str, **changes: Any) -> TrainConfig:
    """A short run with tiny encoders of these families."""
    folders = {"text": tiny_folders.TEXTS[text], "picture": tiny_folders.PICTURES[picture]}
    for place, write in folders.items():
        if not (root / place).exists():
            write(root / place)
    named = {"text_encoder": str(root / "text"), "picture_encoder": str(root / "picture")}
    return TrainConfig(**(FEW | named | changes))


def losses(work: Path) -> list[float]:
    """Of every few steps, as they were noted."""
    notes = [json.loads(line) for line in (work / "metrics.jsonl").read_text().splitlines()]
    return [note["loss"] for note in notes if "loss" in note]


def posts_for(moderator: Moderator) -> list[Post]:
    """Texts of several lengths and languages, with and without pictures."""
    noise = np.random.default_rng(0)
    side = moderator.picture_frame.side
    pictures = [
        Picture(noise.integers(0, 256, (side, side, 3), dtype=np.uint8), side, side, frame=moderator.picture_frame)
        for _ in range(4)
    ]
    texts = ["the rain", "love the sun @user http", "привет 你好", "hate monday " * 70, "a", "great! " * 9]
    return [
        *(Post(text) for text in texts),
        *(Post(text, (picture,)) for text, picture in zip(texts, pictures, strict=False)),
        *(Post(None, (picture,)) for picture in pictures),
    ]


def is_independent(checkpoint: Path) -> None:
    """No bit of an embedding or a logit differs alone, in any order, beside hostile posts and through the cache."""
    moderator = Moderator.from_checkpoint(checkpoint)
    assert moderator.prove() == []
    label = independence.answers_of(moderator)
    posts = posts_for(moderator)
    reference = label(posts)
    for way in (independence.alone, independence.shuffled):
        assert independence.compare(label, posts, reference, way) == independence.Difference()
    hostile = [Post("\U0001f525" * 400), *posts[::-1], Post("kill hate die " * 300)]
    assert label(hostile)[1:-1][::-1] == reference
    again = independence.answers_of(Moderator.from_checkpoint(checkpoint))(posts)
    assert again == reference


def trains(data: Path, root: Path, config: TrainConfig) -> Path:
    """A whole run; the loss falls."""
    train_encoders(data, root / "out", root / "work", config, CPU)
    noted = losses(root / "work")
    assert noted[-1] < noted[0]
    return root / "out"


@pytest.mark.timeout(280)
@pytest.mark.parametrize("family", rest_soaks(tiny_folders.TEXTS, ["roberta"]))
def test_every_family_of_texts_learns(data: Path, tmp_path: Path, family: str) -> None:
    """All weights of the text encoder; the checkpoint holds them, and is the model that was trained."""
    config = configured(tmp_path, family, "clip" if family == "clip" else "vit")
    out = trains(data, tmp_path, config)
    held = load_file(out / "embedding.safetensors")
    before = _folder_tensors(tmp_path / "text")
    moved = [name for name in held if name.startswith("text_encoder.model.") and held[name].ndim == 2]
    assert moved
    known = {tuple(one.shape) for one in before.values()}
    assert all(tuple(held[name].shape) in known for name in moved)
    is_independent(out)


@pytest.mark.parametrize("family", rest_soaks(tiny_folders.PICTURES, ["vit"]))
def test_every_family_of_pictures_learns(data: Path, tmp_path: Path, family: str) -> None:
    """All weights of the picture encoder, the text encoder frozen and its states on the disk."""
    config = configured(tmp_path, "roberta", family, fine_tuning="frozen", picture_tuning="full")
    out = trains(data, tmp_path, config)
    assert list((tmp_path / "work" / "cache").glob("states-*.npy"))
    is_independent(out)


def _folder_tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")
