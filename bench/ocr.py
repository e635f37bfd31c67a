"""What reading pictures costs and finds: `python -m bench.ocr [--memes FOLDER]`.

For each size at which text is looked for: milliseconds a picture of one core, and how much of the known text is read,
on the sample pictures whose `ocr_text` is known and on those without any text, and on the first pictures of a Memotion
folder (`labels.csv` with `text_corrected`, and `images/`) where one is given. Samples also carry words that their
`ocr_text` leaves out, so what was read beyond it counts as no error: the character error rate is that of the best
matching stretch of the text. Then what decoding costs with each switch, on one thread and on two.
"""

import argparse
import csv
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mmorient import PictureError, decode_picture
from mmorient.input.ocr.drawn_text import PACKAGE, DrawnText, drawn_text_config
from mmorient.input.ocr.reader import PictureReader
from mmorient.input.pictures import READING_SIDE_PIXELS
from mmorient.package_files import package_file

SAMPLES = Path(__file__).parent.parent / "samples"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memes", type=Path, help="a Memotion folder; its pictures are read where they lie")
    parser.add_argument("--count", type=int, default=100, help="how many of them")
    parser.add_argument("--sides", type=int, nargs="+", default=[320, 384, 448, 512, 640, 736])
    arguments = parser.parse_args()
    sets = {"samples": known_samples()}
    if arguments.memes:
        sets["memes"] = known_memes(arguments.memes, arguments.count)
    detector, recogniser = (package_file(PACKAGE, f"models/ch_PP-OCRv4_{name}_infer.onnx") for name in ("det", "rec"))
    print(f"{'set':9}{'side':>5}{'pictures':>9}{'find ms':>9}{'read ms':>9}{'CER':>7}{'recall':>8}{'precision':>10}")
    for name, pictures in sets.items():
        for side in arguments.sides:
            reader = PictureReader(detector, recogniser, side=side)
            print(f"{name:9}{side:5}{measure(reader, pictures)}", flush=True)
    print_rapidocr(sets)
    print_decoding()


def known_samples() -> list[tuple[Path, str]]:
    """Return the sample pictures whose text is known."""
    lines = (SAMPLES / "posts.jsonl").read_text(encoding="utf-8").splitlines()
    media = [medium for line in lines for medium in json.loads(line).get("media") or ()]
    return sorted(
        {SAMPLES / one["path"]: one["ocr_text"] for one in media if one.get("ocr_text") and "path" in one}.items()
    )


def known_memes(folder: Path, count: int) -> list[tuple[Path, str]]:
    """Return the first memes that have a text."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["text_corrected"].strip()][:count]
    return [(folder / "images" / row["image_name"], row["text_corrected"]) for row in rows]


def measure(reader: PictureReader, pictures: Sequence[tuple[Path, str]]) -> str:
    """Return one row of the table."""
    find, read = [], []
    answers = []
    reader.read(load(pictures[0][0]))  # warm
    for path, truth in pictures:
        rgb = load(path)
        started = time.perf_counter()
        boxes = reader.boxes(rgb)
        found = time.perf_counter()
        text = reader.read(rgb, boxes).text
        find.append(found - started)
        read.append(time.perf_counter() - found)
        answers.append((truth, text))
    return f"{len(pictures):9}{1e3 * statistics.mean(find):9.1f}{1e3 * statistics.mean(read):9.1f}{quality(answers)}"


def quality(answers: Iterable[tuple[str, str]]) -> str:
    """Return character error rate, word recall and word precision over all pictures."""
    errors = characters = hits = wanted = given = 0
    for truth, text in answers:
        errors += stretch_errors(" ".join(truth.lower().split()), text.lower())
        characters += len(truth)
        one, other = words(truth), words(text)
        hits += (one & other).total()
        wanted += one.total()
        given += other.total()
    return f"{errors / characters:7.3f}{hits / wanted:8.3f}{hits / max(given, 1):10.3f}"


def words(text: str) -> Counter[str]:
    """Return the words, letters and digits alone, in lower case."""
    return Counter(re.findall(r"[^\W_]+", text.lower()))


def stretch_errors(truth: str, text: str) -> int:
    """Return the edits between a truth and the stretch of a text that comes closest to it."""
    row = [0] * (len(text) + 1)
    for number, wanted in enumerate(truth, 1):
        above, row = row, [number]
        for place, found in enumerate(text):
            row.append(min(row[-1] + 1, above[place + 1] + 1, above[place] + (wanted != found)))
    return min(row)


def print_rapidocr(sets: dict[str, list[tuple[Path, str]]]) -> None:
    """Print the same for RapidOCR as it comes, one thread as well."""
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR(intra_op_num_threads=1)
    for name, pictures in sets.items():
        times, answers = [], []
        for path, truth in pictures:
            rgb = load(path)
            started = time.perf_counter()
            result, _ = engine(np.ascontiguousarray(rgb[..., ::-1]))
            times.append(time.perf_counter() - started)
            answers.append((truth, " ".join(line[1] for line in result or ())))
        print(
            f"{name:9}{'as is':>5}{len(pictures):9}{1e3 * statistics.mean(times):18.1f}{quality(answers)}", flush=True
        )


def print_decoding() -> None:
    """Print what `decode_picture` costs with each switch, for pictures with and without text."""
    painter = DrawnText(drawn_text_config(ocr=False, inpaint=True))
    reader = DrawnText(drawn_text_config(ocr=True, inpaint=False))
    both = DrawnText(drawn_text_config(ocr=True, inpaint=True))
    kinds: dict[str, list[bytes]] = {"with text": [], "without": []}
    for path in sorted((SAMPLES / "pictures").iterdir()):
        content = path.read_bytes()
        kinds["with text" if decode_picture(content, drawn_text=reader).text else "without"].append(content)
    switches: dict[str, dict[str, Any]] = {
        "off": {},
        "ocr, text given": {"drawn_text": reader, "read_text": False},
        "ocr": {"drawn_text": reader},
        "inpaint": {"drawn_text": painter},
        "ocr + inpaint": {"drawn_text": both},
    }
    print(f"\n{'decode_picture':18}{'pictures':>18}{'ms each':>9}{'a second, 1 thread':>20}{'2 threads':>11}")
    for name, options in switches.items():
        for kind, contents in kinds.items():
            one, two = (rate(contents, options, threads) for threads in (1, 2))
            print(f"{name:18}{len(contents):8} {kind:>9}{1e3 / one:9.1f}{one:20.1f}{two:11.1f}", flush=True)


def rate(contents: Sequence[bytes], options: dict[str, Any], threads: int) -> float:
    """Return pictures decoded a second."""

    def decode(content: bytes) -> None:
        try:
            decode_picture(content, **options)
        except PictureError:
            raise SystemExit("a sample picture does not decode") from None

    with ThreadPoolExecutor(threads) as pool:
        return len(contents) / timed(lambda: list(pool.map(decode, contents)))


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def load(path: Path) -> NDArray[np.uint8]:
    """Return a picture upright in the size in which it is read."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    image.thumbnail((READING_SIDE_PIXELS, READING_SIDE_PIXELS))
    return np.asarray(image, np.uint8)


if __name__ == "__main__":
    main()
