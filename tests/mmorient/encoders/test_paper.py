"""The encoders of `paper`, on folders that hold a whole BERT, CLIP and DETR of tiny widths."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertModel, CLIPModel, DetrModel

from mmorient import Moderator
from mmorient.checkpointing.loading import CONFIG, EMBEDDING, load_checkpoint
from mmorient.config import Precision
from mmorient.encoders.minilm import token_batch
from mmorient.encoders.paper import PaperPicture, PaperText, smaller
from mmorient.training.data.examples import PROBES
from mmorient.training.fitting.untrained import write_untrained
from mmorient.training.fitting.variants import paper_config
from tests.mmorient import variant_checks
from tests.mmorient.checkpointing import test_checkpoint
from tests.mmorient.tiny_models import write_bert, write_clip, write_detr

CPU = torch.device("cpu")


def write_paper(path: Path, *, timm: bool = False) -> Path:
    """Random weights around folders that lie in the checkpoint's own."""
    config = paper_config(
        "tiny-paper",
        clip=write_clip(path / "clip"),
        bert=write_bert(path / "bert"),
        detr=write_detr(path / "detr", timm=timm),
        probes=PROBES,
        bank_posts=16,
        trunk=(32, 16),
        base=path,
    )
    write_untrained(path, config=config)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of transformers' own backbone."""
    return write_paper(tmp_path_factory.mktemp("paper") / "untrained")


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint to spoil, moved along with its folders."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def text_encoder(checkpoint: Path) -> PaperText:
    """The text encoder."""
    encoder = load_checkpoint(checkpoint).text_encoder()
    assert isinstance(encoder, PaperText)
    return encoder


def picture_encoder(checkpoint: Path) -> PaperPicture:
    """The picture encoder."""
    encoder = load_checkpoint(checkpoint).picture_encoder()
    assert isinstance(encoder, PaperPicture)
    return encoder


@torch.inference_mode()
def test_token_states_are_those_of_transformers(checkpoint: Path) -> None:
    """BERT's last layer, on 128 tokens with padding."""
    encoder = text_encoder(checkpoint)
    theirs = BertModel.from_pretrained(checkpoint / "bert", local_files_only=True).eval()
    windows = [
        windows[0].token_ids for windows in encoder.reader.windows([*variant_checks.word_salad(4, 0), "a " * 126])
    ]
    ids, mask = token_batch(windows, 128, CPU)
    states, _ = encoder.encode(ids, mask)
    assert states.shape == (5, 128, 24)
    wanted = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    assert torch.allclose(states[mask], wanted[mask], atol=1e-5)


@torch.inference_mode()
def test_global_text_vectors_are_clips(checkpoint: Path) -> None:
    """The text features of transformers, of length 1, whatever BERT made of the tokens."""
    theirs = CLIPModel.from_pretrained(checkpoint / "clip", local_files_only=True).eval()
    moderator = Moderator.from_checkpoint(checkpoint)
    reader = text_encoder(checkpoint).companion.reader
    for text in variant_checks.word_salad(3, 1):
        [[window]] = reader.windows([text])
        pooled = theirs.text_model(input_ids=torch.tensor([window.token_ids])).pooler_output
        wanted = torch.nn.functional.normalize(theirs.text_projection(pooled)[0], dim=0)
        [embedding] = moderator.embed_texts([text])
        assert np.allclose(embedding[24:], wanted.numpy(), atol=2e-3)


@torch.inference_mode()
def test_regions_are_the_queries_of_transformers(checkpoint: Path) -> None:
    """DETR's last decoder layer, 100 queries; they have no place on the picture."""
    encoder = picture_encoder(checkpoint)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8))
    states, globals_ = encoder.encode(pixels)
    assert (states.shape, globals_.shape, encoder.regions, encoder.grid) == ((2, 100, 16), (2, 16), 100, None)
    theirs = DetrModel.from_pretrained(checkpoint / "detr", local_files_only=True).eval()
    values = (pixels.permute(0, 3, 1, 2) / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    assert torch.allclose(states, theirs(pixel_values=values).last_hidden_state, atol=1e-4)
    clip = CLIPModel.from_pretrained(checkpoint / "clip", local_files_only=True).eval()
    small = encoder.clip.scale(smaller(pixels, 224), torch.float32)
    projected = clip.visual_projection(clip.vision_model(pixel_values=small).pooler_output)
    assert torch.allclose(globals_, torch.nn.functional.normalize(projected, dim=-1), atol=1e-5)


def test_a_picture_is_made_smaller_as_pillow_does() -> None:
    """Pillow rounds between its two passes, and cuts off what overshoots: on noise, half a grey level on average."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    found = smaller(torch.from_numpy(pixels)[None], 224)[0].numpy()
    wanted = np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float32)
    assert np.abs(found - wanted).mean() < 0.5


def test_the_square_is_as_large_as_the_folder_or_the_config_says(copy: Path) -> None:
    """96 pixels here; 64 where the checkpoint asks for them, and then other vectors."""
    before = Moderator.from_checkpoint(copy)
    variant_checks.edit_json(copy / CONFIG, lambda config: config["picture_encoder"].update(side_pixels=64))
    after = Moderator.from_checkpoint(copy)
    assert (before.picture_frame.side, after.picture_frame.side) == (96, 64)
    assert before.identity.embedding != after.identity.embedding
    assert variant_checks.drawn(after)[0].pixels.shape == (64, 64, 3)
    assert not variant_checks.same(
        before.embed_pictures(variant_checks.drawn(before)), after.embed_pictures(variant_checks.drawn(after))
    )


@torch.inference_mode()
def test_a_timm_backbone_loads_without_the_hub(tmp_path: Path) -> None:
    """The published DETR folders name one, and ask for its pretrained weights, which their own weights hold."""
    pytest.importorskip("timm")
    path = write_paper(tmp_path / "timm", timm=True)
    detr = picture_encoder(path).detr
    saved = load_file(path / "detr" / "model.safetensors")
    stem = next(tensor for name, tensor in saved.items() if name.endswith("conv1.0.weight"))
    assert torch.equal(next(p for name, p in detr.named_parameters() if name.endswith("conv1.0.weight")), stem)
    variant_checks.labels_every_post(path, "cpu", "fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("device", variant_checks.DEVICES)
def test_it_labels(checkpoint: Path, device: str, precision: Precision) -> None:
    """End to end."""
    variant_checks.labels_every_post(checkpoint, device, precision)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_is_bitwise_independent_of_its_company(checkpoint: Path, precision: Precision) -> None:
    """In BERT, in CLIP's both towers and in DETR."""
    variant_checks.rows_are_independent(checkpoint, precision)


def test_deltas_are_merged_into_bert(copy: Path) -> None:
    """What training adds to its weights; what fits none is refused."""
    before = text_encoder(copy).bert.get_parameter("layers.1.query.weight").clone()
    deltas = {
        "text_encoder.layers.1.query.down": torch.ones(1, 24),
        "text_encoder.layers.1.query.up": torch.ones(24, 1),
    }
    test_checkpoint.edit_tensors(copy / EMBEDDING, lambda tensors: tensors.update(deltas))
    assert torch.equal(text_encoder(copy).bert.get_parameter("layers.1.query.weight"), before + 1)
    misfit = {"text_encoder.layers.1.query.down": torch.ones(1, 5)}
    test_checkpoint.edit_tensors(copy / EMBEDDING, lambda tensors: tensors.update(misfit))
    assert "text encoder: layers.1.query: delta (24, 5)" in variant_checks.refusal(copy)


def _json(name: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    return lambda path: variant_checks.edit_json(path / name, change)


def _tensors(name: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    return lambda path: variant_checks.edit_tensors(path / name / "model.safetensors", change)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: shutil.rmtree(path / "bert"), "bert: no such folder"),
        (lambda path: (path / "bert/tokenizer.json").unlink(), "bert: lacks tokenizer.json"),
        (lambda path: (path / "detr/model.safetensors").unlink(), "detr: lacks model.safetensors"),
        (
            _json("detr/config.json", lambda config: config.update(model_type="yolos")),
            "model_type is 'yolos', not 'detr'",
        ),
        (_json("bert/config.json", lambda config: config.update(hidden_act="relu")), "not BERT's activation"),
        (_json("bert/config.json", lambda config: config.update(vocab_size=9)), "config.json asks for (9, 24)"),
        (_json("detr/config.json", lambda config: config.update(num_queries=7)), "config.json asks for (7, 16)"),
        (_tensors("bert", lambda t: t.pop("bert.encoder.layer.1.output.dense.bias")), "layer.1.output.dense.bias"),
        (
            _tensors("detr", lambda t: t.pop("model.query_position_embeddings.weight")),
            "lacks query_position_embeddings",
        ),
        (_json("detr/preprocessor_config.json", lambda content: content.pop("size")), "names no side in pixels: None"),
    ],
)
def test_folders_that_do_not_hold_together(copy: Path, spoil: Callable[[Path], object], said: str) -> None:
    """One line that names the file, digests right or wrong."""
    spoil(copy)
    variant_checks.reseal(copy, copy)
    assert said in variant_checks.refusal(copy)
