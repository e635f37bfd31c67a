"""Checkpoints with encoders from folders are trained further, and what they knew stays."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from mmorient import CheckpointError, Moderator, Post, PostLabels
from mmorient.checkpointing.loading import load_checkpoint
from mmorient.checkpointing.saving import save_calibration
from mmorient.cli import mmorient
from mmorient.config import Calibration, FolderTextConfig, HeadCalibration
from mmorient.errors import DataError
from mmorient.training.config import TrainConfig
from mmorient.training.encoder_run import train_encoders
from mmorient.training.fitting import joint_training
from mmorient.training.fitting.untrained import write_untrained
from mmorient.training.fitting.variants import clip_config
from tests.mmorient import tiny_folders
from tests.mmorient.training.encoder_runs import CPU, FEW, configured, is_independent, same_tensors, write_posts

KEPT = Calibration(
    heads={"text": {"humour": HeadCalibration(temperature=2.0, bias=(0.25, -0.25))}}, shares={"sarcasm": (0.7, 0.3)}
)
# Of the project's own sentences, so few that a run takes seconds.
FURTHER: dict[str, Any] = {
    name: FEW[name] for name in ("rows", "bank", "bank_steps", "swaps", "rate", "head_rate", "average")
} | {"epochs": 1, "log_steps": 3, "take": {"contrast": 8, "plain": 8}}


@pytest.fixture(autouse=True)
def one_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a step takes is told from one of them."""
    monkeypatch.setattr(joint_training, "_PROBE_STEPS", 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A team's posts, with labels of offensiveness alone."""
    root = tmp_path_factory.mktemp("data")
    write_posts(root)
    return root


def a_start(data: Path, root: Path, text: str = "roberta", **changes: Any) -> Path:
    """A checkpoint to go on from, with a calibration of its own."""
    config = configured(root, text, "clip" if text == "clip" else "vit", epochs=1, **changes)
    train_encoders(data, root / "start", root / "start-work", config, CPU)
    save_calibration(root / "start", KEPT)
    return root / "start"


def knows_what_it_knew(start: Path, out: Path, work: Path) -> None:
    """Bank, calibration and sizes stay, the posts are added, what changed is reported; labels are the post's own."""
    before, after = load_checkpoint(start), load_checkpoint(out)
    assert torch.equal(after.bank.labels[: len(before.bank)], before.bank.labels)
    assert torch.equal(after.bank.text_global[: len(before.bank.text_global)], before.bank.text_global)
    assert 0 < len(after.bank) - len(before.bank) <= FEW["bank"]["ours"]
    # Twelve validation posts are too few for any head.
    assert after.calibration.heads["text"]["humour"] == KEPT.heads["text"]["humour"]
    assert after.calibration.scaling(("text",), "offensiveness") == HeadCalibration()
    assert after.calibration.shares["sarcasm"] == (0.7, 0.3)
    assert after.config.head.trunk == before.config.head.trunk
    changes = {one["task"]: one for one in json.loads((work / "changes.json").read_text())}
    assert {task for task, one in changes.items() if one["named"]} == {"offensiveness"}
    assert changes["motivation"]["posts"] >= 400
    is_independent(out)


@pytest.mark.parametrize(
    ("text", "tuning", "pictures", "weights"),
    [
        ("roberta", "lora", "lora", "inside"),
        *(
            pytest.param(*one, marks=pytest.mark.soak)
            for one in [
                ("roberta", "full", "full", "beside"),
                ("roberta", "frozen", "frozen", "beside"),
                ("roberta", "lora", "frozen", "beside"),
                ("roberta", "frozen", "frozen", "inside"),
                ("clip", "full", "frozen", "inside"),
            ]
        ),
    ],
)
def test_a_checkpoint_is_trained_further(  # noqa: PLR0917 - one case each
    data: Path, tmp_path: Path, text: str, tuning: str, pictures: str, weights: str
) -> None:
    """From what it holds alone: the folders that its encoders came from are gone."""
    start = a_start(data, tmp_path, text, encoder_weights=weights)
    for place in ("text", "picture"):
        (tmp_path / place).rename(tmp_path / f"{place}-gone")
    config = TrainConfig(**FURTHER, fine_tuning=tuning, picture_tuning=pictures)
    out = tmp_path / "out"
    train_encoders(data, out, tmp_path / "work", config, CPU, start=start)
    knows_what_it_knew(start, out, tmp_path / "work")
    was, now = load_checkpoint(start).config.text_encoder, load_checkpoint(out).config.text_encoder
    assert isinstance(was, FolderTextConfig)
    assert isinstance(now, FolderTextConfig)
    assert now.weights == weights
    same = {place: tune == "frozen" for place, tune in (("text", tuning), ("picture", pictures))}
    for place, frozen in same.items():
        one, other = (_tensors(folder, f"{place}_encoder") for folder in (start, out))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one) == frozen, place


def _tensors(folder: Path, place: str) -> dict[str, torch.Tensor]:
    """An encoder's weights, wherever they lie."""
    described = getattr(load_checkpoint(folder).config, place)
    if described.folder is not None:
        return load_file(folder / described.folder.folder / "model.safetensors")
    held = load_file(folder / "embedding.safetensors")
    return {name.removeprefix(f"{place}."): one for name, one in held.items() if name.startswith(f"{place}.")}


@pytest.mark.soak
def test_an_interrupted_run_ends_in_the_same_weights_and_another_start_is_another_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, the rehearsed answers and the kept bank included."""
    start, config = a_start(data, tmp_path), TrainConfig(**FURTHER, fine_tuning="full")
    train_encoders(data, tmp_path / "out", tmp_path / "work", config, CPU, start=start)
    note = joint_training._note

    def interrupted(work: Path, **values: float) -> None:
        note(work, **values)
        if values["step"] == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(joint_training, "_note", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_encoders(data, tmp_path / "resumed", tmp_path / "other", config, CPU, start=start)
    train_encoders(data, tmp_path / "resumed", tmp_path / "other", config, CPU, start=start)
    assert same_tensors(tmp_path / "out", tmp_path / "resumed")
    save_calibration(start, Calibration())
    with pytest.raises(DataError, match="another start"):
        train_encoders(data, tmp_path / "resumed", tmp_path / "other", config, CPU, start=start)


@pytest.mark.soak
def test_rehearsal_keeps_the_tasks_that_nobody_labelled(data: Path, tmp_path: Path) -> None:
    """Without it, their numbers move more; and the bank is the new posts' alone."""
    start, moved = a_start(data, tmp_path), {}
    probe = [Post(text) for text in ("the rain", "love the sun", "hate monday", "great town and bread", "a song")]
    before = Moderator.from_checkpoint(start).label(probe)
    for rehearsal in (True, False):
        # At the rates at which tiny models are taught their first task, they forget whatever is rehearsed.
        slower = {"take": {}, "epochs": 3, "rate": 2e-4, "head_rate": 1e-3}
        config = TrainConfig(**FURTHER | slower, fine_tuning="full", rehearsal=rehearsal)
        out = tmp_path / f"out-{rehearsal}"
        train_encoders(data, out, tmp_path / f"work-{rehearsal}", config, CPU, start=start)
        moved[rehearsal] = _moved(before, Moderator.from_checkpoint(out).label(probe))
    assert moved[True] < moved[False] / 2
    assert len(load_checkpoint(tmp_path / "out-False").bank) <= FEW["bank"]["ours"]
    assert not (tmp_path / "work-False" / "changes.json").exists()


def _moved(before: Sequence[PostLabels], after: Sequence[PostLabels]) -> float:
    """How far the numbers of two tasks that no post names have moved."""
    return sum(
        abs(one.tasks[task].probabilities[name] - probability)
        for one, other in zip(before, after, strict=True)
        for task in ("humour", "motivation")
        for name, probability in other.tasks[task].probabilities.items()
    )


def test_what_cannot_be_trained_further_is_said(data: Path, tmp_path: Path) -> None:
    """Encoders beside a start, its own folder as the output, another size, and encoders that are not its own."""
    start = a_start(data, tmp_path)
    given = ["train", data, "--work", tmp_path / "work", "--start", start]
    for more, said in (
        (["--out", tmp_path / "out", "--text-encoder", tmp_path / "text"], "brings its encoders along"),
        (["--out", start], "would overwrite --start"),
    ):
        result = CliRunner().invoke(mmorient, [str(one) for one in [*given, *more]])
        assert result.exit_code == 2
        assert said in result.output
    config = TrainConfig(**FURTHER, trunk=(32, 8))
    with pytest.raises(CheckpointError, match=r"trunk is \(32, 8\), the checkpoint's \(16, 8\)"):
        train_encoders(data, tmp_path / "out", tmp_path / "work", config, CPU, start=start)
    clip = tiny_folders.write_small_clip(tmp_path / "clip")
    write_untrained(tmp_path / "variant", config=clip_config("clip", clip, probes={}, bank_posts=8, trunk=(16, 8)))
    given[-1] = tmp_path / "variant"
    result = CliRunner().invoke(mmorient, [str(one) for one in [*given, "--out", tmp_path / "out"]])
    assert "stay in folders of their own" in f"{result.output} {result.exception}"
