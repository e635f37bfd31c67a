"""The sample posts, pictures and malformed records: what demos and tests may expect of them."""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from PIL import Image

from worker.policies.reading import read_policies

SAMPLES = Path(__file__).parents[2] / "samples"
PICTURES = SAMPLES / "pictures"
SERVED = "http://samples.invalid/"
MEDIUM_CODES = {"bad_base64", "bad_medium", "not_a_picture", "truncated", "http_status", "fetch_failed"}


def _lines(name: str) -> list[dict]:
    with (SAMPLES / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def posts() -> list[dict]:
    return _lines("posts.jsonl")


@pytest.fixture(scope="module")
def malformed() -> list[dict]:
    return _lines("malformed.jsonl")


def _media(posts: list[dict]) -> list[dict]:
    return [medium for post in posts for medium in post.get("media", [])]


def _content(medium: dict) -> bytes:
    if "data" in medium:
        return base64.b64decode(medium["data"], validate=True)
    if "path" in medium:
        return (SAMPLES / medium["path"]).read_bytes()
    return (PICTURES / medium["url"].removeprefix(SERVED)).read_bytes()


def test_at_least_400_posts_have_ids_of_their_own(posts: list[dict]) -> None:
    """There are at least 400 posts, and no two share an id."""
    ids = [post["id"] for post in posts]
    assert len(ids) >= 400
    assert len(set(ids)) == len(ids)


def test_every_post_is_what_the_contract_calls_a_post(posts: list[dict]) -> None:
    """Known fields have their type, and text or media is there."""
    for post in posts:
        assert post.get("text") or post.get("media"), post["id"]
        for field in ("id", "created_at", "author_id", "community", "language", "text"):
            assert isinstance(post.get(field, ""), str), (post["id"], field)
        for medium in post.get("media", []):
            assert len(medium.keys() & {"path", "data", "url"}) == 1, post["id"]


def test_posts_are_written_over_several_days_in_order(posts: list[dict]) -> None:
    """Times are RFC 3339, lie in November 2026, span five days or more, and never run backwards."""
    times = [datetime.fromisoformat(post["created_at"]) for post in posts if "created_at" in post]
    assert times == sorted(times)
    assert min(times) >= datetime(2026, 11, 1, tzinfo=UTC)
    assert max(times) < datetime(2026, 12, 1, tzinfo=UTC)
    assert (max(times) - min(times)).days >= 5


def test_every_medium_is_a_picture_at_hand(posts: list[dict]) -> None:
    """Paths and addresses lead to files in pictures/, inline data is base64, and all of it decodes."""
    contents = {hashlib.sha256(content).digest(): content for content in map(_content, _media(posts))}
    for content in contents.values():
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
    assert all(len(_content(medium)) < 6_000 for medium in _media(posts) if "data" in medium)


def test_media_come_in_all_three_ways(posts: list[dict]) -> None:
    """Media are files, inline or addresses, some with the words on them, and some posts mix these."""
    media = _media(posts)
    assert sum("data" in medium for medium in media) >= 10
    assert sum("url" in medium for medium in media) >= 20
    assert sum("path" in medium for medium in media) >= 100
    assert sum("ocr_text" in medium for medium in media) >= 20
    assert any(
        any("url" in medium for medium in post.get("media", []))
        and any("data" in medium for medium in post.get("media", []))
        for post in posts
    )


def test_posts_mix_text_and_pictures(posts: list[dict]) -> None:
    """About 55% of the posts are text alone, 15% pictures alone, 30% both."""
    text_only = sum("media" not in post for post in posts) / len(posts)
    picture_only = sum("text" not in post for post in posts) / len(posts)
    assert text_only == pytest.approx(0.55, abs=0.05)
    assert picture_only == pytest.approx(0.15, abs=0.05)
    assert 1 - text_only - picture_only == pytest.approx(0.30, abs=0.05)


def test_at_least_30_posts_are_reposts(posts: list[dict]) -> None:
    """At least 30 posts repeat the text and the pictures of an earlier one under another id and author."""
    seen: dict[tuple, set[str]] = {}
    reposts = 0
    for post in posts:
        pictures = tuple(hashlib.sha256(_content(medium)).digest() for medium in post.get("media", []))
        authors = seen.setdefault((post.get("text"), pictures), set())
        reposts += bool(authors) and post.get("author_id", "") not in authors
        authors.add(post.get("author_id", ""))
    assert reposts >= 30


def test_posts_vary_in_language_length_and_tone(posts: list[dict]) -> None:
    """Languages, lengths, emoji, hashtags, mentions, addresses and capitals vary as on a real network."""
    texts = [post["text"] for post in posts if "text" in post]
    assert len({post["language"] for post in posts if "language" in post}) >= 8
    assert sum(post.get("language", "en") != "en" for post in posts) >= 35
    assert sum(len(text.split()) >= 150 for text in texts) >= 5
    assert sum(len(text) <= 6 for text in texts) >= 5
    for pattern in (r"[\U0001F300-\U0001FAFF\u2600-\u27BF]", r"#\w", r"@\w", r"https?://", r"\b[A-Z]{5,}\b"):
        assert any(re.search(pattern, text) for text in texts), pattern
    assert sum(bool(re.search(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]", text)) for text in texts) >= 30


def test_some_posts_are_memes(posts: list[dict]) -> None:
    """At least 30 posts carry a meme, some with its words given and some without."""
    memes = [medium for medium in _media(posts) if "meme-" in medium.get("path", medium.get("url", ""))]
    assert len(memes) >= 30
    assert 0 < sum("ocr_text" in medium for medium in memes) < len(memes)


def test_some_posts_have_fields_nobody_knows(posts: list[dict]) -> None:
    """A few posts and one medium carry fields outside the contract."""
    known = {"id", "created_at", "author_id", "community", "language", "text", "media"}
    assert sum(bool(post.keys() - known) for post in posts) >= 3
    assert any(medium.keys() - {"path", "url", "data", "content_type", "ocr_text"} for medium in _media(posts))


def test_pictures_cover_formats_modes_and_sizes() -> None:
    """Four formats, five modes, an animation, an EXIF orientation, and sizes from 64x64 to 1200x800."""
    formats, modes, sizes, frames, orientations = set(), set(), set(), [], []
    for path in PICTURES.iterdir():
        with Image.open(path) as picture:
            formats.add(picture.format)
            modes.add(picture.mode)
            sizes.add(picture.size)
            frames.append(getattr(picture, "n_frames", 1))
            orientations.append(picture.getexif().get(0x0112, 1))
    assert formats == {"JPEG", "PNG", "WEBP", "GIF"}
    assert {"RGB", "RGBA", "L", "CMYK", "P"} <= modes
    assert {(64, 64), (1200, 800)} <= sizes
    assert sum(count > 1 for count in frames) == 1
    assert sum(orientation != 1 for orientation in orientations) == 1


def test_malformed_records_say_what_becomes_of_them(malformed: list[dict]) -> None:
    """At least 12 records have names of their own, bytes that can be rebuilt, and an outcome."""
    assert len(malformed) >= 12
    assert len({record["name"] for record in malformed}) == len(malformed)
    for record in malformed:
        assert record["why"].endswith("."), record["name"]
        for field in ("key_base64", "value_base64"):
            base64.b64decode(record[field] or "", validate=True)
        expect = record["expect"]
        if expect["outcome"] == "dead-letter":
            assert expect["stage"] in {"decode", "media"}, record["name"]
        elif expect["outcome"] == "passed-over":
            assert record["value_base64"] is None, record["name"]
        else:
            assert expect["outcome"] == "label", record["name"]
            assert set(expect["unavailable"]) <= MEDIUM_CODES, record["name"]


def test_malformed_records_cover_every_outcome(malformed: list[dict]) -> None:
    """Both dead-letter stages, a deletion and every reason code occur, and one text has 200,000 characters."""
    stages = {record["expect"].get("stage") for record in malformed}
    codes = {code for record in malformed for code in record["expect"].get("unavailable", [])}
    assert {"decode", "media"} <= stages
    assert [one["name"] for one in malformed if one["expect"]["outcome"] == "passed-over"] == ["null-value"]
    assert codes == MEDIUM_CODES
    repeats = [record["value_text_repeat"] for record in malformed if "value_text_repeat" in record]
    texts = [json.loads(r["prefix"] + r["unit"] * r["times"] + r["suffix"])["text"] for r in repeats]
    assert [len(text) for text in texts] == [200_000]


def test_samples_stay_small() -> None:
    """All of samples/ takes less than 4 MB."""
    files = [path for path in SAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 4_000_000


@pytest.mark.slow
def test_the_script_draws_every_picture(tmp_path: Path) -> None:
    """draw.py makes each picture of pictures/ under the same name and in the same size, and no other."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, SAMPLES / "draw.py", tmp_path], check=True, env=env, capture_output=True)
    assert _sizes(tmp_path) == _sizes(PICTURES)


def _sizes(folder: Path) -> dict[str, tuple[int, int]]:
    sizes = {}
    for path in folder.iterdir():
        with Image.open(path) as picture:
            sizes[path.name] = picture.size
    return sizes


def test_the_sample_policies_are_read() -> None:
    """Each community that they name is one of the sample posts', and a shadow rule is among them."""
    rules = read_policies(SAMPLES / "policies").rules
    communities = {post.get("community", "") for post in _lines("posts.jsonl")}
    assert any(rule.shadow for rule in rules)
    for rule in rules:
        assert any(fnmatchcase(community, rule.community) for community in communities), rule.name
