"""Training what follows the encoders alone: their vectors are computed once, and they come out as they went in."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mmorient.training.config import TrainConfig
from mmorient.training.data.readers import read_all
from mmorient.training.fitting import frozen_vectors
from mmorient.training.fitting.frozen_vectors import freeze, rows_read
from mmorient.training.fitting.preparing import fresh_model, prepare
from mmorient.training.run import train
from tests.mmorient.made_sets import write_sets

CONFIG = TrainConfig(
    epochs=1,
    rows=8,
    trunk=(16, 8),
    bank={"memotion": 4, "mvsa": 3, "irony": 5},
    take={"plain": 8, "mmsd2": 4, "contrast": 8},
    beside={},
    fine_tuning="frozen",
    bf16=False,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every set in its layout."""
    root = tmp_path_factory.mktemp("data")
    write_sets(root)
    return root


def test_frozen_vectors_are_those_that_the_encoders_compute(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the digits of fp16, of both modalities; and a second run finds the texts' on the disk."""
    prepared = prepare(read_all(data), CONFIG, tmp_path)
    model = fresh_model(CONFIG).eval()
    rows = rows_read(prepared.data, CONFIG, CONFIG.bank)[:24]
    whole = model.embed(prepared.data.batch(rows, None))
    frozen, found = freeze(model, prepared, CONFIG, tmp_path, "one")
    read = frozen.eval().embed(found.data.batch(rows, None))
    for name in ("text", "text_global", "picture", "picture_global"):
        assert torch.allclose(getattr(read, name), getattr(whole, name), atol=2e-3), name
    assert torch.equal(read.text_present, whole.text_present)
    assert torch.equal(read.picture_present, whole.picture_present)

    monkeypatch.setattr(frozen_vectors, "batches_by_length", lambda *_: pytest.fail("read again"))
    again, _ = freeze(model, prepared, CONFIG, tmp_path, "one")
    assert torch.equal(again.texts, frozen.texts)


def test_no_weight_of_the_encoders_learns(data: Path, tmp_path: Path) -> None:
    """The optimiser has what follows stage 1, and all of that."""
    prepared = prepare(read_all(data), CONFIG, tmp_path)
    frozen, _ = freeze(fresh_model(CONFIG), prepared, CONFIG, tmp_path, "one")
    (group,) = frozen.parameter_groups(CONFIG)
    learned = {id(one) for one in group["params"]}
    assert learned == {id(one) for one in frozen.head.parameters()}


@pytest.mark.soak
def test_the_encoder_stays_and_the_heads_learn(data: Path, tmp_path: Path) -> None:
    """The checkpoint that comes out has the encoder and the stage 1 of the one that went in, and other heads."""
    start, out = tmp_path / "start", tmp_path / "out"
    train(data, start, tmp_path / "first", CONFIG.model_copy(update={"fine_tuning": "full"}), torch.device("cpu"))
    further = CONFIG.model_copy(update={"rehearsal": False})
    train(data, out, tmp_path / "second", further, torch.device("cpu"), start=start)
    before, after = load_file(start / "embedding.safetensors"), load_file(out / "embedding.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    before, after = load_file(start / "head.safetensors"), load_file(out / "head.safetensors")
    assert not torch.equal(before["classifier.dense1.weight"], after["classifier.dense1.weight"])
