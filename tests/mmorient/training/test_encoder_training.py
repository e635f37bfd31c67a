"""Encoders out of folders of every family: trained, resumed, written, and labels that are the post's own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from mmorient import CheckpointError, Moderator, Post
from mmorient.checkpointing.loading import load_checkpoint
from mmorient.cli import mmorient
from mmorient.config import FolderPictureConfig, FolderTextConfig
from mmorient.errors import DataError
from mmorient.training import encoder_run
from mmorient.training.config import TrainConfig
from mmorient.training.encoder_run import train_encoders
from mmorient.training.fitting import joint_training
from mmorient.training.fitting.encoder_preparing import PreparedEncoders
from mmorient.training.judging.evaluating import post_of
from tests.mmorient import tiny_folders
from tests.mmorient.training.encoder_runs import (
    CPU,
    configured,
    is_independent,
    same_tensors,
    trains,
    write_posts,
)
from tests.tiers import rest_soaks


@pytest.fixture(autouse=True)
def one_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a step takes is told from one of them."""
    monkeypatch.setattr(joint_training, "_PROBE_STEPS", 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts of which one word and one colour tell what most of them are."""
    root = tmp_path_factory.mktemp("data")
    write_posts(root)
    return root


@pytest.mark.parametrize("family", rest_soaks(tiny_folders.TEXTS, ["roberta"]))
def test_every_family_of_texts_learns(data: Path, tmp_path: Path, family: str) -> None:
    """All weights of the text encoder; the checkpoint holds them, and is the model that was trained."""
    config = configured(tmp_path, family, "clip" if family == "clip" else "vit")
    out = trains(data, tmp_path, config)
    held = load_file(out / "embedding.safetensors")
    before = load_file(tmp_path / "text" / "model.safetensors")
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


def stopped_and_gone_on_with(data: Path, root: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off between two saved states, and gone on with in another process's place."""
    note = joint_training._note

    def interrupted(work: Path, **values: float) -> None:
        note(work, **values)
        if values["step"] == 3 * config.log_steps:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(joint_training, "_note", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_encoders(data, root / "resumed", root / "resumed-work", config, CPU)
    train_encoders(data, root / "resumed", root / "resumed-work", config, CPU)


@pytest.mark.parametrize(
    ("tuning", "pictures"),
    [
        ("lora", "lora"),
        *(pytest.param(*one, marks=pytest.mark.soak) for one in [("full", "full"), ("frozen", "frozen")]),
    ],
)
def test_an_interrupted_run_ends_in_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuning: str, pictures: str
) -> None:
    """Bit for bit, whatever learns; in bf16 on any processor, with dropout, hidden tokens and layers computed anew."""
    config = configured(
        tmp_path,
        "bert",
        "vit",
        bf16=True,
        fine_tuning=tuning,
        picture_tuning=pictures,
        gradient_checkpointing=True,
        epochs=2,
        log_steps=3,
    )
    train_encoders(data, tmp_path / "out", tmp_path / "work", config, CPU)
    stopped_and_gone_on_with(data, tmp_path, config, monkeypatch)
    assert same_tensors(tmp_path / "out", tmp_path / "resumed")
    (tmp_path / "text" / "config.json").write_text((tmp_path / "text" / "config.json").read_text() + " ")
    with pytest.raises(DataError, match="another encoders"):
        train_encoders(data, tmp_path / "resumed", tmp_path / "resumed-work", config, CPU)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("text", "picture"),
    [
        *((text, "clip" if text == "clip" else "vit") for text in tiny_folders.TEXTS),
        *(("roberta", one) for one in tiny_folders.PICTURES if one != "vit"),
    ],
)
def test_a_run_of_every_family_is_resumed_bit_for_bit(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, picture: str
) -> None:
    """All weights of both encoders learn, with dropout and hidden tokens."""
    config = configured(tmp_path, text, picture, picture_tuning="full", epochs=2, log_steps=3)
    train_encoders(data, tmp_path / "out", tmp_path / "work", config, CPU)
    stopped_and_gone_on_with(data, tmp_path, config, monkeypatch)
    assert same_tensors(tmp_path / "out", tmp_path / "resumed")


def test_deltas_are_merged_and_the_checkpoint_is_the_model_that_was_trained(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of low rank; what has none is as it was; the written labels are those of the model in training."""
    config = configured(tmp_path, "roberta", "vit", fine_tuning="lora", lora_rank=2, encoder_weights="beside")
    seen: list[PreparedEncoders] = []
    written = encoder_run.write_encoders

    def kept(prepared: PreparedEncoders, *rest: Any) -> None:
        seen.append(prepared)
        written(prepared, *rest)

    monkeypatch.setattr(encoder_run, "write_encoders", kept)
    out = trains(data, tmp_path, config)
    [prepared] = seen
    described = load_checkpoint(out).config.text_encoder
    assert isinstance(described, FolderTextConfig)
    assert described.folder is not None
    held = load_file(out / described.folder.folder / "model.safetensors")
    before = load_file(tmp_path / "text" / "model.safetensors")
    for name, rank in (("encoder.layer.0.attention.self.query.weight", 2), ("embeddings.word_embeddings.weight", 0)):
        change = (held[f"model.{name}"].float() - before[f"roberta.{name}"].half().float()).numpy()
        values = np.linalg.svd(change, compute_uv=False)
        assert (values > values.max() * 0.02 + 1e-6).sum() == rank, name
    moderator = Moderator.from_checkpoint(out)
    model, examples = prepared.model.eval(), prepared.data.examples
    rows = [row for row, one in enumerate(examples) if one.text or one.picture]
    with torch.no_grad():
        posts = model.embed(prepared.data.batch(rows, None))
        wanted = model.head(posts, moderator.bank.context(model.head))["offensiveness"]
    embedded = moderator.embed([post_of(examples[row], "text+image", moderator.picture_frame) for row in rows])
    found = torch.tensor([logits["offensiveness"] for logits in moderator.logits(embedded)])
    assert torch.allclose(found, wanted, atol=0.05)
    assert torch.equal(found.argmax(1), wanted.argmax(1))


@pytest.mark.soak
def test_weights_beside_the_checkpoint_are_shared_and_held_against_their_digest(data: Path, tmp_path: Path) -> None:
    """Frozen encoders of two checkpoints lie once on the disk; another byte is refused."""
    config = configured(tmp_path, "bert", "vit", fine_tuning="frozen", encoder_weights="beside", epochs=1, log_steps=1)
    for name, seed in (("one", 0), ("other", 1)):
        train_encoders(data, tmp_path / name, tmp_path / "work" / name, config.model_copy(update={"seed": seed}), CPU)
    folders = list((tmp_path / "encoders").iterdir())
    assert len(folders) == 2
    assert not [name for name in load_file(tmp_path / "one" / "embedding.safetensors") if "encoder" in name]
    assert Moderator.from_checkpoint(tmp_path / "other").label([Post("love the rain")])
    described = load_checkpoint(tmp_path / "one").config.picture_encoder
    assert isinstance(described, FolderPictureConfig)
    assert described.folder is not None
    file = tmp_path / "one" / described.folder.folder / "model.safetensors"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(CheckpointError, match="holds sha256:"):
        Moderator.from_checkpoint(tmp_path / "one")


def test_a_multilingual_encoder_says_its_languages(data: Path, tmp_path: Path) -> None:
    """From the command line; labels say whether a post is in one of them, whatever its script."""
    tiny_folders.write_xlm_roberta(tmp_path / "xlm")
    tiny_folders.write_convnext(tmp_path / "convnext")
    settings = {"languages": ["en", "de", "ru"], "epochs": 1, "rows": 8, "trunk": [16, 8], "swaps": 0, "average": 1}
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (tmp_path / "train.toml").write_text("\n".join([*lines, 'name = "many"', "[bank]", "ours = 4"]))
    options = ["--config", tmp_path / "train.toml", "--work", tmp_path / "work", "--out", tmp_path / "out"]
    folders = ["--text-encoder", tmp_path / "xlm", "--picture-encoder", tmp_path / "convnext"]
    arguments = ["train", data, *options, *folders]
    result = CliRunner().invoke(mmorient, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    moderator = Moderator.from_checkpoint(tmp_path / "out")
    german = "Herzlichen Glückwunsch zum Geburtstag und alles Gute für das neue Jahr"
    french = "Bonjour tout le monde, nous sommes très heureux de vous voir aujourd'hui"
    readings = moderator.read_texts([german, french, "привет мир, сегодня хорошая погода"])
    assert [reading.supported for reading in readings] == [True, False, True]
    assert moderator.read_texts(["привет мир"])[0].unread == 0
    # Half: the mark before a word is a token of its own, which is known.
    assert moderator.read_texts(["ᚠᚢᚦ"])[0].unread == 0.5


def test_what_cannot_be_trained_is_said(data: Path, tmp_path: Path) -> None:
    """One encoder alone, a folder that is not there, a checkpoint to go on from."""
    tiny_folders.write_vit(tmp_path / "vit")
    given = ["train", data, "--out", tmp_path / "out", "--work", tmp_path / "work"]
    for more, said in (
        (["--picture-encoder", tmp_path / "vit"], "named together"),
        (["--picture-encoder", tmp_path / "vit", "--text-encoder", tmp_path / "none"], "no such folder"),
    ):
        result = CliRunner().invoke(mmorient, [str(one) for one in [*given, *more]])
        assert said in f"{result.output} {result.exception}"
