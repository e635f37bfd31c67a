"""The text drawn over pictures, for posts that bring none."""

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.worker.records import item_of
from worker.items import Item
from worker.labelling.drawn_text import DrawnTextStage
from worker.watchdog import Watchdog

pytest.importorskip("onnxruntime")


class MemoryTexts:
    """Keeps read texts in a dict."""

    def __init__(self) -> None:
        self.entries: dict[bytes, str] = {}
        self.found = 0

    async def find_texts(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Return what is there."""
        there = {key: self.entries[key] for key in keys if key in self.entries}
        self.found += len(there)
        return there

    async def store_texts(self, texts: Mapping[bytes, str]) -> None:
        """Keep all."""
        self.entries.update(texts)


def drawn_picture(words: str) -> bytes:
    """Return a picture with words drawn on it."""
    image = Image.new("RGB", (480, 160), "navy")
    ImageDraw.Draw(image).text((30, 50), words, fill="white", font=ImageFont.load_default(48))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def item_with(content: bytes, **fields: object) -> Item:
    """Return an item with one collected picture."""
    item = item_of(media=[{"data": base64.b64encode(content).decode()}], **fields)
    item.pictures[0] = content
    return item


async def test_a_post_without_a_text_is_read_off_its_picture() -> None:
    """What is drawn is the text where the post has none; a post's own text stays; what was read is cached."""
    from mmorient.input.ocr.drawn_text import DrawnText, drawn_text_config

    cache = MemoryTexts()
    reader = DrawnText(drawn_text_config(ocr=True, inpaint=False))
    picture = drawn_picture("HELLO WORLD")
    with ThreadPoolExecutor(1) as pool:
        stage = DrawnTextStage(cache, drawn_text=reader, max_pixels=10**6, decoder=pool, watch=Watchdog(60))
        silent, speaking, broken = item_with(picture), item_with(picture, text="mine"), item_with(b"no picture")
        await stage.read([silent, speaking, broken])
        assert (silent.text or "").upper().replace(" ", "") == "HELLOWORLD"
        assert speaking.text == "mine"
        assert broken.text is None
        assert broken.rejection is None
        again = item_with(picture)
        await stage.read([again])
    assert again.text == silent.text
    assert cache.found == 1


async def test_nothing_is_read_where_the_checkpoint_does_not_read() -> None:
    """Without a reader the stage leaves every item as it is."""
    cache = MemoryTexts()
    item = item_with(drawn_picture("HELLO"))
    with ThreadPoolExecutor(1) as pool:
        await DrawnTextStage(cache, drawn_text=None, max_pixels=10**6, decoder=pool, watch=Watchdog(60)).read([item])
    assert item.text is None
    assert cache.entries == {}
