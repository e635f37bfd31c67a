"""What is loaded, what is refused, and what a digest covers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmorient import CheckpointError
from mmorient.checkpointing.loading import BANK, CALIBRATION, CONFIG, EMBEDDING, HEAD, load_checkpoint
from mmorient.config import Tiles
from mmorient.digest import SHIPPED, file_digest
from mmorient.training.fitting.untrained import write_untrained

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def copy(untrained: Path, tmp_path: Path) -> Path:
    """A checkpoint to spoil."""
    return Path(shutil.copytree(untrained, tmp_path / "copy"))


def reseal(path: Path) -> None:
    """Bring the digests in config.json up to date."""
    config = json.loads((path / CONFIG).read_text())
    config["files"] = {name: file_digest(path / name) for name in config["files"]}
    (path / CONFIG).write_text(json.dumps(config))


def edit(path: Path, change: Change) -> None:
    """Change a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_tensors(path: Path, change: Change) -> None:
    """Change a safetensors file and the digest that names it."""
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    reseal(path.parent)


def refusal(path: Path) -> str:
    """The one line with which a checkpoint is refused."""
    with pytest.raises(CheckpointError) as caught:  # noqa: PT012 - loading is lazy in parts
        checkpoint = load_checkpoint(path)
        checkpoint.text_encoder()
        checkpoint.picture_encoder()
        checkpoint.attention("text")
        checkpoint.attention("picture")
        checkpoint.model()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    """Said as such."""
    assert "no such folder" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [CONFIG, EMBEDDING, HEAD, BANK, CALIBRATION, "tokenizer.json"])
def test_a_missing_file(copy: Path, name: str) -> None:
    """Named."""
    (copy / name).unlink()
    assert f"{name}: is missing" in refusal(copy)


@pytest.mark.parametrize("name", [EMBEDDING, HEAD, BANK, CALIBRATION, "tokenizer.json"])
def test_other_bytes(copy: Path, name: str) -> None:
    """A file that is not the one that config.json names is refused before it is read."""
    (copy / name).write_bytes((copy / name).read_bytes() + b" ")
    assert f"{name}: holds sha256:" in refusal(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.update(format="mm-orient-checkpoint/9"), "format is 'mm-orient-checkpoint/9'"),
        (lambda config: config["text_encoder"].update(preprocessing="text/0"), "text preprocessing is 'text/0'"),
        (lambda config: config["picture_encoder"].update(preprocessing="p"), "picture preprocessing is 'p'"),
        (lambda config: config.update(surprise=1), "surprise: Extra inputs are not permitted"),
        (lambda config: config.pop("tiles"), "tiles: Field required"),
        (
            lambda config: config["tiles"]["cpu"].update(posts=8),
            "tiles.cpu.posts: Input should be",
        ),
        (
            lambda config: config.update(format="mm-orient-checkpoint/2", rows=config.pop("tiles")),
            "this version reads 'mm-orient-checkpoint/4'",
        ),
        (
            lambda config: config.update(format="mm-orient-checkpoint/3"),
            "format is 'mm-orient-checkpoint/3', this version reads 'mm-orient-checkpoint/4'",
        ),
        (lambda config: config["head"].update(trunk=[9, 9]), "dense1.weight is"),
        (lambda config: config["head"].update(bank_posts=3), "labels is"),
        (lambda config: config["text_encoder"].update(tokenizer="other.json"), "names no digest of other.json"),
        (lambda config: config["text_encoder"].update(tokenizer="../t.json"), "should match pattern"),
        (lambda config: config["files"].pop(HEAD), f"names no digest of {HEAD}"),
    ],
)
def test_a_config_that_asks_for_something_else(copy: Path, change: Change, said: str) -> None:
    """Versions, unknown and missing fields, sizes and packages, each in one line."""
    edit(copy / CONFIG, change)
    assert said in refusal(copy)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (HEAD, lambda tensors: tensors.pop("no_text"), "lacks no_text"),
        (HEAD, lambda tensors: tensors.update(more=torch.zeros(1)), "holds more"),
        (HEAD, lambda tensors: tensors.update(no_text=torch.zeros(3)), "no_text is (3,), config.json asks for (384,)"),
        (EMBEDDING, lambda tensors: tensors.pop("text_attention.kernel"), "lacks kernel"),
        (EMBEDDING, lambda tensors: tensors.pop("picture_encoder.axes"), "picture encoder: lacks axes"),
        (
            EMBEDDING,
            lambda tensors: tensors.update({"text_encoder.bert.layers.5.query.weight": torch.zeros(4, 9)}),
            "text encoder: bert.layers.5.query.weight is (4, 9)",
        ),
        (BANK, lambda tensors: tensors.pop("text_bias"), "lacks text_bias"),
        (BANK, lambda tensors: tensors.update(text_bias=torch.zeros(2)), "text_bias is (2,)"),
    ],
)
def test_tensors_that_do_not_fit(copy: Path, name: str, change: Change, said: str) -> None:
    """Missing, left over and misshapen, each named."""
    edit_tensors(copy / name, change)
    assert said in refusal(copy)


def test_junk_in_the_place_of_tensors(copy: Path) -> None:
    """Not safetensors."""
    (copy / HEAD).write_bytes(b"junk" * 100)
    reseal(copy)
    assert "not safetensors" in refusal(copy)


def test_the_digest_covers_all_but_the_card(copy: Path) -> None:
    """Any change to a label's making changes it, words about it do not."""
    before = load_checkpoint(copy).digest
    (copy / "README.md").write_text("a card")
    assert load_checkpoint(copy).digest == before
    edit_tensors(copy / HEAD, lambda tensors: tensors["no_text"].add_(1))
    assert load_checkpoint(copy).digest != before


def test_the_embedding_digest_covers_what_makes_a_vector_and_no_more(copy: Path) -> None:
    """A new head, bank or calibration keeps every cached embedding; encoder, stage 1 and precision do not."""
    before = load_checkpoint(copy).embedding_digest("fp32")
    edit_tensors(copy / HEAD, lambda tensors: tensors["no_text"].add_(1))
    edit_tensors(copy / BANK, lambda tensors: tensors["text_bias"].add_(1))
    edit(copy / CALIBRATION, lambda calibration: calibration["heads"].update(text={"humour": {"temperature": 2.0}}))
    edit(copy / CONFIG, lambda config: config.update(name="other"))
    reseal(copy)
    assert load_checkpoint(copy).embedding_digest("fp32") == before
    assert load_checkpoint(copy).embedding_digest("bf16") != before
    tiles = Tiles(texts=2, pictures=1, posts=16)
    on_devices = {
        load_checkpoint(copy).embedding_digest("fp32", tiles=size, arithmetic=arithmetic)
        for size in (tiles, tiles.model_copy(update={"texts": 4}), tiles.model_copy(update={"posts": 64}))
        for arithmetic in ("avx512-1", "avx2-2")
    }
    assert len(on_devices) == 4  # how many posts a tile has does not matter before the cache
    edit_tensors(copy / EMBEDDING, lambda tensors: tensors["text_attention.kernel"].add_(1))
    assert load_checkpoint(copy).embedding_digest("fp32") != before


def test_the_same_seed_writes_the_same_checkpoint(untrained: Path, tmp_path: Path) -> None:
    """Byte for byte."""
    write_untrained(tmp_path / "again")
    assert load_checkpoint(tmp_path / "again").digest == load_checkpoint(untrained).digest


def test_the_shipped_checkpoint_is_small_and_has_a_card() -> None:
    """Under 80 MB and 30 million parameters with its encoders, loadable, and its card names the training sets."""
    files = [file for file in SHIPPED.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 80_000_000
    checkpoint = load_checkpoint(SHIPPED)
    assert checkpoint.config.name == "mm-orient-compact"
    weights = (*checkpoint.embedding.values(), *checkpoint.head.values())
    assert sum(tensor.numel() for tensor in weights) <= 30_000_000
    card = (SHIPPED / "README.md").read_text()
    for name in ("Memotion", "MVSA", "TweetEval", "MMSD2.0", "iSarcasmEval"):
        assert name in card
