"""Posts of every sort, and what should become of each."""

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, PngImagePlugin

from tests.chaos.pictures import PICTURES

SAMPLES = Path(__file__).parent.parent.parent / "samples"
LABELS, POISON = "labels", "poison"
# Known to tests/worker/hooks/sitecustomize.py.
_MARKS = ("moderate-test:abort", "moderate-test:kill")
_LONGEST_TEXT_CHARS = 160
_LONGEST_BROKEN_BYTES = 4096
_REPEATED, _PICTURES = 40, 24
_LINKED = 0.05


@dataclass(frozen=True)
class Entry:
    """A record to feed.

    `expect` is `labels`, or the stage whose dead letter it becomes.
    """

    key: bytes
    value: bytes | None
    expect: str = LABELS


def entries(seed: int, pictures_at: str | None = None) -> Iterator[Entry]:
    """Give posts without end: short texts, repeated ones, small pictures, both together, and records that are none.

    Args:
        seed: of all of them.
        pictures_at: a host of pictures that some of them link to; None for no links.
    """
    chance = random.Random(f"posts/{seed}")
    texts = _texts()
    repeated = [chance.choice(texts) for _ in range(_REPEATED)]
    pictures = [_picture(chance) for _ in range(_PICTURES)]
    broken = _broken()
    number = 0
    while True:
        number += 1
        key = f"p-{number}".encode()
        draw = chance.random()
        fresh = f"{chance.choice(texts)} ({number})"
        if draw < _LINKED and pictures_at is not None:
            link = f"{pictures_at}/{number % PICTURES}.png"
            yield Entry(key, _post(number, text=fresh, media=[{"url": link}]))
        elif draw < 0.5:
            yield Entry(key, _post(number, text=fresh))
        elif draw < 0.8:
            yield Entry(key, _post(number, text=chance.choice(repeated)))
        elif draw < 0.96:
            picture = chance.choice(pictures) if draw < 0.9 else _picture(chance)
            text = {"text": fresh} if draw < 0.93 else {}
            yield Entry(key, _post(number, media=[_medium(picture)], **text))
        else:
            value, expect = chance.choice(broken)
            yield Entry(key, value, expect)


def plain_entries(seed: int) -> Iterator[Entry]:
    """Give short texts without end, for programs that read nothing else."""
    chance = random.Random(f"posts/{seed}")
    texts = _texts()
    number = 0
    while True:
        number += 1
        yield Entry(f"p-{number}".encode(), _post(number, text=chance.choice(texts)))


def poison(number: int) -> Entry:
    """Return a post with a picture that kills the process that opens it, where the hooks are in place."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", _MARKS[number % len(_MARKS)])
    content = BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 10 * number % 256)).save(content, "PNG", pnginfo=info)
    value = _post(-1 - number, text="look at this", media=[_medium(content.getvalue())])
    return Entry(f"poison-{number}".encode(), value, POISON)


def _texts() -> list[str]:
    lines = (SAMPLES / "posts.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [str(json.loads(line).get("text") or "").strip() for line in lines]
    return [text for text in texts if 0 < len(text) <= _LONGEST_TEXT_CHARS]


def _broken() -> list[tuple[bytes | None, str]]:
    """Return values that are no posts with the stages that say so, and posts whose pictures cannot be used."""
    found: list[tuple[bytes | None, str]] = []
    for line in (SAMPLES / "malformed.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "value_base64" not in entry or len(entry["value_base64"] or "") > _LONGEST_BROKEN_BYTES:
            continue
        value = None if entry["value_base64"] is None else base64.b64decode(entry["value_base64"])
        # What stands behind an address may change between two runs.
        if value is None or b'"url"' not in value:
            found.append((value, entry["expect"].get("stage", LABELS)))
    return found


def _picture(chance: random.Random) -> bytes:
    size = chance.randrange(24, 64), chance.randrange(24, 64)
    picture = Image.frombytes("RGB", (4, 4), chance.randbytes(48)).resize(size)
    content = BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _medium(picture: bytes) -> dict[str, str]:
    return {"data": base64.b64encode(picture).decode(), "content_type": "image/png"}


def _post(number: int, **fields: object) -> bytes:
    return json.dumps({"id": f"p-{number}", **fields}, ensure_ascii=False).encode()
