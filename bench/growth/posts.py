"""Posts of a wanted kind: so many words, so many with a picture, so many that were seen before."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from worker.commands.demo.samples import FOLDER

POOL = 200
"""Texts that reposts take turns in."""


@dataclass(frozen=True)
class Kind:
    """What the posts of a point are like.

    Args:
        words: of each text.
        pictures: share of posts with a picture that nobody has seen.
        reposts: share of posts whose text was seen before; these have no picture.
    """

    words: int = 12
    pictures: float = 0.0
    reposts: float = 0.0


@dataclass(frozen=True)
class Made:
    """Posts, and what a model of their cost needs to know.

    Args:
        values: of their records.
        characters: of the mean text.
        pictures: of the mean post.
        reposts: share of posts whose text is of the pool.
    """

    values: list[bytes]
    characters: float
    pictures: float
    reposts: float


def pool(kind: Kind) -> list[bytes]:
    """Return one post of each text that reposts have: a worker that has labelled these has seen them all."""
    return [_post(f"pool-{number}", text) for number, text in enumerate(_pool_texts(kind))]


def make(kind: Kind, count: int, run: str) -> Made:
    """Return posts of a kind, whose new texts and pictures differ from those of every other run.

    Args:
        kind: of them.
        count: how many.
        run: name that no other call has.
    """
    seen = _pool_texts(kind)
    files = [path.read_bytes() for path in sorted((FOLDER / "pictures").glob("*.jpg"))]
    values, characters, pictures, reposts = [], 0, 0, 0
    for number in range(count):
        again = _falls(number, 7919, kind.reposts)
        text = seen[number % POOL] if again else _text(kind.words, number, f"{run}.{number}")
        # Bytes behind the end of a JPEG change its content key and nothing else.
        content = files[number % len(files)] + f"{run}.{number}".encode()
        with_picture = not again and _falls(number, 6607, kind.pictures)
        values.append(_post(f"{run}-{number}", text, content if with_picture else None))
        characters += len(text)
        pictures += with_picture
        reposts += again
    return Made(values, characters / count, pictures / count, reposts / count)


def texts(kind: Kind, count: int, run: str) -> list[str]:
    """Return new texts of a kind alone."""
    return [_text(kind.words, number, f"{run}.{number}") for number in range(count)]


def _falls(number: int, prime: int, share: float) -> bool:
    """Return whether one of so many falls into a share, evenly spread."""
    return number * prime % 1000 < share * 1000


def _pool_texts(kind: Kind) -> list[str]:
    return [_text(kind.words, number, f"pool.{number}") for number in range(POOL)]


def _text(words: int, number: int, end: str) -> str:
    """Return so many words, of which the last is `end`."""
    return " ".join([*islice(_words(), number % 997, number % 997 + words - 1), end])


def _words() -> Iterator[str]:
    return cycle(_SAMPLES)


def _sample_words() -> list[str]:
    lines = [json.loads(line) for line in (FOLDER / "posts.jsonl").read_text(encoding="utf-8").splitlines()]
    return " ".join(line.get("text") or "" for line in lines if (line.get("text") or "").isascii()).split()


_SAMPLES = _sample_words()


def _post(identifier: str, text: str, picture: bytes | None = None) -> bytes:
    post: dict[str, object] = {"id": identifier, "text": text}
    if picture is not None:
        post["media"] = [{"data": base64.b64encode(picture).decode()}]
    return json.dumps(post).encode()
