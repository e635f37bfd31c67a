"""The research loop, on a handful of made-up posts."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mmorient import Moderator
from mmorient.errors import DataError
from mmorient.training.calibrating import fit_scaling
from mmorient.training.data import Example, read_all
from mmorient.training.evaluating import evaluate
from mmorient.training.head_training import HeadRecipe
from mmorient.training.metrics import calibration_error, confusion, f1_scores, macro_f1, macro_recall, precisions
from mmorient.training.near_duplicates import without_crossing
from mmorient.training.run import train
from mmorient.training.text_tuning import LowRank, TuningRecipe
from tests.mmorient.conftest import encode

SETS = {"sentiment": 3, "irony": 2, "offensive": 2, "hate": 2, "emotion": 4}


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    """As csv."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every set in its layout, a dozen posts each."""
    root = tmp_path_factory.mktemp("data")
    for name, classes in SETS.items():
        folder = root / "tweeteval" / "datasets" / name
        folder.mkdir(parents=True)
        for split in ("train", "val"):
            (folder / f"{split}_text.txt").write_text("".join(f"{split} {name} tweet {n}\n" for n in range(12)))
            (folder / f"{split}_labels.txt").write_text("".join(f"{n % classes}\n" for n in range(12)))
    (root / "sarcasm_text").mkdir()
    for name in ("mmsd2_train", "mmsd2_valid", "isarcasmeval_train"):
        rows = [{"text": f"<user> {name} row {n} <num>", "sarcastic": n % 2} for n in range(12)]
        write_table(root / "sarcasm_text" / f"{name}.csv", rows)
    (root / "mvsa_single" / "data").mkdir(parents=True)
    (root / "memotion_dataset_7k" / "images").mkdir(parents=True)
    tweets, memes, splits = [], [], []
    for n in range(12):
        split = "val" if n > 7 else "train"
        picture = encode(Image.new("RGB", (20, 20), (20 * n, 100, 50)), "JPEG")
        tweets.append({"id": n, "label": ("negative", "neutral", "positive")[n % 3], "split": split})
        (root / "mvsa_single" / "data" / f"{n}.txt").write_text(f"a tweet {n}")
        (root / "mvsa_single" / "data" / f"{n}.jpg").write_bytes(picture)
        (root / "memotion_dataset_7k" / "images" / f"i{n}.jpg").write_bytes(picture if n else b"broken")
        splits.append({"image_name": f"i{n}.jpg", "split": split})
        memes.append(
            {
                "image_name": f"i{n}.jpg",
                "text_ocr": f"MEME {n}",
                "text_corrected": "" if n % 2 else f"meme {n}",
                "humour": ("not_funny", "funny", "very_funny", "hilarious")[n % 4],
                "sarcasm": ("not_sarcastic", "general", "twisted_meaning", "very_twisted")[n % 4],
                "offensive": ("not_offensive", "slight", "very_offensive", "hateful_offensive")[n % 4],
                "motivational": ("not_motivational", "motivational")[n % 2],
                "overall_sentiment": ("very_negative", "negative", "neutral", "positive", "very_positive")[n % 5],
            }
        )
    write_table(root / "mvsa_single" / "labels.csv", tweets)
    write_table(root / "memotion_dataset_7k" / "labels.csv", memes)
    write_table(root / "memotion_dataset_7k" / "splits.csv", splits)
    return root


def test_readers(data: Path) -> None:
    """Partial labels under the heads that they teach; degrees only where there is something of it."""
    examples = read_all(data)
    by_source = {source: [e for e in examples if e.source == source] for source in {e.source for e in examples}}
    assert by_source["irony"][1].targets == {"sarcasm": 1}
    assert by_source["sentiment"][2].targets == {"sentiment": 2, "probe_sentiment": 2}
    assert by_source["hate"][1].targets == {"probe_hate": 1}
    assert by_source["mmsd2"][0].text == "@user mmsd2_train row 0 "
    assert by_source["memotion"][0].targets == {
        "sentiment": 0,
        "motivation": 0,
        "humour": 0,
        "sarcasm": 0,
        "offensiveness": 0,
    }
    assert by_source["memotion"][3].targets["sarcasm_degrees"] == 2
    assert by_source["memotion"][3].text == "MEME 3"
    assert {e.split for e in by_source["isarcasm"]} == {"train", "val"}


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    """With its file."""
    with pytest.raises(DataError, match=r"splits\.csv: is missing"):
        read_all(tmp_path)


def test_the_whole_loop(data: Path, tmp_path: Path) -> None:
    """From the sets to a checkpoint that labels, calibrated, with a bank of training posts; and its scores."""
    bank = {"memotion": 4, "mvsa": 3, "irony": 5}
    text_recipe = TuningRecipe(frozen_layers=5, rank=2, epochs=1, warmup_steps=1)
    train(
        data,
        tmp_path / "out",
        tmp_path / "work",
        text_recipe=text_recipe,
        head_recipe=HeadRecipe(epochs=2, rows=32, trunk=(16, 8), bank=bank),
    )
    moderator = Moderator.from_checkpoint(tmp_path / "out")
    assert len(moderator._context.texts.vectors) == 12
    assert int(moderator._context.pictures.directions.any(1).sum()) in {6, 7}
    assert {"text", "image", "text+image"} == moderator._calibration.heads.keys()
    scores = list(
        evaluate(moderator, [e for e in read_all(data) if e.split == "val" and e.source in {"mvsa", "irony"}])
    )
    assert [(score.source, score.modalities, score.task, score.posts) for score in scores] == [
        ("mvsa", "text+image", "sentiment", 4),
        ("mvsa", "text", "sentiment", 4),
        ("mvsa", "image", "sentiment", 4),
        ("irony", "text", "sarcasm", 12),
    ]


def test_near_duplicates_do_not_cross_splits() -> None:
    """A training post that nearly repeats a validation post of another set goes; what repeats in training stays."""
    val = Example("irony", "val", "what a lovely day to miss the last bus home", None, {"sarcasm": 1})
    near = Example("sentiment", "train", "What a LOVELY day to miss the last bus home @someone", None, {"sentiment": 0})
    other = Example("sentiment", "train", "what a lovely day to plant trees with friends", None, {"sentiment": 2})
    short = Example("sentiment", "train", "what a", None, {"sentiment": 1})
    assert without_crossing([val, near, other, other, short]) == [val, other, other, short]
    assert without_crossing([replace(val, text="What a"), short]) == [replace(val, text="What a")]


def test_scores_of_slices(untrained: Path) -> None:
    """Enough posts that name a group are a slice of their own; intervals hold the figure; confusions add up."""
    texts = ["my muslim neighbour sings", "it rains"]
    examples = [Example("irony", "val", texts[n % 2], None, {"sarcasm": n % 3 % 2}) for n in range(120)]
    scores = {score.slice: score for score in evaluate(Moderator.from_checkpoint(untrained), examples)}
    assert {name: score.posts for name, score in scores.items()} == {"all": 120, "short": 120, "identity": 60}
    for score in scores.values():
        low, high = score.intervals["macro_recall"]
        assert low <= score.macro_recall <= high
        assert np.sum(score.confusion) == score.posts
        right = np.diag(score.confusion) / np.sum(score.confusion, axis=1)
        assert list(score.recall.values()) == pytest.approx(100 * right, abs=0.01)


def test_a_delta_starts_at_nothing() -> None:
    """The tuned layer is the pretrained one before its first step, and frozen beneath."""
    linear = nn.Linear(6, 4)
    wrapped = LowRank(linear, 2, torch.Generator().manual_seed(0))
    inputs = torch.randn(3, 6)
    assert torch.equal(wrapped(inputs), linear(inputs))
    assert [name for name, one in wrapped.named_parameters() if one.requires_grad] == ["down", "up"]


def test_metrics() -> None:
    """By hand."""
    truth, answer = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    assert f1_scores(truth, answer, 2) == pytest.approx([0.5, 2 / 3])
    assert macro_f1(truth, answer, 2) == pytest.approx(7 / 12)
    assert precisions(truth, answer, 2) == pytest.approx([1 / 2, 2 / 3])
    assert confusion(truth, answer, 2).tolist() == [[1, 1], [1, 2]]
    assert macro_recall(truth, answer, 2) == pytest.approx((1 / 2 + 2 / 3) / 2)
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration_error(np.array([0, 1]), sure) == 0
    assert calibration_error(np.array([1, 1]), sure) == pytest.approx(0.5)


def test_calibration_mends_overconfidence() -> None:
    """Logits three times too large come back to scale, and the classes' shares count or do not, as asked."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 2, generator=generator) + torch.tensor([1.0, 0.0])
    targets = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
    natural = fit_scaling(logits * 3, targets, natural=True)
    assert natural.temperature == pytest.approx(3, rel=0.1)
    assert natural.bias == pytest.approx((0, 0), abs=0.1)
    alike = fit_scaling(logits * 3, targets, natural=False)
    assert alike.bias is not None
    assert alike.bias[1] > alike.bias[0] + 0.5
