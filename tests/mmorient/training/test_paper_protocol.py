"""The paper's own protocol, on tiny random encoders: `docs/how-to/paper.toml` as a reader would run it."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mmorient import Moderator, Post
from mmorient.network.mm_orient import ModelSizes, PostTensors
from mmorient.training.config import read_config
from mmorient.training.encoder_run import train_encoders
from mmorient.training.fitting.encoder_model import BatchHead
from tests.mmorient.made_sets import write_sets
from tests.mmorient.tiny_models import write_bert, write_clip, write_detr
from tests.tiers import ROOT

CPU = torch.device("cpu")
PAPER = ROOT / "docs" / "how-to" / "paper.toml"


def test_the_protocol_is_the_specifications() -> None:
    """Sizes, threshold, context; nothing dropped, weighted or added."""
    config = read_config(PAPER)
    assert (config.trunk, config.threshold, config.context) == ((4618, 2048), 0.9, "batch")
    assert (config.fine_tuning, config.picture_tuning, config.features) == ("frozen", "frozen", True)
    assert (config.weights, config.class_weights, config.muted, config.swaps) == ({}, {}, (), 0)


def test_the_batch_is_the_context_whatever_else_is_given() -> None:
    """The bank that the training keeps changes nothing; another post in the batch does."""
    torch.manual_seed(0)
    head = BatchHead(ModelSizes(8, 8, 8, (16, 8))).eval()
    near = torch.randn(8)

    def batch(count: int) -> PostTensors:
        made = torch.Generator().manual_seed(1)
        vectors = [torch.randn(6, 8, generator=made)[:count] for _ in range(2)]
        globals_ = (near + 0.1 * torch.randn(6, 8, generator=made))[:count]
        there = torch.ones(count, dtype=torch.bool)
        return PostTensors(vectors[0], globals_, there, vectors[1], globals_, there)

    three, six = batch(3), batch(6)
    bank = head.context(six, head.set_biases(six))
    assert torch.equal(head(three, bank)["sarcasm"], head(three, bank.alone())["sarcasm"])
    assert not torch.allclose(head(three, bank)["sarcasm"], head(six, bank)["sarcasm"][:3], atol=1e-6)


def test_it_runs_on_random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From folders at the places that the file names to scores of all tasks and a checkpoint for a worker."""
    write_sets(tmp_path / "sets")
    shutil.move(tmp_path / "sets" / "memotion_dataset_7k", tmp_path / "data" / "memotion_dataset_7k")
    write_bert(tmp_path / "models" / "bert-base-uncased")
    write_detr(tmp_path / "models" / "detr-resnet-50")
    write_clip(tmp_path / "models" / "clip-vit-base-patch32")
    monkeypatch.chdir(tmp_path)
    config = read_config(PAPER).model_copy(update={"epochs": 1, "rows": 4, "trunk": (32, 16)})
    train_encoders(tmp_path / "data", tmp_path / "out", tmp_path / "work", config, CPU)
    scores = json.loads((tmp_path / "work" / "batch_scores.json").read_text())
    assert {score["task"] for score in scores} == {"sentiment", "humour", "sarcasm", "offensiveness", "motivation"}
    assert all(score["source"] == "memotion" and 0 <= score["macro_f1"] <= 100 for score in scores)
    moderator = Moderator.from_checkpoint(tmp_path / "out")
    assert moderator.identity.graph_context == "bank"
    assert len(moderator.bank) > 0
    assert moderator.text_width == 24 + 16
    [alone], [beside, _] = moderator.label([Post("love the rain")]), moderator.label([Post("love the rain"), Post("a")])
    assert alone == beside
