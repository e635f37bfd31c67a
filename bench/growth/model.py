"""What the model itself costs on this processor: texts by their length, pictures, and the bank by its size.

Processor time, which other work on the machine changes less than the clock.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.growth.posts import Kind, texts
from mmorient import Moderator, PostEmbeddings, decode_picture
from mmorient.training.data.examples import PROBES
from mmorient.training.fitting.compact import compact_config
from mmorient.training.fitting.untrained import write_untrained
from worker.commands.demo.samples import FOLDER

WORDS = (5, 12, 50, 150)
BANKS = (256, 1024, 4096, 16384)
_TEXTS, _PICTURES, _POSTS = 48, 16, 256


def measure(turns: int) -> dict[str, Any]:
    """Return processor microseconds of a text by its words, of a picture, and of a post's heads by the bank's size."""
    moderator = Moderator.from_checkpoint()
    files = sorted((FOLDER / "pictures").glob("*.jpg"))
    pictures = [
        decode_picture(files[number % len(files)].read_bytes(), frame=moderator.picture_frame)
        for number in range(_PICTURES)
    ]
    by_words = []
    for words in WORDS:
        made = texts(Kind(words=words), _TEXTS, "model")
        tokens = sum(padded for _, padded in moderator.text_shapes(made)) / len(made)
        taken = _processor_us(partial(moderator.embed_texts, made), _TEXTS, turns)
        by_words.append({"words": words, "tokens": tokens, "processor_us": taken})
    return {
        "texts": by_words,
        "picture_us": _processor_us(lambda: moderator.embed_pictures(pictures), _PICTURES, turns),
        "banks": [{"posts": size, "processor_us": _bank_us(size, turns)} for size in BANKS],
    }


def _bank_us(size: int, turns: int) -> float:
    """Return the heads' time a post with a bank of random posts."""
    draw = np.random.default_rng(size)
    with tempfile.TemporaryDirectory() as folder:
        write_untrained(Path(folder) / "bank", config=compact_config("bench", probes=PROBES, bank_posts=size))
        moderator = Moderator.from_checkpoint(Path(folder) / "bank")
    posts = [PostEmbeddings((draw.normal(size=moderator.text_width) / 20).astype(np.float16)) for _ in range(_POSTS)]
    return _processor_us(lambda: moderator.classify(posts), _POSTS, turns)


def _processor_us(work: Callable[[], object], units: int, turns: int) -> float:
    """Return the median processor time of a unit, after one turn that is not counted."""
    taken = []
    for _ in range(turns + 1):
        began = time.process_time()
        work()
        taken.append(1e6 * (time.process_time() - began) / units)
    return statistics.median(taken[1:])
