"""The sample posts as Kafka records."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "samples"
# The host that sample addresses name; the demo's own picture server stands in for it.
SAMPLES_HOST = "http://samples.invalid/"


@dataclass(frozen=True)
class Sample:
    """One record to feed."""

    key: bytes | None
    value: bytes | None
    title: str
    pictures: int


def read_samples(picture_address: str, folder: Path = FOLDER) -> list[Sample]:
    """Return the sample posts followed by the malformed records, spread among them.

    Args:
        picture_address: http://host:port/ of the server of the samples' pictures.
        folder: where the samples are.
    """
    posts = list(_posts(folder, picture_address))
    malformed = list(_malformed(folder, picture_address))
    step = max(1, len(posts) // (len(malformed) + 1))
    for number, sample in enumerate(malformed, start=1):
        posts.insert(min(len(posts), number * (step + 1)), sample)
    return posts


def _posts(folder: Path, picture_address: str) -> Iterator[Sample]:
    for line in (folder / "posts.jsonl").read_text(encoding="utf-8").splitlines():
        post: dict[str, Any] = json.loads(line)
        media = post.get("media") or []
        for medium in media:
            if "path" in medium:
                content = (folder / medium.pop("path")).read_bytes()
                medium["data"] = base64.b64encode(content).decode()
            elif "url" in medium:
                medium["url"] = medium["url"].replace(SAMPLES_HOST, picture_address)
        value = json.dumps(post, ensure_ascii=False).encode()
        yield Sample(post["id"].encode(), value, _title(post), len(media))


def _title(post: Mapping[str, Any]) -> str:
    """Return what a person recognises the post by."""
    if (post.get("text") or "").strip():
        return str(post["text"])
    drawn = next((medium["ocr_text"] for medium in post.get("media") or [] if medium.get("ocr_text")), None)
    return f"(picture: {drawn})" if drawn else "(picture)"


def _malformed(folder: Path, picture_address: str) -> Iterator[Sample]:
    for line in (folder / "malformed.jsonl").read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        key = base64.b64decode(entry["key_base64"]) if entry["key_base64"] is not None else None
        value = base64.b64decode(entry["value_base64"]) if entry["value_base64"] is not None else None
        if (repeat := entry.get("value_text_repeat")) is not None:
            value = (repeat["prefix"] + repeat["unit"] * repeat["times"] + repeat["suffix"]).encode()
        if value is not None:
            value = value.replace(SAMPLES_HOST.encode(), picture_address.encode())
        yield Sample(key, value, f"({entry['name']})", 0)
