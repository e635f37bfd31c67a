"""Tables of one row as other people's writers made them: what came out before, and what comes out now.

`before` is what `mmorient label` of the commit before said of the row, by the exception or the refusal that it met.
"""

# ruff: noqa: E501 - a table is read by its rows

import base64
import decimal
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from tests.mmorient.conftest import encode

RED = encode(Image.new("RGB", (30, 20), "red"), "PNG")
INLINE = base64.b64encode(RED).decode()
URL = "https://img.example/1.jpg"
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
STRINGS = pa.list_(pa.string())
HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
MAP = pa.map_(pa.string(), pa.string())
STRUCT = pa.struct([("url", pa.string()), ("ocr_text", pa.string()), ("height", pa.int32())])

READ = "read"
NOT_A_POST = "the row is refused"
ENDS_THE_RUN = "a traceback ends the run"
NO_TABLE = "exit code 2, nothing is read"
NO_PICTURE = "read, without its picture"


@dataclass(frozen=True)
class Odd:
    """A table of one row.

    Args:
        name: of the case.
        columns: besides `id` and `text`, or in their place; None leaves one out.
        before: what came out.
        now: what the row's JSON has beside `id` and `text`; a string is in the refusal.
    """

    name: str
    columns: Callable[[], dict[str, pa.Array | None]]
    before: str
    now: dict[str, Any] | str

    def write(self, path: Path) -> Path:
        """Make the file."""
        columns = {"id": pa.array(["1"]), "text": pa.array(["x"])} | self.columns()
        table = pa.table({name: column for name, column in columns.items() if column is not None})
        parquet.write_table(table, path)
        return path

    @property
    def row(self) -> dict[str, Any]:
        """What the row is read as."""
        assert isinstance(self.now, dict)
        return {"id": "1", "text": "x"} | self.now


def _media(
    name: str, value: Any, kind: pa.DataType | None, before: str, now: list[Any], *, column: str = "media"
) -> Odd:
    return Odd(name, lambda: {column: pa.array([value], kind)}, before, {"media": now} if now else {})


def _id(name: str, value: Any, kind: pa.DataType, before: str, now: str) -> Odd:
    return Odd(name, lambda: {"id": pa.array([value], kind)}, before, {"id": now})


def _bad_id(name: str, value: Any, kind: pa.DataType, before: str, now: str) -> Odd:
    return Odd(name, lambda: {"id": pa.array([value], kind)}, before, now)


def _field(name: str, column: str, array: Callable[[], pa.Array], before: str, now: Any) -> Odd:
    return Odd(name, lambda: {column: array()}, before, {} if now is None else {column: now})


MEDIA = [
    _media("list of structs", [{"url": URL, "ocr_text": "HI"}], pa.list_(STRUCT), READ, [{"url": URL, "ocr_text": "HI"}]),
    _media("list of addresses", [URL, " //img.example/2 "], STRINGS, ENDS_THE_RUN, [{"url": URL}, {"url": "//img.example/2"}]),
    _media("list of file names", ["a.png", "sub dir/b.JPEG"], STRINGS, ENDS_THE_RUN, [{"path": "a.png"}, {"path": "sub dir/b.JPEG"}]),
    _media("list of base64", [INLINE], STRINGS, ENDS_THE_RUN, [{"data": INLINE}]),
    _media("list of data addresses", [f"data:image/png;base64,{INLINE}"], STRINGS, ENDS_THE_RUN, [{"data": INLINE, "content_type": "image/png"}]),
    _media("list of bytes", [RED], pa.list_(pa.binary()), ENDS_THE_RUN, [{"data": INLINE}]),
    _media("list of dictionary-encoded", [URL], pa.list_(pa.dictionary(pa.int32(), pa.string())), ENDS_THE_RUN, [{"url": URL}]),
    _media("large list of large strings", [URL], pa.large_list(pa.large_string()), ENDS_THE_RUN, [{"url": URL}]),
    _media("list of string views", [URL], pa.list_(pa.string_view()), ENDS_THE_RUN, [{"url": URL}]),
    _media("fixed-size list", [URL, URL], pa.list_(pa.string(), 2), ENDS_THE_RUN, [{"url": URL}, {"url": URL}]),
    _media("list of lists", [[URL], [URL]], pa.list_(STRINGS), ENDS_THE_RUN, [{"url": URL}, {"url": URL}]),
    _media("list of words", ["photo"], STRINGS, ENDS_THE_RUN, ["photo"]),
    _media("list with a null", [None, URL], STRINGS, ENDS_THE_RUN, [None, {"url": URL}]),
    _media("list of structs with a null", [None, {"url": URL}], pa.list_(STRUCT), NOT_A_POST, [None, {"url": URL}]),
    _media("struct of nulls in a list", [{"url": None, "ocr_text": None}], pa.list_(STRUCT), READ, [{}]),
    _media("empty list", [], STRINGS, READ, []),
    _media("null", None, STRINGS, READ, []),
    _media("column of nothing but nulls", None, pa.null(), READ, []),
    _media("not a number", float("nan"), pa.float64(), NOT_A_POST, []),
    _media("numbers", [7], pa.list_(pa.int64()), ENDS_THE_RUN, [7]),
    _media("one address", URL, pa.string(), ENDS_THE_RUN, [{"url": URL}]),
    _media("several addresses in a string", f"{URL}, {URL} {URL}|{URL}", pa.string(), ENDS_THE_RUN, [{"url": URL}] * 4),
    _media("empty string", " ", pa.string(), ENDS_THE_RUN, []),
    _media("JSON of a list of objects", json.dumps([{"url": URL, "w": 1}]), pa.string(), ENDS_THE_RUN, [{"url": URL}]),
    _media("JSON of a list of strings", json.dumps([URL]), pa.string(), ENDS_THE_RUN, [{"url": URL}]),
    _media("JSON of an object", json.dumps({"url": URL}), pa.large_string(), ENDS_THE_RUN, [{"url": URL}]),
    _media("JSON as bytes", json.dumps([URL]).encode(), pa.binary(), ENDS_THE_RUN, [{"url": URL}]),
    _media("JSON null", "null", pa.string(), ENDS_THE_RUN, []),
    _media("list of JSON objects", [json.dumps({"url": URL})], STRINGS, ENDS_THE_RUN, [{"url": URL}]),
    _media("JSON that breaks off", '[{"url": "', pa.string(), ENDS_THE_RUN, ['[{"url": "']),
    _media("brackets 5,000 deep", "[" * 5000, pa.string(), ENDS_THE_RUN, ["[" * 5000]),
    _media("list as Python prints it", f"['{URL}', 'a.png']", pa.string(), ENDS_THE_RUN, [{"url": URL}, {"path": "a.png"}]),
    _media("one struct", {"url": URL, "height": 7}, STRUCT, ENDS_THE_RUN, [{"url": URL}]),
    _media("struct of other case", {"URL": URL}, pa.struct([("URL", pa.string())]), ENDS_THE_RUN, [{"url": URL}]),
    _media("struct of unknown names", {"src": URL, "w": 1}, pa.struct([("src", pa.string()), ("w", pa.int8())]), ENDS_THE_RUN, [{"url": URL}]),
    _media("struct of lists", {"url": [URL, URL], "ocr_text": ["A", None]}, pa.struct([("url", STRINGS), ("ocr_text", STRINGS)]), ENDS_THE_RUN, [{"url": URL, "ocr_text": "A"}, {"url": URL}]),
    _media("alt_text", [{"url": URL, "alt_text": "a cat"}], pa.list_(pa.struct([("url", pa.string()), ("alt_text", pa.string())])), NO_PICTURE, [{"url": URL, "alt_text": "a cat"}]),
    _media("map of a medium", [("url", URL), ("w", "1")], MAP, ENDS_THE_RUN, [{"url": URL}]),
    _media("map of media by name", [("first", URL), ("second", "a.png")], MAP, ENDS_THE_RUN, [{"url": URL}, {"path": "a.png"}]),
    _media("list of maps", [[("url", URL)], [("path", "a.png")]], pa.list_(MAP), ENDS_THE_RUN, [{"url": URL}, {"path": "a.png"}]),
    _media("map of structs", [("a", {"url": URL})], pa.map_(pa.string(), STRUCT), ENDS_THE_RUN, [{"url": URL}]),
    _media("a picture's bytes", RED, pa.binary(), ENDS_THE_RUN, [{"data": INLINE}]),
    _media("a picture's bytes as numbers", {"data": list(RED)}, pa.struct([("data", pa.list_(pa.uint8()))]), ENDS_THE_RUN, [{"data": INLINE}]),
    _media("Java's signed bytes", {"data": [byte - 256 * (byte > 127) for byte in RED]}, pa.struct([("data", pa.list_(pa.int8()))]), ENDS_THE_RUN, [{"data": INLINE}]),
    _media("Hugging Face: bytes and a name", {"bytes": RED, "path": "a.png"}, HUGGING_FACE, ENDS_THE_RUN, [{"data": INLINE}]),
    _media("Hugging Face: a file", {"bytes": None, "path": "a.png"}, HUGGING_FACE, ENDS_THE_RUN, [{"path": "a.png"}]),
    _media("Hugging Face: a list", [{"bytes": RED, "path": None}], pa.list_(HUGGING_FACE), NO_PICTURE, [{"data": INLINE}]),
    _media("Hugging Face: column image", {"bytes": RED, "path": "a.png"}, HUGGING_FACE, NO_PICTURE, [{"data": INLINE}], column="image"),
    _media("Hugging Face: column images", [{"bytes": RED, "path": None}], pa.list_(HUGGING_FACE), NO_PICTURE, [{"data": INLINE}], column="images"),
    _media("column image of bytes", RED, pa.large_binary(), NO_PICTURE, [{"data": INLINE}], column="image"),
    _media("column Media", [URL], STRINGS, NO_PICTURE, [{"url": URL}], column="Media"),
]  # fmt: skip

IDS = [
    _id("integer", 2**63 - 1, pa.int64(), NOT_A_POST, str(2**63 - 1)),
    _id("unsigned integer", 2**64 - 1, pa.uint64(), NOT_A_POST, str(2**64 - 1)),
    _id("negative integer", -5, pa.int8(), NOT_A_POST, "-5"),
    _id("whole decimal", decimal.Decimal(10) ** 30, pa.decimal128(38, 0), NOT_A_POST, "1" + "0" * 30),
    _id("whole decimal of two places", decimal.Decimal("7.00"), pa.decimal128(9, 2), NOT_A_POST, "7"),
    _id("whole float", 12.0, pa.float64(), NOT_A_POST, "12"),
    _id("UUID", UUID.bytes, pa.uuid(), NOT_A_POST, str(UUID)),
    _id("UUID as 16 bytes", UUID.bytes, pa.binary(16), "read where the bytes happen to be UTF-8, under them", str(UUID)),
    _id("UUID as a string", str(UUID), pa.string(), READ, str(UUID)),
    _id("string as bytes", b"one", pa.binary(), READ, "one"),
    _id("dictionary", "one", pa.dictionary(pa.int8(), pa.string()), READ, "one"),
    _id("dictionary of integers", 5, pa.dictionary(pa.int8(), pa.int64()), NOT_A_POST, "5"),
    _id("large string", "one", pa.large_string(), READ, "one"),
    _id("string view", "one", pa.string_view(), READ, "one"),
    _bad_id("broken decimal", decimal.Decimal("1.5"), pa.decimal128(9, 2), NOT_A_POST, "id: 1.50 is no whole number"),
    _bad_id("broken float", 1.5, pa.float64(), NOT_A_POST, "id: 1.5 is no whole number"),
    _bad_id("float beyond its digits", 2.0**60, pa.float64(), NOT_A_POST, "has lost digits: write ids as integers"),
    _bad_id("truth", True, pa.bool_(), NOT_A_POST, "id: bool names no post"),  # noqa: FBT003
    _bad_id("list", ["1"], STRINGS, NOT_A_POST, "id: list names no post"),
    _bad_id("bytes that are no text", b"\xff\xfe", pa.binary(), NOT_A_POST, "id: 'utf-8'"),
    Odd("column Id", lambda: {"id": None, "Id": pa.array([1])}, NO_TABLE, {}),
]  # fmt: skip


NOW = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - tables know times without a zone
FIELDS = [
    _field("seconds", "created_at", lambda: pa.array([NOW], pa.timestamp("s")), READ, "2026-01-02T03:04:05Z"),
    _field("nanoseconds of a zone", "created_at", lambda: pa.array([NOW], pa.timestamp("ns", "Asia/Tokyo")), READ, "2026-01-02T03:04:05Z"),
    _field("dictionary of times", "created_at", lambda: pa.array([NOW]).dictionary_encode(), READ, "2026-01-02T03:04:05Z"),
    _field("a day", "created_at", lambda: pa.array([date(2026, 1, 2)], pa.date64()), READ, "2026-01-02T00:00:00Z"),
    _field("year 12,000", "created_at", lambda: pa.array([316_000_000_000], pa.timestamp("s")), NOT_A_POST, None),
    _field("year 300,000", "created_at", lambda: pa.array([9_400_000_000_000], pa.timestamp("s")), NOT_A_POST, None),
    _field("no time", "created_at", lambda: pa.array([None], pa.timestamp("us")), READ, None),
    _field("time of day", "created_at", lambda: pa.array([time(3, 4)], pa.time32("s")), NOT_A_POST, "03:04:00"),
    _field("author as integer", "author_id", lambda: pa.array([7]), READ, "7"),
    _field("author as float", "author_id", lambda: pa.array([7.0]), READ, "7"),
    _field("author as truth", "author_id", lambda: pa.array([True]), READ, None),
    _field("community as bytes that are no text", "community", lambda: pa.array([b"\xff"]), NOT_A_POST, "\ufffd"),
    _field("language not a number", "language", lambda: pa.array([float("nan")]), READ, None),
    _field("text as bytes that are no text", "text", lambda: pa.array([b"caf\xe9"]), NOT_A_POST, "caf\ufffd"),
    _field("text that is no UTF-8", "text", lambda: pa.array([b"caf\xe9"]).view(pa.string()), NOT_A_POST, "caf\ufffd"),
    _field("text as integer", "text", lambda: pa.array([2026]), NOT_A_POST, "2026"),
    _field("text as string view", "text", lambda: pa.array(["x"], pa.string_view()), READ, "x"),
    _field("text as dictionary", "text", lambda: pa.array(["x"]).dictionary_encode(), READ, "x"),
]  # fmt: skip
