"""Pictures of a training."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmorient.errors import DataError
from mmorient.training.judging.metrics import Bin
from mmorient.training.judging.plots import learning_curves, reliability_diagram

pytest.importorskip("matplotlib")


def pixels(file: Path) -> np.ndarray:
    """Of a PNG."""
    with Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def inked(part: np.ndarray) -> float:
    """Share of the pixels that are not white."""
    return float(np.mean((part < 250).any(axis=2)))


def noted(file: Path, *lines: dict[str, float]) -> Path:
    """As a training notes them."""
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


LOSSES = [{"step": step, "epoch": 0, "loss": 3 / step, "seconds_a_step": 1.5} for step in range(10, 100, 10)]
SCORES = [
    {"step": step, "epoch": step // 50, "irony/sarcasm": 60.0 + step / 10, "score": 61.0 + step / 12}
    for step in (50, 100)
]


@pytest.mark.slow
def test_curves(tmp_path: Path) -> None:
    """Both panels have ink, and a curve of each kind its colour."""
    learning_curves(noted(tmp_path / "metrics.jsonl", *LOSSES, *SCORES), tmp_path / "curves.png")
    picture = pixels(tmp_path / "curves.png")
    middle = picture.shape[1] // 2
    assert picture.shape[1] > 1000
    assert inked(picture[:, :middle]) > 0.01
    assert inked(picture[:, middle:]) > 0.01
    blue = (np.abs(picture.astype(int) - (31, 119, 180)) < 40).all(axis=2)
    assert blue[:, :middle].sum() > 200


def test_curves_of_a_training_that_goes_on(tmp_path: Path) -> None:
    """No validation yet and half a last line; a resumed training's later line of a step holds."""
    file = noted(tmp_path / "metrics.jsonl", {"step": 10, "epoch": 0, "loss": 900.0, "seconds_a_step": 1.0}, *LOSSES)
    with file.open("a") as lines:
        lines.write('{"step": 10')
    learning_curves(file, tmp_path / "running.png")
    learning_curves(noted(tmp_path / "clean.jsonl", *LOSSES), tmp_path / "clean.png")
    assert np.array_equal(pixels(tmp_path / "running.png"), pixels(tmp_path / "clean.png"))


@pytest.mark.model
@pytest.mark.parametrize(("steps", "every"), [(1, 1), (17, 1), (60, 3), (99, 4), (100, 50), (9000, 50)])
def test_a_short_run_notes_its_loss_too(steps: int, every: int) -> None:
    """The guide's run has 12 steps, and the usual fifty between two notes would show none."""
    from mmorient.training.fitting.joint_training import noted_every

    assert noted_every(50, steps) == every


def test_a_single_loss_is_seen(tmp_path: Path) -> None:
    """A line of one point has no ink without a mark."""
    learning_curves(noted(tmp_path / "metrics.jsonl", LOSSES[0]), tmp_path / "curves.png")
    picture = pixels(tmp_path / "curves.png")
    assert (np.abs(picture.astype(int) - (31, 119, 180)) < 40).all(axis=2).sum() > 20


def test_no_curves(tmp_path: Path) -> None:
    """Nothing noted, nothing there, a line of something else: each says so."""
    with pytest.raises(DataError, match=r"metrics\.jsonl: nothing was noted yet"):
        learning_curves(noted(tmp_path / "metrics.jsonl"), tmp_path / "curves.png")
    with pytest.raises(DataError, match=r"gone\.jsonl: is missing"):
        learning_curves(tmp_path / "gone.jsonl", tmp_path / "curves.png")
    with pytest.raises(DataError, match=r"other\.jsonl:2: no line of a training"):
        learning_curves(noted(tmp_path / "other.jsonl", LOSSES[0], {"loss": 1.0}), tmp_path / "curves.png")


@pytest.mark.slow
def test_reliability(tmp_path: Path) -> None:
    """One panel a key, each with both of its curves."""
    before, after = [Bin(0.6, 0.5, 10, 10), Bin(0.95, 0.7, 90, 90)], [Bin(0.55, 0.56, 30, 30), Bin(0.8, 0.79, 70, 70)]
    curves = {f"text task {n}": (before, after) for n in range(5)}
    reliability_diagram(curves, tmp_path / "five.png")
    reliability_diagram(dict(list(curves.items())[:1]), tmp_path / "one.png")
    five, one = pixels(tmp_path / "five.png"), pixels(tmp_path / "one.png")
    assert five.shape[0] > 1.5 * one.shape[0]
    for colour in ((255, 127, 14), (31, 119, 180)):
        inks = [(np.abs(picture.astype(int) - colour) < 40).all(axis=2).sum() for picture in (one, five)]
        assert inks[0] > 50
        assert inks[1] > 3 * inks[0]
