"""What decoding a picture takes, beside an earlier version: python -m bench.pictures --against REVISION.

Both versions decode the same files in turns, so that what else the machine does meets both. Files are made by code.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

from mmorient import PictureError, decode_picture

Decode = Callable[[bytes], object]
_FILE = "mmorient/input/pictures.py"


def photograph(width: int, height: int) -> Image.Image:
    """Soft shapes with a little noise, as a camera sees them."""
    random = np.random.default_rng(1)
    soft = Image.fromarray(random.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8))
    pixels = np.asarray(soft.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray((pixels + random.integers(-6, 7, pixels.shape)).clip(0, 255).astype(np.uint8))


def screenshot(width: int, height: int) -> Image.Image:
    """Lines of text on white."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for top in range(10, height - 20, 24):
        draw.text((20, top), f"{top} the quick brown fox jumps over the lazy dog " * 3, fill="black")
    return image


def files() -> Iterator[tuple[str, bytes]]:
    """Yield names and contents."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a telephone"
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "bench")
    yield "JPEG 1080x1350", _encoded(photograph(1080, 1350), "JPEG", quality=85)
    yield "JPEG 4000x3000, EXIF", _encoded(photograph(4000, 3000), "JPEG", quality=85, exif=exif)
    yield "JPEG 1080x1350, progressive", _encoded(photograph(1080, 1350), "JPEG", quality=85, progressive=True)
    yield "JPEG 320x240", _encoded(photograph(320, 240), "JPEG", quality=85)
    yield "PNG 1080x1350, photograph", _encoded(photograph(1080, 1350), "PNG", pnginfo=info)
    yield "PNG 1170x2532, screenshot", _encoded(screenshot(1170, 2532), "PNG", pnginfo=info)
    yield "PNG 1080x1080, see-through", _encoded(photograph(1080, 1080).convert("RGBA"), "PNG")
    yield "PNG 800x600, palette", _encoded(screenshot(800, 600).quantize(64), "PNG")
    yield "WebP 1080x1350", _encoded(photograph(1080, 1350), "WEBP")
    yield "GIF 480x360", _encoded(photograph(480, 360).quantize(128), "GIF")
    few = [photograph(480, 360).rotate(angle) for angle in range(0, 60, 3)]
    yield "GIF 480x360, 20 frames", _encoded(few[0], "GIF", save_all=True, append_images=few[1:], duration=60)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def version(revision: str) -> Decode:
    """``decode_picture`` as it was."""
    text = subprocess.run(["git", "show", f"{revision}:{_FILE}"], check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures_before.py"
        path.write_bytes(text)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise SystemExit(f"{path}: cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    decode: Decode = module.decode_picture
    return decode


def milliseconds(decode: Decode, data: bytes) -> float:
    """Of the processor, for one picture."""
    started = time.process_time()
    try:
        decode(data)
    except PictureError:
        return float("nan")
    return 1000 * (time.process_time() - started)


def main() -> None:
    """Print a row a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="HEAD", help="a revision whose pictures.py is the other version")
    parser.add_argument("--repeat", type=int, default=41)
    args = parser.parse_args()
    before = version(args.against)
    print(f"{'milliseconds of processor time, medians':42}{'before':>9}{'now':>9}{'change':>9}")
    for name, data in files():
        rows = [(milliseconds(before, data), milliseconds(decode_picture, data)) for _ in range(args.repeat)]
        old, new = (statistics.median(row[which] for row in rows) for which in (0, 1))
        print(f"{name:42}{old:9.2f}{new:9.2f}{new / old - 1:+9.0%}")


if __name__ == "__main__":
    main()
