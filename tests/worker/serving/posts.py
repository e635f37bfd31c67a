"""Posts of every kind, each once: samples with their pictures, and made-up ones."""

import json
from pathlib import Path
from random import Random

from tests.worker.system import sample_posts

SAMPLES = Path(__file__).parents[3] / "samples"
_WORDS = [
    *("what", "a", "lovely", "day", "you", "absolute", "fool", "never", "again", "thanks", "garden", "rain"),
    *("monday", "train", "late", "coffee", "hate", "love", "😀"),
]
_ODD = (
    b'{"id": 7, "text": ["two", "lines"], "community": "gardening", "created_at": "2026-11-20T12:00:00+02:00"}',
    b'{"id": "deleted", "text": null, "media": []}',
    b'{"id": "p-b64", "media": [{"data": "bm8gcGljdHVyZQ=="}], "text": "with a broken picture"}',
    b'{"id": "p-none", "media": [{"data": "bm8gcGljdHVyZQ=="}]}',
    b"{no json",
    b'{"op": "d", "before": {"id": "p-1", "text": "gone"}, "after": null, "source": {"table": "posts"}}',
    b'{"id": "p-de", "text": "Das ist ein deutscher Satz, der nicht gelesen werden kann."}',
)


def mixed_posts(count: int) -> list[bytes]:
    """Return posts: odd ones first, then sample posts, then made-up ones, the same on every call."""
    samples = sample_posts(SAMPLES, min(count, 400))
    random = Random(23)
    made = [
        json.dumps({"id": f"made-{n}", "text": " ".join(random.choices(_WORDS, k=random.randint(1, 60))) + f" {n}"})
        for n in range(max(0, count - len(_ODD) - len(samples)))
    ]
    return [*_ODD, *samples, *(one.encode() for one in made)][:count]
