"""Files as other people's writers made them: what came out before, and what comes out now.

`before` is what `mmorient label FILE` of the commit before said.
"""

# ruff: noqa: E501 - a table is read by its rows

import bz2
import gzip
import json
import lzma
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

POSTS = [{"id": "1", "text": "grüße"}, {"id": "2", "text": 'a ] } " { [ \\', "media": [{"url": "http://x.y/z"}]}]
LINES = "".join(json.dumps(post, ensure_ascii=False) + "\n" for post in POSTS)
ARRAY = json.dumps(POSTS, ensure_ascii=False)
PRETTY = json.dumps(POSTS, ensure_ascii=False, indent=2)
OBJECTS = "\n".join(json.dumps(post, ensure_ascii=False, indent=2) for post in POSTS)
CSV = 'id,text,media\n1,grüße,\n2,"a ] } "" { [ \\",http://x.y/z\n'

READ = "read"
NONE = "nothing is read: every line is refused"
BOTH = [(1, POSTS[0]), (2, POSTS[1])]
ROWS = [(2, POSTS[0]), (3, POSTS[1])]


@dataclass(frozen=True)
class OddFile:
    """One file.

    Args:
        name: of it.
        content: of it.
        before: what came out.
        now: the rows' numbers, each with its post, or what is in its refusal.
    """

    name: str
    content: bytes
    before: str
    now: list[tuple[int, object]]

    def write(self, folder: Path) -> Path:
        """Make the file."""
        (folder / self.name).write_bytes(self.content)
        return folder / self.name


FILES = [
    OddFile("lines.ndjson", LINES.encode(), READ, BOTH),
    OddFile("lines.ndjson.gz", gzip.compress(LINES.encode()), READ, BOTH),
    OddFile("lines.jsonl.zst", pa.compress(LINES.encode(), codec="zstd", asbytes=True), READ, BOTH),
    OddFile("lines.jsonl.bz2", bz2.compress(LINES.encode()), NONE, BOTH),
    OddFile("lines.jsonl.xz", lzma.compress(LINES.encode()), NONE, BOTH),
    OddFile("packed.jsonl", gzip.compress(LINES.encode()), NONE, BOTH),
    OddFile("UPPER.JSONL.GZ", gzip.compress(LINES.encode()), NONE, BOTH),
    OddFile("lines.json", LINES.encode(), READ, BOTH),
    OddFile("one.json", LINES.splitlines()[0].encode(), READ, BOTH[:1]),
    OddFile("one-pretty.json", OBJECTS.split("\n{")[0].encode(), NONE, BOTH[:1]),
    OddFile("array.json", ARRAY.encode(), NONE, BOTH),
    OddFile("array-pretty.json", PRETTY.encode(), NONE, BOTH),
    OddFile("array-windows.json", PRETTY.replace("\n", "\r\n").encode(), NONE, BOTH),
    OddFile("array.json.gz", gzip.compress(PRETTY.encode()), NONE, BOTH),
    OddFile("array.jsonl", ARRAY.encode(), NONE, BOTH),
    OddFile("array-marked.json", b"\xef\xbb\xbf" + ARRAY.encode(), NONE, BOTH),
    OddFile("array-utf-16.json", ARRAY.encode("utf-16"), NONE, BOTH),
    OddFile("array-utf-16-unmarked.json", ARRAY.encode("utf-16-le"), NONE, BOTH),
    OddFile("array-utf-32.json", ARRAY.encode("utf-32"), NONE, BOTH),
    OddFile("lines-utf-16.jsonl", LINES.encode("utf-16"), NONE, BOTH),
    OddFile("lines-marked.jsonl", b"\xef\xbb\xbf" + LINES.encode(), "the first line is refused", BOTH),
    OddFile("objects.json", OBJECTS.encode(), NONE, BOTH),
    OddFile("empty-array.json", b" [ ]\n", NONE, []),
    OddFile("broken-off.json", ARRAY[:-10].encode(), NONE, [BOTH[0], (2, "the file ends within this post")]),
    OddFile("no-end.json", ARRAY[:-1].encode(), NONE, [*BOTH, (3, "the file ends before its array does")]),
    OddFile("unclosed.json", b'[{"id": "0", ' + ARRAY[1:].encode(), NONE, [(1, b'{"id": "0",'), (2, POSTS[0]), (3, POSTS[1])]),
    OddFile("scalars.json", b'[{}, null, 7, "a, b"]', NONE, [(1, {}), (2, None), (3, 7), (4, "a, b")]),
    OddFile("table.csv", CSV.encode(), NONE, ROWS),
    OddFile("table-marked.csv", b"\xef\xbb\xbf" + CSV.encode(), NONE, ROWS),
    OddFile("table-utf-16.csv", CSV.encode("utf-16"), NONE, ROWS),
    OddFile("table-utf-16-be.csv", b"\xfe\xff" + CSV.encode("utf-16-be"), NONE, ROWS),
    OddFile("table-unmarked.csv", CSV.encode("utf-16-le"), NONE, ROWS),
    OddFile("semicolons.csv", CSV.replace(",", ";").encode(), NONE, ROWS),
    OddFile("tabs.tsv", CSV.replace(",", "\t").encode(), NONE, ROWS),
    OddFile("bars.csv", CSV.replace(",", "|").encode(), NONE, ROWS),
    OddFile("sep.csv", b"sep=;\r\n" + CSV.replace(",", ";").encode(), NONE, [(3, POSTS[0]), (4, POSTS[1])]),
    OddFile("case.csv", CSV.replace("id,text,media", " ID ,Text,MEDIA").encode(), NONE, ROWS),
    OddFile("table.csv.gz", gzip.compress(CSV.encode()), NONE, ROWS),
    OddFile("macintosh.csv", CSV.replace("\n", "\r").encode(), NONE, ROWS),
    OddFile("wide.csv", CSV.replace("\n", ",,\n").encode(), NONE, ROWS),
    OddFile("line-end.csv", b'id,text\n1,"two\nlines"\n2,b\n', NONE, [(2, {"id": "1", "text": "two\nlines"}), (4, {"id": "2", "text": "b"})]),
    OddFile("printed.csv", b"id,text,media\n1,a,\"['a.png', 'b.png']\"\n", NONE, [(2, {"id": "1", "text": "a", "media": [{"path": "a.png"}, {"path": "b.png"}]})]),
    OddFile("commas.csv", b"id,text\n1,a, b\n2,c\n", NONE, [(2, "a text with a ',' in it must stand in quotes"), (3, {"id": "2", "text": "c"})]),
    OddFile("short.csv", b"id,text\n1\n2,c\n", NONE, [(2, "1 cells where the header has 2"), (3, {"id": "2", "text": "c"})]),
    OddFile("quote.csv", b'id,text\n1,"a" b\n2,c\n', NONE, [(2, "a quote within a text is written twice"), (3, {"id": "2", "text": "c"})]),
    OddFile("unclosed.csv", b'id,text\n1,a\n2,"b\n', NONE, [(2, {"id": "1", "text": "a"}), (3, "is never closed")]),
    OddFile("windows-1252.csv", b"id,text\n1,caf\xe9\n2,c\n", NONE, [(2, "old Windows code page"), (3, {"id": "2", "text": "c"})]),
]  # fmt: skip

NOT_READ = [
    ("no-id.csv", b"ID-no;body\n1;x\n", "no-id.csv:1: has no column 'id' (columns: ID-no, body)"),
    ("near.csv", b"idd,text\n1,x\n", "is 'idd' meant for 'id'?"),
    ("one.csv", b"id:text\n1:x\n", "one column, 'id:text': the separator is none of commas, semicolons, tabs, bars"),
    (
        "twice.csv",
        b"id,Text, text \n1,x,y\n",
        "twice.csv:1: column 'text' stands 2 times (cells 2, 3): leave one of them",
    ),
    ("posts.avro", b"Obj\x01\x04\x14avro", "is an Avro file: write its rows as Parquet, CSV or JSON lines"),
    ("posts.orc", b"ORC\x08\x03", "is an ORC file"),
    ("posts.xlsx", b"PK\x03\x04\x14\x00", "is a zip archive or a spreadsheet"),
]
