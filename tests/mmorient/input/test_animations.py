"""Animated pictures: a white first frame hides nothing, and what looking at them costs is bounded."""

from collections.abc import Callable
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from mmorient import Moderator, Picture, PictureError, Post, decode_picture
from mmorient.input.formats.animation import DRAWN_PIXELS, Animation, Part, chosen
from mmorient.input.formats.gif import read_gif
from mmorient.input.formats.png import read_png
from mmorient.input.formats.source import Source
from mmorient.input.formats.webp import read_webp
from mmorient.input.pictures import decode_whole
from tests.mmorient.conftest import encode
from tests.mmorient.input.odd_pictures import animated, cut, detailed, frames, share

KINDS = ("GIF", "PNG", "WEBP", "AVIF")
READERS: dict[str, Callable[..., Source]] = {"GIF": read_gif, "PNG": read_png, "WEBP": read_webp}


def colours(picture: Picture) -> list[tuple[int, ...]]:
    """The mean colour of each frame that is looked at."""
    return [tuple(still.pixels.reshape(-1, 3).mean(0).round().astype(int)) for still in picture.stills()]


def shades(*values: int, size: tuple[int, int] = (40, 30)) -> list[Image.Image]:
    """Frames of one grey each."""
    return [Image.new("RGB", size, (value,) * 3) for value in values]


@pytest.mark.parametrize("kind", KINDS)
def test_a_white_first_frame_hides_nothing(kind: str) -> None:
    """What comes after it is looked at as well."""
    picture = decode_picture(animated(kind))
    assert len(picture.later) >= 1
    assert picture.pixels.min() > 250
    wanted = np.asarray(detailed().resize((224, 224)), dtype=float)
    assert all(np.abs(pixels - wanted).mean() < 12 for pixels in picture.later)
    assert (picture.width, picture.height) == (320, 200)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_first_frame_hides_nothing(kind: str) -> None:
    """However long it is shown, and the last one too."""
    images = shades(255, *range(40, 200, 20), 255)
    first, *others = images
    shown = [9000, *[50] * (len(images) - 2), 9000]
    picture = decode_picture(encode(first, kind, save_all=True, append_images=others, duration=shown))
    assert len(picture.later) == 3
    assert sum(colour[0] < 220 for colour in colours(picture)) >= 2


def test_frames_are_spread_evenly() -> None:
    """The first, and the middle of each third of the others."""
    assert chosen([100] * 100) == [0, 17, 50, 83]
    assert [chosen([100] * count) for count in (1, 2, 3, 4)] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    for count in range(5, 300):
        picks = chosen([100] * count)
        assert len(picks) == 4
        assert all(before < after for before, after in pairwise(picks))
        assert picks[-1] < count


def test_what_is_shown_long_is_looked_at() -> None:
    """A frame that people see for an hour is not passed over for a thousand that they do not notice."""
    shown = [20] * 1000
    shown[700] = 3_600_000
    assert 700 in chosen(shown)
    # As browsers do, no time at all counts as a tenth of a second.
    assert chosen([0, 50, 0, 0, 50, 50, 50]) == [0, 2, 3, 5]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *[("GIF", {"disposal": disposal}) for disposal in range(4)],
        *[("PNG", {"disposal": disposal, "blend": blend}) for disposal in range(3) for blend in range(2)],
        ("WEBP", {"lossless": True}),
        ("WEBP", {"lossless": True, "kmin": 0, "kmax": 0}),
    ],
)
def test_frames_are_drawn_as_pillow_draws_them(kind: str, options: dict[str, int]) -> None:
    """Whatever is laid over what, and cleared afterwards."""
    random = np.random.default_rng(4)
    images = []
    for _ in range(20):
        image = Image.new("RGBA", (90, 60))
        colour = tuple(int(value) for value in random.integers(0, 255, 3))
        block = Image.new("RGBA", (int(random.integers(10, 40)), 20), (*colour, 255))
        image.paste(block, (int(random.integers(0, 60)), int(random.integers(0, 40))))
        images.append(image)
    data = animated(kind, images, **options)
    ours = list(READERS[kind](data, side=224).images())
    with Image.open(BytesIO(data)) as opened:
        picks = chosen([100] * opened.n_frames)
    assert len(ours) == len(picks) == 4
    for pick, mine in zip(picks, ours, strict=True):
        # Anew each time: Pillow forgets what was there before a frame once that frame is loaded.
        with Image.open(BytesIO(data)) as theirs:
            theirs.seek(pick)
            assert over_white(mine).tobytes() == over_white(theirs.convert("RGBA")).tobytes()


def over_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_poster_is_drawn_with_each_second_pixel(kind: str) -> None:
    """Which looks the same at the size of the encoder's square."""
    large = [image.resize((1800, 1200)) for image in frames()[:2]]
    picture = decode_picture(animated(kind, large))
    wanted = np.asarray(detailed().resize((224, 224)), dtype=float)
    assert np.abs(picture.later[0] - wanted).mean() < 12


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_cut_animation_is_what_there_is_of_it(kind: str) -> None:
    """Which is all that anybody sees; without a whole first frame it is truncated."""
    data = animated(kind, [Image.new("RGB", (320, 200), "white"), detailed(), detailed().rotate(180), detailed()])
    whole = decode_picture(data)
    shorter = decode_picture(share(data, 0.8))
    assert len(whole.later) == 3
    assert 1 <= len(shorter.later) < 3
    assert np.array_equal(shorter.later[0], whole.later[0])
    with pytest.raises(PictureError, match="truncated"):
        decode_picture(data[:60])


def test_a_damaged_later_frame_ends_the_animation() -> None:
    """The frames before it are looked at."""
    data = bytearray(animated("PNG", [image.resize((64, 40)) for image in frames()]))
    place = data.rindex(b"fdAT") + 8
    data[place : place + 8] = bytes(8)
    assert len(decode_picture(bytes(data)).later) < 3


def test_an_animated_png_hides_nothing_behind_its_still() -> None:
    """Old viewers show the picture that is no frame of the animation; new ones the animation: both are looked at."""
    still, *others = shades(0, 100, 200)
    data = encode(still, "PNG", save_all=True, append_images=others, default_image=True, duration=100)
    assert [colour[0] for colour in colours(decode_picture(data))] == [0, 100, 200]


def test_people_see_the_first_frame() -> None:
    """At its own size."""
    whole = decode_whole(animated("GIF"))
    assert whole.size == (320, 200)
    assert whole.mode == "RGB"
    assert np.asarray(whole).min() > 250


def parts(count: int, size: int, opened: list[int], **changes: object) -> list[Part]:
    """Frames that note when they are decoded."""

    def opens(index: int) -> Callable[[], Image.Image]:
        def call() -> Image.Image:
            opened.append(index)
            return Image.new("RGBA", (size, size), (index % 256, 0, 0, 255))

        return call

    options: dict[str, object] = {"clear": "keep", "over": True, "opaque": False} | changes
    return [Part(0, 0, size, size, 100, open=opens(index), **options) for index in range(count)]  # type: ignore[arg-type]


def test_drawing_is_bounded() -> None:
    """Frames that lie over each other are all decoded; so many that it would take too long end the animation early."""
    opened: list[int] = []
    assert len(list(Animation(1000, 1000, parts(1000, 1000, opened), 224).frames())) == 4
    assert len(opened) * 1000 * 1000 <= DRAWN_PIXELS
    opened.clear()
    assert len(list(Animation(6000, 6000, parts(1000, 6000, opened), 224).frames())) == 4
    assert opened == [0, 1, 2, 3]


def test_nothing_in_front_of_a_covering_frame_is_decoded() -> None:
    """Frames that cover everything cost what is looked at, however many there are."""
    for changes in ({"opaque": True}, {"over": False}, {"clear": "blank"}):
        opened: list[int] = []
        images = list(Animation(1000, 1000, parts(1000, 1000, opened, **changes), 224).frames())
        assert opened == [0, 167, 500, 833]
        assert [image.getpixel((0, 0))[0] for image in images] == [index % 256 for index in opened]


def test_a_frame_that_is_taken_back_leaves_what_was_there() -> None:
    """Though it covers everything."""
    opened: list[int] = []
    base = parts(5, 10, opened, opaque=True)
    back = [
        *parts(1, 10, opened),
        *[Part(2, 2, 4, 4, 100, "before", over=True, opaque=True, open=one.open) for one in base],
    ]
    *_, last = Animation(10, 10, back, 224).frames()
    assert last.getpixel((0, 0)) == (0, 0, 0, 255)
    assert last.getpixel((3, 3))[0] > 0


@pytest.fixture(scope="module")
def shipped() -> Moderator:
    """The checkpoint that comes with the package."""
    return Moderator.from_checkpoint()


def test_an_embedding_is_the_mean_of_its_frames(shipped: Moderator) -> None:
    """As the pictures of one post are pooled: the global part has length 1 again; in fp32, rounded at the end."""
    picture = decode_picture(animated("GIF", [*frames()[:2], *shades(90, 20, size=(320, 200))]))
    assert len(picture.later) == 3
    [pooled] = shipped.embed_pictures([picture])
    rows = np.stack(shipped.embed_pictures(list(picture.stills()))).astype(np.float64)
    vector = shipped.picture_width - 384
    mean = rows.mean(0)
    mean[vector:] /= np.linalg.norm(mean[vector:])
    assert pooled.dtype == np.float16
    assert np.abs(pooled - mean).max() < 2e-3
    assert np.abs(pooled - rows[0]).max() > 0.05


def test_a_still_picture_is_not_changed_by_animated_neighbours(shipped: Moderator) -> None:
    """Nor they by it: bit for bit, in any order."""
    moving = [decode_picture(animated(kind)) for kind in KINDS]
    still = [decode_picture(encode(detailed(90, 70), "PNG")), decode_picture(encode(detailed(40, 70), "PNG"))]
    pictures = [moving[0], still[0], moving[1], moving[2], still[1], moving[3]]
    alone = [shipped.embed_pictures([picture])[0].tobytes() for picture in pictures]
    assert [one.tobytes() for one in shipped.embed_pictures(pictures)] == alone
    assert [one.tobytes() for one in shipped.embed_pictures(pictures[::-1])] == alone[::-1]
    # A frame alone is the still picture of it.
    assert shipped.embed_pictures(list(still[0].stills()))[0].tobytes() == alone[1]


def test_a_label_sees_past_the_first_frame(shipped: Moderator) -> None:
    """A picture behind a white frame does not get the labels of a white one."""
    white, hidden = (decode_picture(animated("GIF", images)) for images in (frames()[:1], frames()))
    assert hidden.pixels.tobytes() == white.pixels.tobytes()
    first, second = shipped.label([Post(None, (white,)), Post(None, (hidden,))])
    assert first != second


def test_where_the_model_looks_is_told_of_the_first_frame(shipped: Moderator) -> None:
    """One row a picture."""
    picture = decode_picture(animated("GIF"))
    weights = shipped.attend_pictures([picture])
    assert weights.shape[0] == 1
    assert weights.tolist() == shipped.attend_pictures([next(picture.stills())]).tolist()


def test_a_file_that_ends_early_counts_no_frame_twice() -> None:
    """The last frame of a cut GIF is left out where others are there."""
    data = animated("GIF", shades(250, 150, 50))
    assert [colour[0] for colour in colours(decode_picture(cut(data, 6)))] == [250, 150]
