"""The switches of a checkpoint: what a picture, a post, a digest become of them."""

import dataclasses
import json
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmorient import CheckpointError, Moderator, Post, decode_picture
from mmorient.checkpointing.loading import CONFIG, load_checkpoint
from mmorient.input.ocr.drawn_text import DrawnText, drawn_text_config
from mmorient.input.ocr.recogniser import TextRecogniser
from mmorient.input.post_json import read_line
from tests.mmorient.input.ocr.conftest import LINES, drawn, scene

TEXT = " ".join(LINES)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image as the bytes of a file."""
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def switched(untrained: Path, folder: Path, **switches: bool) -> Path:
    """A checkpoint with the switches set."""
    path = Path(shutil.copytree(untrained, folder))
    config = json.loads((path / CONFIG).read_text())
    config["drawn_text"] = drawn_text_config(**switches).model_dump()
    (path / CONFIG).write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def painting(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Moderator:
    """A moderator that reads and paints."""
    return Moderator.from_checkpoint(switched(untrained, tmp_path_factory.mktemp("painting") / "checkpoint"))


def test_decoding_reads(reads: DrawnText, meme: Image.Image) -> None:
    """The text comes with the picture, and no pixel is another for it."""
    plain, read = decode_picture(encoded(meme)), decode_picture(encoded(meme), drawn_text=reads)
    assert (plain.text, plain.painted) == (None, False)
    assert (read.text, read.painted) == (TEXT, False)
    assert np.array_equal(plain.pixels, read.pixels)
    assert (read.width, read.height) == (640, 480)


def test_decoding_paints(paints: DrawnText, meme: Image.Image) -> None:
    """The encoder sees the scene: off the text no pixel changes, on it the letters are gone, read or not."""
    picture = decode_picture(encoded(meme), drawn_text=paints)
    unread = decode_picture(encoded(meme), drawn_text=paints, read_text=False)
    bare = decode_picture(encoded(scene(640, 480)))
    with_text = decode_picture(encoded(meme))
    assert (picture.text, unread.text) == (TEXT, None)
    assert picture.painted
    assert np.array_equal(picture.pixels, unread.pixels)
    middle = slice(60, 160)
    assert np.array_equal(picture.pixels[middle], with_text.pixels[middle])
    assert np.abs(picture.pixels.astype(int) - bare.pixels).max() < 20
    assert np.abs(with_text.pixels.astype(int) - bare.pixels).max() > 60


def test_a_turned_picture_is_read_upright(paints: DrawnText, meme: Image.Image) -> None:
    """Stored on its side, with the EXIF tag that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(meme.transpose(Image.Transpose.ROTATE_90), exif=exif)
    picture, straight = (decode_picture(data, drawn_text=paints) for data in (turned, encoded(meme)))
    assert picture.text == TEXT
    assert np.abs(picture.pixels.astype(int) - straight.pixels).mean() < 1


def test_a_large_photograph_is_read(reads: DrawnText) -> None:
    """12 megapixels are reduced before anybody looks for text."""
    image = drawn(scene(640, 480)).resize((4000, 3000), Image.Resampling.BICUBIC)
    assert decode_picture(encoded(image, "JPEG"), drawn_text=reads).text == TEXT


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 7), (64, 64)])
def test_tiny_and_narrow_pictures(paints: DrawnText, size: tuple[int, int]) -> None:
    """Become what they become without, and nothing is read."""
    data = encoded(scene(*size))
    picture = decode_picture(data, drawn_text=paints)
    assert picture.text == ""
    assert np.array_equal(picture.pixels, decode_picture(data).pixels)


def test_only_a_post_without_a_text_is_read(
    reads: DrawnText, meme: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recogniser is called where neither the post nor its producer says a text."""
    (tmp_path / "meme.png").write_bytes(encoded(meme))
    read = TextRecogniser.read
    seen: list[object] = []
    monkeypatch.setattr(TextRecogniser, "read", lambda self, line: (seen.append(line), read(self, line))[1])
    known = {"ocr_text": "said"}
    for text, medium, wanted in (
        (None, {}, True),
        (" ", {}, True),
        ("mine", {}, False),
        (None, known, False),
        ("mine", known, False),
    ):
        seen.clear()
        line = {"id": "p", "text": text, "media": [{"path": "meme.png", **medium}]}
        picture = read_line(json.dumps(line).encode(), tmp_path, reads).post.pictures[0]
        assert bool(seen) == wanted
        assert picture.text == (TEXT if wanted else None)


def test_a_read_text_is_the_posts_text(painting: Moderator, meme: Image.Image) -> None:
    """A picture alone is labelled as the same picture with its text typed out."""
    picture = decode_picture(encoded(meme), drawn_text=painting.drawn_text)
    assert painting.reads_pictures
    alone, typed = painting.label([Post(pictures=(picture,)), Post(TEXT, (picture,))])
    assert alone == typed
    assert alone.modalities == ("text", "image")
    blank = decode_picture(encoded(scene(64, 64)), drawn_text=painting.drawn_text)
    assert painting.label([Post(pictures=(blank,))])[0].modalities == ("image",)


def test_a_picture_that_was_decoded_otherwise_is_refused(
    moderator: Moderator, painting: Moderator, meme: Image.Image
) -> None:
    """Rather than labelled otherwise."""
    assert not moderator.reads_pictures
    assert moderator.drawn_text is None
    plain = decode_picture(encoded(meme))
    painted = decode_picture(encoded(meme), drawn_text=painting.drawn_text)
    unread = dataclasses.replace(painted, text=None)
    for one, picture in ((painting, plain), (moderator, painted), (painting, unread)):
        with pytest.raises(ValueError, match="a picture"):
            one.label([Post(pictures=(picture,))])
    painting.label([Post("typed", (unread,))])


def test_the_digest_covers_the_switches(untrained: Path, tmp_path: Path) -> None:
    """Every setting of them has cached vectors of its own, and a read text outlives what does not concern it."""
    settings = [(ocr, inpaint) for ocr in (False, True) for inpaint in (False, True)]
    paths = [
        switched(untrained, tmp_path / f"{number}", ocr=ocr, inpaint=inpaint)
        for number, (ocr, inpaint) in enumerate(settings)
    ]
    checkpoints = [load_checkpoint(path) for path in (untrained, *paths)]
    assert len({checkpoint.embedding_digest("fp32") for checkpoint in checkpoints}) == 5
    assert len({checkpoint.digest for checkpoint in checkpoints}) == 5
    made = [checkpoint.drawn_text() for checkpoint in checkpoints]
    assert [one and (one.reads, one.paints) for one in made] == [None, None, *settings[1:]]
    assert len({one.digest for one in made if one}) == 1


def test_a_checkpoint_of_another_version_is_refused(untrained: Path, tmp_path: Path) -> None:
    """And one whose networks are not those that are installed."""
    path = switched(untrained, tmp_path / "checkpoint")
    config = json.loads((path / CONFIG).read_text())
    config["drawn_text"]["detector"]["sha256"] = "sha256:0"
    (path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="made with sha256:0"):
        load_checkpoint(path).drawn_text()
    config["drawn_text"]["version"] = "ocr/0"
    (path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="drawn text is 'ocr/0'"):
        load_checkpoint(path)


def test_switched_off_nothing_of_it_is_imported(untrained: Path) -> None:
    """Neither by the package nor by a checkpoint that does not ask for it; RapidOCR's own code is never imported."""
    program = f"""
import sys
from mmorient import Moderator, Post, decode_picture
moderator = Moderator.from_checkpoint({str(untrained)!r})
assert not {{"cv2", "onnxruntime", "rapidocr_onnxruntime"}} & set(sys.modules)
import mmorient.input.ocr.drawn_text
assert "rapidocr_onnxruntime" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
