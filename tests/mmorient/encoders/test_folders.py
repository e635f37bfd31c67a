"""Encoders out of folders of every family: what transformers makes of the same folder, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from mmorient import CheckpointError
from mmorient.encoders.folder_picture import FolderPicture
from mmorient.encoders.folder_text import FolderText
from mmorient.encoders.minilm import token_batch
from mmorient.training.config import TrainConfig
from mmorient.training.fitting.folders import Encoders, Folders, read_folders
from mmorient.training.fitting.low_rank import add_deltas, merge_deltas
from tests.mmorient import tiny_folders
from tests.mmorient.variant_checks import edit_json, edit_tensors, word_salad
from tests.tiers import rest_soaks

CPU = torch.device("cpu")
# What transformers calls the encoder in a folder of each family.
PICTURE_CLASSES = {
    "clip": "CLIPVisionModelWithProjection",
    "convnext": "ConvNextModel",
    "detr": "DetrModel",
    "dinov2": "Dinov2Model",
    "siglip": "SiglipVisionModel",
    "vit": "ViTModel",
}


def read(root: Path, text: str = "roberta", picture: str = "vit", **changes: object) -> Encoders:
    """Both encoders of tiny folders."""
    for place, name, writers in (("text", text, tiny_folders.TEXTS), ("picture", picture, tiny_folders.PICTURES)):
        if not (root / place).exists():
            writers[name](root / place)
    folders = Folders(root / "text", root / "picture")
    return read_folders(folders, TrainConfig().model_copy(update=changes), root / "work")


@torch.inference_mode()
@pytest.mark.parametrize("family", rest_soaks([one for one in tiny_folders.TEXTS if one != "clip"], ["roberta"]))
def test_token_states_are_those_of_transformers(tmp_path: Path, family: str) -> None:
    """Of the folder's own class, text by text without padding, from weights that fp16 can say."""
    encoder = read(tmp_path, family).text
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "text", local_files_only=True).eval()
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half().float())
    windows = [windows[0].token_ids for windows in encoder.reader.windows([*word_salad(4, 0), "rain " * 90])]
    ids, mask = token_batch(windows, max(map(len, windows)), CPU)
    states, globals_ = encoder.encode_raw(ids, mask)
    for row, window in enumerate(windows):
        found = theirs(input_ids=torch.tensor([window])).last_hidden_state[0]
        assert torch.allclose(states[row][: len(window)], found, atol=2e-5), family
        assert torch.allclose(globals_[row], found.mean(0), atol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize("family", rest_soaks(PICTURE_CLASSES, ["vit"]))
def test_region_states_are_those_of_transformers(tmp_path: Path, family: str) -> None:
    """Row by row without the class token; global vectors of length 1."""
    encoder = read(tmp_path, picture=family).picture
    theirs = getattr(transformers, PICTURE_CLASSES[family]).from_pretrained(tmp_path / "picture").eval()
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half().float())
    side = encoder.frame.side
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8))
    states, globals_ = encoder.encode(pixels)
    found = theirs(pixel_values=encoder.scale(pixels, torch.float32)).last_hidden_state
    wanted = found.flatten(2).transpose(1, 2) if family == "convnext" else found[:, -encoder.regions :]
    assert torch.allclose(states, wanted, atol=2e-5)
    assert torch.allclose(globals_.norm(dim=-1), torch.ones(2), atol=1e-5)
    assert states.shape == (2, encoder.regions, encoder.state_width)
    assert encoder.grid is None or encoder.grid[0] * encoder.grid[1] == encoder.regions


def test_words_have_the_tokens_that_they_have_in_a_sentence(tmp_path: Path) -> None:
    """Byte-level vocabularies hold the space before a word; the folder's own tokenizer says the same."""
    reader = read(tmp_path, "roberta").text.reader
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "text", local_files_only=True)
    for text in word_salad(6, 2):
        [[window]] = reader.windows([text])
        assert list(window.token_ids[1:-1]) == theirs(f" {text}", add_special_tokens=False)["input_ids"]


def test_bertweets_words_are_cut_as_its_own_tokenizer_cuts_them(tmp_path: Path) -> None:
    """From fastBPE's files; names and links as it was trained to read them; steps on the way are unknown."""
    encoders = read(tmp_path, "bertweet")
    reader, theirs = (
        encoders.text.reader,
        transformers.BertweetTokenizer(str(tmp_path / "text" / "vocab.txt"), str(tmp_path / "text" / "bpe.codes")),
    )
    for text in [*word_salad(6, 3), "rai mond ha hat grea"]:
        plain = text.replace("ï", "i")
        [[window]] = reader.windows([plain])
        assert list(window.token_ids[1:-1]) == theirs.convert_tokens_to_ids(theirs.tokenize(plain)), plain
    [[window]] = reader.windows(["@someone https://example.org"])
    assert list(window.token_ids[1:-1]) == theirs.convert_tokens_to_ids(["@USER", "HTTPURL"])
    assert reader.vocabulary == encoders.text_config.known_tokens
    assert encoders.mask_token == theirs.mask_token_id


def test_computed_constants_stay_exact_in_bf16(tmp_path: Path) -> None:
    """ModernBERT's rotary frequencies; its weights are cast."""
    encoder = read(tmp_path, "modernbert").text.to(CPU, torch.bfloat16)
    assert next(encoder.model.parameters()).dtype == torch.bfloat16
    constants = [one for name, one in encoder.named_buffers() if "inv_freq" in name]
    assert constants
    assert {one.dtype for one in constants} == {torch.float32}


def test_deltas_are_nothing_at_first_and_merge_into_what_they_make(tmp_path: Path) -> None:
    """The encoder has its former parameters again, and says what it said with its deltas."""
    encoder = read(tmp_path, "bert").text
    names = set(encoder.state_dict())
    ids, mask = torch.tensor([[2, 20, 30, 3]]), torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        before, _ = encoder.encode(ids, mask)
        assert add_deltas(encoder.model, 4, 2.0) == 12
        untouched, _ = encoder.encode(ids, mask)
        learned = [one for one in encoder.model.parameters() if one.requires_grad]
        for one in learned:
            one.normal_(std=0.1)
        changed, _ = encoder.encode(ids, mask)
        merge_deltas(encoder.model)
        merged, _ = encoder.encode(ids, mask)
    assert torch.equal(before, untouched)
    assert len(learned) == 24
    assert not torch.allclose(before, changed, atol=1e-3)
    assert torch.allclose(changed, merged, atol=1e-5)
    assert set(encoder.state_dict()) == names


Spoil = Callable[[Path], object]


def _json(name: str, **fields: object) -> Spoil:
    return lambda folder: edit_json(folder / name, lambda content: content.update(fields))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "lacks config.json"),
        (_json("config.json", model_type="gpt2"), "model_type is 'gpt2', none of bert, clip"),
        (_json("config.json", hidden_size="wide"), "config.json"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "safetensors alone"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json"),
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            "none can be made: it knows 5 tokens of 99",
        ),
        (
            lambda folder: edit_tensors(
                folder / "model.safetensors", lambda tensors: tensors.pop("bert.encoder.layer.0.output.dense.bias")
            ),
            "lacks encoder.layer.0.output.dense.bias",
        ),
        (_json("config.json", vocab_size=9), "is (99, 24), config.json asks for (9, 24)"),
        (
            lambda folder: edit_tensors(
                folder / "model.safetensors",
                lambda tensors: tensors["bert.encoder.layer.0.output.dense.bias"].fill_(1e6),
            ),
            "does not fit fp16",
        ),
    ],
)
def test_a_folder_of_texts_that_cannot_be_used(tmp_path: Path, spoil: Spoil, said: str) -> None:
    """In one line, before anything is trained."""
    tiny_folders.write_bert(tmp_path / "text")
    spoil(tmp_path / "text")
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "lacks preprocessor_config.json"),
        (_json("preprocessor_config.json", size={"height": 64, "width": 64}), "reads 32 pixels"),
        (_json("preprocessor_config.json", do_rescale=False), "do_rescale is off"),
        (_json("config.json", model_type="resnet"), "model_type is 'resnet', none of clip, convnext"),
    ],
)
def test_a_folder_of_pictures_that_cannot_be_used(tmp_path: Path, spoil: Spoil, said: str) -> None:
    """As above."""
    tiny_folders.write_vit(tmp_path / "picture")
    spoil(tmp_path / "picture")
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path)
    assert said in str(caught.value)


def test_code_in_a_folder_is_never_run(tmp_path: Path) -> None:
    """Whatever its configuration names."""
    tiny_folders.write_bert(tmp_path / "text")
    edit_json(tmp_path / "text" / "config.json", lambda one: one.update(auto_map={"AutoModel": "evil.Model"}))
    (tmp_path / "text" / "evil.py").write_text("raise SystemExit('run')\n")
    assert isinstance(read(tmp_path).text, FolderText)


def test_towers_of_one_clip_share_their_space_and_others_are_projected(tmp_path: Path) -> None:
    """To one width, the narrower one at most."""
    both = read(tmp_path / "clip", "clip", "clip")
    assert (both.text.projection, both.picture.projection, both.text.global_width) == (None, None, 16)
    other = read(tmp_path / "other", "clip", "vit")
    assert other.text.projection is not None
    assert (other.text_config.global_width, other.picture_config.global_width) == (16, 16)
    assert isinstance(other.picture, FolderPicture)
    shutil.copytree(tmp_path / "other" / "picture", tmp_path / "other" / "both")
    folders = Folders(tmp_path / "other" / "text", tmp_path / "other" / "picture", tmp_path / "other" / "both")
    with pytest.raises(CheckpointError, match="model_type is 'vit'"):
        read_folders(folders, TrainConfig(), tmp_path / "work")


def test_what_the_configuration_says_of_the_folder_is_json(tmp_path: Path) -> None:
    """Without names and whereabouts."""
    described = read(tmp_path, "xlm-roberta", "dinov2")
    for one in (described.text_config, described.picture_config):
        written = one.model_dump_json()
        assert type(one).model_validate_json(written) == one
        assert str(tmp_path) not in written
        assert "transformers_version" not in json.loads(written)["architecture"]
