"""What is said of how much of a text was read, and calls of the model bounded in windows."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from mmorient import Moderator, ParsedMedium, ParsedPost, Reading
from tests.worker.records import StandInRecord, item_of
from worker.errors import InvalidRecordError
from worker.items import Item
from worker.labelling.cache.packed_readings import PACKED_BYTES, PackedReadings
from worker.labelling.decode import decode
from worker.labelling.embed import EmbeddingTable
from worker.labelling.media import reject_if_empty
from worker.labelling.reading import ReadingStage
from worker.watchdog import Watchdog


class NotingReader:
    """Says of each text how long it is."""

    def __init__(self, version: str = "1") -> None:
        self.reading_version = version
        self.asked: list[str] = []
        self.calls: list[tuple[int, bool]] = []  # characters, and whether the event loop waited

    def supports(self, language: str | None) -> bool:
        """Return whether it was made for a language."""
        return language == "en"

    def read_texts(self, texts: Sequence[str]) -> list[Reading]:
        """Note the texts."""
        self.asked += texts
        self.calls.append((sum(map(len, texts)), threading.current_thread() is threading.main_thread()))
        return [Reading("en", supported=True, unread=len(text) / 100, truncated_text=False) for text in texts]


def keyed(number: int, text: str) -> Item:
    """Return an item whose key is set, as that of its text."""
    item = item_of(number, text=text)
    item.text_key = text.encode()
    return item


async def test_a_text_that_was_read_before_is_not_read_again() -> None:
    """Its reading is found with its embedding, and is the same: it depends on the text alone."""
    moderator, table = NotingReader(), EmbeddingTable()
    stage = ReadingStage(moderator, watch=Watchdog(60))  # type: ignore[arg-type]
    first, again = [keyed(0, "four"), keyed(1, "sixsix")], [keyed(2, "sixsix"), keyed(3, "x")]
    await stage.read(first, table)
    await stage.read(again, EmbeddingTable(readings={b"sixsix": table.readings[b"sixsix"], b"x": b""}))
    assert moderator.asked == ["four", "sixsix", "x"]
    assert again[0].reading == first[1].reading
    assert again[1].reading == Reading("en", supported=True, unread=0.01, truncated_text=False)


async def test_what_another_version_read_is_read_again() -> None:
    """Of what tells languages: it may say another one, and the text's embedding is as good as before."""
    table = EmbeddingTable()
    await ReadingStage(NotingReader("1"), watch=Watchdog(60)).read([keyed(0, "four")], table)  # type: ignore[arg-type]
    before = dict(table.readings)
    later = NotingReader("2")
    await ReadingStage(later, watch=Watchdog(60)).read([keyed(1, "four")], table)  # type: ignore[arg-type]
    assert later.asked == ["four"]
    assert table.readings.keys() == before.keys()
    assert table.readings != before


@pytest.mark.parametrize("language", [None, "en", "de"])
@pytest.mark.parametrize("unread", [0.0, 0.01, 0.29, 0.57, 0.58, 1.0])
@pytest.mark.parametrize("truncated", [True, False])
def test_a_packed_reading_comes_back_as_it_was(language: str | None, unread: float, *, truncated: bool) -> None:
    """Every share of two decimals; whether its language is supported is the model's to say."""
    packed = PackedReadings(NotingReader())
    reading = Reading(language, supported=language == "en", unread=unread, truncated_text=truncated)
    stored = packed.pack(reading)
    assert len(stored) == PACKED_BYTES
    assert packed.unpack(stored) == reading
    assert packed.unpack(stored[:-1]) is packed.unpack(b"") is None


async def test_every_text_has_a_reading() -> None:
    """Posts without a text have none, and rejected ones are not read."""
    items = [item_of(0, text="four"), item_of(1, text="sixsix"), item_of(2, text="x"), item_of(3, text="y")]
    items[2].text = None
    items[3].rejection = InvalidRecordError("decode", "no", reason="no_post")
    moderator = NotingReader()
    await ReadingStage(moderator, watch=Watchdog(60)).read(items, EmbeddingTable())  # type: ignore[arg-type]
    assert moderator.asked == ["four", "sixsix"]
    assert [item.reading and item.reading.unread for item in items] == [0.04, 0.06, None, None]


@pytest.mark.parametrize(
    ("lengths", "calls"),
    [
        ((1500, 1500, 1500, 4004, 4000), [(3000, True), (1500, True), (4004, False), (4000, True)]),
        ([1] * 63, [(62, True), (1, True)]),
        ((4000, 4000, 4000, 4004), [(16004, False)]),
        ([1] * 251, [(251, False)]),
    ],
)
@pytest.mark.parametrize("sign", ["a", "é"])
async def test_the_event_loop_waits_for_few_characters_at_a_time(
    lengths: Sequence[int], calls: list[tuple[int, bool]], sign: str
) -> None:
    """A longer text or batch is read in a thread; between any two parts others have their turn.

    A sign beyond ASCII counts as four characters, a short text as 64.
    """
    moderator = NotingReader()
    share = 1 if sign.isascii() or max(lengths) == 1 else 4
    items = [item_of(number, text=sign * (length // share)) for number, length in enumerate(lengths)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    await ReadingStage(moderator, watch=Watchdog(60)).read(items, EmbeddingTable())  # type: ignore[arg-type]
    counting.cancel()
    assert [(share * characters, on_loop) for characters, on_loop in moderator.calls] == calls
    assert turns >= len(calls) - 1
    assert all(item.reading for item in items)


@pytest.mark.parametrize("text", ["\\u200b\\ufe0f", "\\u3164", "#", "&#8203;", " \\n\\t"])
async def test_a_text_of_which_nothing_is_read_is_a_dead_letter(text: str) -> None:
    """Its reason says so; where a picture is there, that is labelled."""
    item = Item(StandInRecord(f'{{"id": "a", "text": "{text}"}}'.encode()))
    await decode([item], max_text_chars=100, watch=Watchdog(60))
    assert item.rejection is not None
    assert (item.rejection.stage, item.rejection.reason) == ("decode", "nothing_to_read")


async def test_what_is_drawn_is_read_where_the_text_comes_to_nothing() -> None:
    """And beside the text where the model reads both."""
    record = b'{"id": "a", "text": "%s", "media": [{"url": "http://x.y/z", "ocr_text": "MONDAYS"}]}'
    for own, beside, read in (
        (b"\\u200b", False, "MONDAYS"),
        (b"lol", False, "lol"),
        (b"lol", True, "lol\x1eMONDAYS"),
        (b"\\u200b", True, "MONDAYS"),
    ):
        item = Item(StandInRecord(record % own))
        await decode([item], max_text_chars=100, watch=Watchdog(60), beside=beside)
        assert item.text == read


def test_the_shipped_model_says_what_it_reads() -> None:
    """Language, whether the checkpoint claims it, what is unread, and whether a text is cut."""
    moderator = Moderator.from_checkpoint()
    texts = [
        "oh great, another monday at the office",
        "Das ist ja wieder mal typisch, nicht wahr?",
        "lol",
        "well " * 9000,
    ]
    readings = moderator.read_texts(texts)
    assert [(one.language, one.supported) for one in readings[:3]] == [("en", True), ("de", False), (None, True)]
    assert readings[0] == Reading("en", supported=True, unread=0.0, truncated_text=False)
    assert readings[3].truncated_text
    assert 0 < readings[3].unread < 0.2
    shapes = moderator.text_shapes(texts)
    assert shapes[:3] == [(16, 16), (24, 24), (16, 16)]
    assert shapes[3] == (128, 64 * 128)


def test_a_medium_may_say_nothing() -> None:
    """Posts of which a medium is all there is are not rejected for their text."""
    item = Item(StandInRecord(b"{}"), post=ParsedPost("a", media=(ParsedMedium("http://x.y/z"),)))
    item.pictures[0] = b"x"
    reject_if_empty(item)
    assert item.rejection is None
