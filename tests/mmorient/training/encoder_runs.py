"""Short runs with tiny encoders, and what is asked of every checkpoint that comes of one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from mmorient import Moderator, Picture, Post
from mmorient.training.config import TrainConfig
from mmorient.training.encoder_run import train_encoders
from tests.mmorient import independence, tiny_folders

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


def write_posts(root: Path) -> None:
    """Posts of which one word and one colour tell what most of them are."""
    random, lines = np.random.default_rng(0), ["text,picture,split,offensiveness"]
    words = ["rain", "sun", "dog", "cat", "tea", "bus", "town", "song", "road", "bread", "chair", "stone"]
    for n in range(TRAINED + VALIDATED):
        said, colour = [("love", (0, 200, 0)), ("hate", (200, 0, 0))][n % 2]
        label = ["not_offensive", "offensive"][(n % 2) ^ (n % 7 == 0)]  # one in seven is mistaken
        Image.new("RGB", (20, 20 + n), colour).save(root / f"{n}.png")
        text = f"{said} {' '.join(random.choice(words, 4))} {said}" if n % 6 else ""
        picture = f"{n}.png" if n % 3 == 0 else ""
        lines.append(f"{text},{picture},{'train' if n < TRAINED else 'val'},{label}")
    (root / "ours.csv").write_text("\n".join(lines))


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
    """A whole run with nothing left to chance; the loss falls."""
    still = dict.fromkeys(("dropout", "token_dropout", "head_dropout", "drop_text", "drop_picture"), 0.0)
    config = config.model_copy(update=still | {"epochs": 6, "head_rate": 1e-2, "bank_steps": 100})
    train_encoders(data, root / "out", root / "work", config, CPU)
    noted = losses(root / "work")
    assert noted[-1] < noted[0]
    return root / "out"


def same_tensors(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same bits."""
    files = ("embedding.safetensors", "head.safetensors", "bank.safetensors")
    found = [(load_file(one / name), load_file(other / name)) for name in files]
    return all(a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a) for a, b in found)
