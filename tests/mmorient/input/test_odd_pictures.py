"""Every picture that a browser shows is read; what hides content is refused with its reason."""

import importlib
import sys

import numpy as np
import pytest
from PIL import Image

from mmorient import Frame, Picture, PictureError, decode_picture
from mmorient.input.pictures import decode_whole
from mmorient.input.squares import opaque, shrunk
from tests.mmorient.conftest import encode
from tests.mmorient.input.odd_pictures import (
    ODD,
    READ,
    adam7,
    cut,
    detailed,
    heic,
    photograph,
    progressive_photograph,
    sample,
    share,
)
from tests.tiers import some_slow


def outcome(data: bytes) -> tuple[str, Picture | None]:
    """`read` and the picture, or the reason code."""
    try:
        return READ, decode_picture(data)
    except PictureError as error:
        return error.code, None


SLOW = "progressive JPEG of 50 megapixels"  # to write, not to read


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.soak if name == SLOW else ()) for name in ODD])
def test_odd_pictures(name: str) -> None:
    """Each comes out as the table says, and looks like what it shows."""
    odd = ODD[name]
    code, picture = outcome(odd.make())
    assert code == odd.now
    if picture is not None and odd.like:
        wanted = np.asarray(detailed().resize((224, 224)), dtype=float)
        assert np.abs(picture.pixels - wanted).mean() < 12


def test_the_table_names_what_changes() -> None:
    """Most of its pictures were refused before; none that was read before is refused now."""
    assert sum(odd.before != READ and odd.now == READ for odd in ODD.values()) > 35
    assert not [name for name, odd in ODD.items() if odd.before == READ and odd.now != READ]


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "PNG", "BMP"])
def test_a_thirty_second_may_be_missing(kind: str) -> None:
    """The more of a file is cut off, the more is missing; from some point on the picture is refused, and stays it."""
    data = sample(kind)
    codes = [outcome(share(data, part / 100))[0] for part in range(100, 59, -2)]
    assert codes[0] == READ
    refused = codes.index("truncated")
    assert 0 < refused <= 4
    assert set(codes[refused:]) == {"truncated"}


def test_what_is_missing_of_a_jpeg_is_counted_in_pixels() -> None:
    """A row of blocks of a small picture is more than a thirty-second of it, a few bytes of this row are less."""
    data = encode(detailed(100, 75), "JPEG", quality=95)
    assert outcome(cut(data, 20))[0] == READ
    assert outcome(cut(data, 400))[0] == "truncated"


def test_a_progressive_jpeg_shows_the_whole_early() -> None:
    """It is read from the first scan of details on, and refused before."""
    data = sample("JPEG", progressive=True)
    codes = [outcome(share(data, part / 100))[0] for part in range(1, 101)]
    first = codes.index(READ)
    assert 10 < first < 60
    assert set(codes[:first]) == {"truncated"}
    assert set(codes[first:]) == {READ}


def test_an_interlaced_png_is_measured_by_its_bytes() -> None:
    """Its last pass is half of it."""
    assert [outcome(adam7(part))[0] for part in (0.99, 0.9, 0.6)] == [READ, "truncated", "truncated"]


def test_the_end_of_a_cut_picture_is_not_black() -> None:
    """What is missing is white or grey, as where it is shown."""
    for kind in ("PNG", "JPEG"):
        pixels = decode_picture(cut(sample(kind), 40)).pixels
        assert pixels[-1, -3:].min() > 100


@pytest.mark.parametrize("side", [224, 640])
def test_a_photograph_is_decoded_at_a_fraction(side: int) -> None:
    """What counts are the pixels that are decoded: a fiftieth of the limit is enough for 50 megapixels."""
    data = photograph(50)
    picture = decode_picture(data, max_pixels=4_000_000, frame=Frame(side))
    assert picture.width * picture.height > 49_000_000
    with pytest.raises(PictureError, match="too_many_pixels"):
        decode_picture(data, max_pixels=300_000, frame=Frame(side))


def test_a_progressive_photograph_is_held_whole() -> None:
    """Its coefficients are, whatever fraction is decoded; they count."""
    data = progressive_photograph(4)
    with pytest.raises(PictureError, match="too_many_pixels"):
        decode_picture(data, max_pixels=1_900_000)
    decode_picture(data, max_pixels=3_000_000)


@pytest.mark.parametrize(
    "size",
    some_slow([(3000, 1999), (897, 5), (5, 4000), (2000, 450), (1, 1), (448, 1792)], {"(3000, 1999)", "(448, 1792)"}),
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16", "CMYK", "1"])
@pytest.mark.parametrize("frame", [Frame(), Frame(224, centre=True), Frame(800)])
def test_a_large_picture_is_shrunk_in_bands(mode: str, size: tuple[int, int], frame: Frame) -> None:
    """Bit for bit what Pillow makes of the whole: a still picture's embedding stays what it was."""
    image = detailed(*size)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif mode == "RGBA":
        image.putalpha(detailed(*size[::-1]).resize(size).convert("L"))
    elif mode == "P":
        image = image.quantize(30)
        image.info["transparency"] = 3
    else:
        image = image.convert(mode)
    box = frame.part(*size)
    whole = opaque(image).resize((frame.side,) * 2, Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    assert shrunk(image, (frame.side,) * 2, box).tobytes() == whole.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF"])
def test_people_see_the_same_picture(kind: str) -> None:
    """`decode_whole` takes what `decode_picture` took."""
    whole = decode_whole(b"\n" + sample(kind) if kind in {"JPEG", "PNG"} else sample(kind))
    assert whole.size == (320, 200)
    assert whole.mode == "RGB"
    assert np.abs(np.asarray(whole, float) - np.asarray(detailed(), float)).mean() < 12


def test_people_see_a_large_photograph_at_a_fraction() -> None:
    """Which fits a screen."""
    whole = decode_whole(photograph(200))
    assert 2048 <= min(whole.size) < 2 * 2048


def test_heic_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the reason says what to install."""
    data = heic()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PictureError, match=r"unsupported_format: .*\[heic\]"):
        decode_picture(data)
    monkeypatch.undo()
    importlib.import_module("pillow_heif")
    assert outcome(data)[0] == READ


def test_a_heic_of_an_older_brand_is_one() -> None:
    """Some writers name the brand of all HEIF files first, and HEIC among the others."""
    data = bytearray(heic())
    assert data[8:12] == b"heic"
    data[8:12] = b"mif1"
    assert outcome(bytes(data))[0] == READ
