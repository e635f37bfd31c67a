"""The encoders of `clip`, on a folder that holds a whole CLIP of tiny widths."""

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel

from mmorient import Frame, Moderator, decode_picture
from mmorient.checkpointing.loading import CONFIG, EMBEDDING, load_checkpoint
from mmorient.config import Precision
from mmorient.encoders.clip import ClipPicture, ClipText
from mmorient.encoders.hugging_face import read_scale
from mmorient.encoders.minilm import token_batch
from mmorient.training.data.examples import PROBES
from mmorient.training.fitting.untrained import write_untrained
from mmorient.training.fitting.variants import clip_config
from tests.mmorient import variant_checks
from tests.mmorient.checkpointing import test_checkpoint
from tests.mmorient.tiny_models import write_clip

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights around a CLIP that lies in the checkpoint's own folder."""
    path = tmp_path_factory.mktemp("clip") / "untrained"
    config = clip_config(
        "tiny-clip", write_clip(path / "clip"), probes=PROBES, bank_posts=16, trunk=(32, 16), base=path
    )
    write_untrained(path, config=config)
    return path


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint to spoil, moved along with its CLIP."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


@pytest.fixture(scope="module")
def theirs(checkpoint: Path) -> CLIPModel:
    """The same folder as transformers reads it."""
    return CLIPModel.from_pretrained(checkpoint / "clip", local_files_only=True).eval()


@torch.inference_mode()
def test_texts_are_those_of_transformers(checkpoint: Path, theirs: CLIPModel) -> None:
    """Token states and projected vectors, whatever the padding."""
    encoder = load_checkpoint(checkpoint).text_encoder()
    assert isinstance(encoder, ClipText)
    windows = [windows[0].token_ids for windows in encoder.reader.windows(variant_checks.word_salad(5, 0))]
    ids, mask = token_batch(windows, 77, CPU)
    states, globals_ = encoder.encode(ids, mask)
    assert (states.shape, globals_.shape) == ((5, 77, 24), (5, 16))
    for row, window in enumerate(windows):
        found = theirs.text_model(input_ids=torch.tensor([window]))
        assert torch.allclose(states[row][: len(window)], found.last_hidden_state[0], atol=1e-5)
        assert torch.allclose(globals_[row], theirs.text_projection(found.pooler_output)[0], atol=1e-5)


@torch.inference_mode()
def test_pictures_are_those_of_transformers(checkpoint: Path, theirs: CLIPModel) -> None:
    """Patches row by row and projected vectors of length 1."""
    encoder = load_checkpoint(checkpoint).picture_encoder()
    assert isinstance(encoder, ClipPicture)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))
    states, globals_ = encoder.encode(pixels)
    values = encoder.scale(pixels, torch.float32)
    found = theirs.vision_model(pixel_values=values)
    wanted = torch.nn.functional.normalize(theirs.visual_projection(found.pooler_output), dim=-1)
    assert (states.shape, globals_.shape, encoder.regions, encoder.grid) == ((2, 49, 32), (2, 16), 49, (7, 7))
    assert torch.allclose(states, found.last_hidden_state[:, 1:], atol=1e-5)
    assert torch.allclose(globals_, wanted, atol=1e-5)


@pytest.mark.parametrize("size", [(320, 240), (200, 500), (224, 224)])
def test_the_centre_is_that_of_clips_own_preprocessing(checkpoint: Path, size: tuple[int, int]) -> None:
    """Within a grey level on average of what the folder's image processor makes of a smooth picture."""
    from transformers import CLIPImageProcessor

    across, down = np.meshgrid(np.linspace(0, 6, size[0]), np.linspace(0, 4, size[1]))
    waves = [np.sin(across + phase) * np.cos(down - phase) * 127 + 128 for phase in (0, 1, 2)]
    image = Image.fromarray(np.stack(waves, -1).astype(np.uint8))
    content = BytesIO()
    image.save(content, "PNG")
    picture = decode_picture(content.getvalue(), frame=Frame(224, centre=True))
    processor = CLIPImageProcessor.from_pretrained(checkpoint / "clip", local_files_only=True)
    wanted = torch.as_tensor(np.asarray(processor(image, return_tensors="pt")["pixel_values"]))
    found = read_scale(checkpoint / "clip")(torch.from_numpy(picture.pixels.copy())[None], torch.float32)
    assert (found - wanted).abs().mean() * 255 * 0.27 < 1


def test_a_frame_is_whole_or_centred(copy: Path) -> None:
    """Centred, a wide picture's sides do not count, and there is no map of the regions; whole, they do."""
    image = np.full((100, 300, 3), 90, dtype=np.uint8)
    edged = image.copy()
    edged[:, :90] = 255
    files = []
    for pixels in (image, edged):
        content = BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        files.append(content.getvalue())
    whole = Moderator.from_checkpoint(copy)
    variant_checks.edit_json(copy / CONFIG, lambda config: config["picture_encoder"].update(framing="centre"))
    centre = Moderator.from_checkpoint(copy)
    assert (whole.picture_grid, centre.picture_grid) == ((7, 7), None)
    assert whole.identity.embedding != centre.identity.embedding
    for moderator, alike in ((whole, False), (centre, True)):
        pictures = [decode_picture(content, frame=moderator.picture_frame) for content in files]
        one, other = moderator.embed_pictures(pictures)
        assert np.array_equal(one, other) == alike
    with pytest.raises(ValueError, match=r"frame=moderator\.picture_frame"):
        centre.embed_pictures([decode_picture(files[0])])


def test_windows_have_no_more_tokens_than_positions(checkpoint: Path) -> None:
    """77, every token read once; no word of a post is a token of its own kind."""
    reader = load_checkpoint(checkpoint).text_encoder().reader
    [windows] = reader.windows(["the rain in spain " * 80])
    assert len(windows) > 1
    assert max(len(window.token_ids) for window in windows) <= 77
    assert {window.bucket for window in windows} <= {16, 24, 32, 48, 64, 77}
    words = [word for window in windows for word in window.words if word >= 0]
    assert sorted(set(words)) == list(range(320))
    begin, end = windows[0].token_ids[0], windows[0].token_ids[-1]
    for text in ("", "a <|endoftext|> b", "<|startoftext|>"):
        [[window]] = reader.windows([text])
        assert window.token_ids.count(begin) == window.token_ids.count(end) == 1


def test_tokens_are_those_of_transformers(checkpoint: Path) -> None:
    """The folder's tokenizer, called on a text that normalisation leaves as it is."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint / "clip", local_files_only=True)
    reader = load_checkpoint(checkpoint).text_encoder().reader
    for text in variant_checks.word_salad(5, 1):
        [[window]] = reader.windows([text])
        wanted = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        assert list(window.token_ids[1:-1]) == wanted


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("device", variant_checks.DEVICES)
def test_it_labels(checkpoint: Path, device: str, precision: Precision) -> None:
    """End to end."""
    variant_checks.labels_every_post(checkpoint, device, precision)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_is_bitwise_independent_of_its_company(checkpoint: Path, precision: Precision) -> None:
    """In both towers."""
    variant_checks.rows_are_independent(checkpoint, precision)


def test_the_embedding_digest_follows_the_files_and_not_their_place(copy: Path, tmp_path: Path) -> None:
    """Moved, the same; with other weights, another."""
    before = load_checkpoint(copy).embedding_digest("fp32")
    moved = shutil.copytree(copy / "clip", tmp_path / "elsewhere" / "clip")

    def move(config: dict) -> None:
        for encoder in ("text_encoder", "picture_encoder"):
            config[encoder]["clip"]["folder"] = str(moved)

    variant_checks.edit_json(copy / CONFIG, move)
    assert load_checkpoint(copy).embedding_digest("fp32") == before
    assert load_checkpoint(copy).text_encoder()
    variant_checks.edit_tensors(moved / "model.safetensors", lambda tensors: tensors["logit_scale"].add_(1))
    variant_checks.reseal(copy, moved.parent)
    assert load_checkpoint(copy).embedding_digest("fp32") != before


Spoil = Callable[[Path], object]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "clip: no such folder"),
        (lambda clip: (clip / "model.safetensors").unlink(), "clip: lacks model.safetensors"),
        (lambda clip: (clip / "tokenizer.json").unlink(), "clip: lacks tokenizer.json"),
        (lambda clip: (clip / "preprocessor_config.json").unlink(), "clip: lacks preprocessor_config.json"),
        (lambda clip: (clip / "tokenizer.json").write_text("{}"), "tokenizer.json: holds sha256:"),
    ],
)
def test_a_folder_that_is_not_the_one(copy: Path, spoil: Spoil, said: str) -> None:
    """Missing files and other bytes, by name."""
    spoil(copy / "clip")
    assert said in variant_checks.refusal(copy)


def _config(change: Callable[[dict], object]) -> Spoil:
    return lambda clip: variant_checks.edit_json(clip / "config.json", change)


def _tensors(change: Callable[[dict], object]) -> Spoil:
    return lambda clip: variant_checks.edit_tensors(clip / "model.safetensors", change)


def _preprocessor(**fields: object) -> Spoil:
    return lambda clip: variant_checks.edit_json(
        clip / "preprocessor_config.json", lambda content: content.update(fields)
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_config(lambda config: config.update(model_type="bert")), "model_type is 'bert', not 'clip'"),
        (
            _config(lambda config: config["text_config"].update(hidden_size=28)),
            "position_embedding.weight is (77, 24), config.json asks for (77, 28)",
        ),
        (_config(lambda config: config["text_config"].update(vocab_size=8)), "config.json asks for (8, 24)"),
        (_config(lambda config: config["text_config"].update(hidden_size="wide")), "config.json: "),
        (_tensors(lambda tensors: tensors.pop("text_projection.weight")), "lacks text_projection.weight"),
        (_tensors(lambda tensors: tensors.pop("visual_projection.weight")), "lacks visual_projection.weight"),
        (
            _tensors(lambda tensors: tensors.update({"visual_projection.weight": torch.zeros(16, 3)})),
            "visual_projection.weight is (16, 3), config.json asks for (16, 32)",
        ),
        (lambda clip: (clip / "model.safetensors").write_bytes(b"junk" * 9), "model.safetensors: "),
        (lambda clip: (clip / "tokenizer.json").write_text("{}"), "tokenizer.json: "),
        (lambda clip: (clip / "config.json").write_text("[]"), "config.json: not a JSON object"),
        (_preprocessor(crop_size=112), "cuts to 112 pixels, the model reads 224"),
        (_preprocessor(crop_size={"height": 1, "width": 2}), "names no side in pixels"),
        (_preprocessor(image_mean=[0.5]), "image_mean is [0.5], not three numbers"),
        (_preprocessor(do_rescale=False), "do_rescale is off"),
        (_preprocessor(rescale_factor=1), "rescale_factor is 1, not 1/255"),
    ],
)
def test_a_folder_that_does_not_hold_together(copy: Path, spoil: Spoil, said: str) -> None:
    """Its digests are right, its content is not: one line that names the file."""
    spoil(copy / "clip")
    variant_checks.reseal(copy, copy)
    assert said in variant_checks.refusal(copy)


def test_a_checkpoint_that_asks_for_other_widths(copy: Path) -> None:
    """Than the folder's, or for global vectors of two widths."""
    for widths, said in (
        ({"text_width": 28}, "text_encoder.state_width is 24, the encoder's is 28"),
        ({"picture_width": 20}, "picture_encoder.state_width is 32, the encoder's is 20"),
    ):
        shutil.rmtree(copy / "clip")
        write_clip(copy / "clip", **widths)
        variant_checks.reseal(copy, copy)
        assert said in variant_checks.refusal(copy)
    variant_checks.edit_json(copy / CONFIG, lambda config: config["picture_encoder"].update(global_width=9))
    assert "global_width is 16 for texts and 9 for pictures" in variant_checks.refusal(copy)


def test_a_tensor_too_many(copy: Path) -> None:
    """Nothing of this encoder is trained here."""
    extra = {"text_encoder.layers.0.query.down": torch.zeros(1, 24)}
    test_checkpoint.edit_tensors(copy / EMBEDDING, lambda tensors: tensors.update(extra))
    assert "no place for layers.0.query.down" in variant_checks.refusal(copy)


def test_old_preprocessor_files(copy: Path) -> None:
    """Plain numbers, as the first CLIP folders have them."""
    _preprocessor(size=224, crop_size=224)(copy / "clip")
    variant_checks.reseal(copy, copy)
    assert load_checkpoint(copy).picture_encoder().frame == Frame(224)
