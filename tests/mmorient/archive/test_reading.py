"""Rows of archives: the same posts in every form, from any place on, in little memory."""

import base64
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mmorient.archive import reading
from mmorient.archive.reading import Place, Row, chunks, open_archive
from mmorient.errors import ArchiveError, ArchiveUsageError
from mmorient.files import json_lines, json_rows
from tests.mmorient.archive.archives import memory_of_reading, write_lines, write_parquet

PICTURE = bytes(range(256))
POSTS = [
    {"id": f"p-{number}", "text": f"grüße, \u2028number {number}"}
    | ({"media": [{"data": base64.b64encode(PICTURE).decode(), "ocr_text": "X"}, {"path": "a"}]} if number % 3 else {})
    for number in range(40)
]


@pytest.fixture(params=["posts.jsonl", "posts.jsonl.gz", "posts.jsonl.zst", "posts.parquet"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> reading.Archive:
    """The same posts in every form."""
    path = tmp_path / request.param
    write_parquet(path, POSTS) if path.suffix == ".parquet" else write_lines(path, POSTS)
    return open_archive([str(path)])


def test_every_form_holds_the_same_posts(archive: reading.Archive) -> None:
    """A picture's bytes in a table are base64 in JSON, and what is null is left out."""
    rows = list(archive.rows())
    assert [json.loads(row.value) for row in rows] == POSTS
    assert [row.number for row in rows] == list(range(1, 41))
    assert archive.name(rows[16]).endswith(":17")
    assert archive.read_bytes(rows[-1]) == archive.bytes


def test_reading_on_at_any_place_gives_the_rest(archive: reading.Archive) -> None:
    """Row groups and lines before it are passed over."""
    whole = list(archive.rows())
    for place in (0, 1, 6, 7, 8, 20, 39, 40, 50):
        assert [row.number for row in archive.rows(Place(0, place))] == [row.number for row in whole[place:]]
    assert list(archive.rows(Place(1, 0))) == []


def test_blank_lines_count_and_are_passed_over(tmp_path: Path) -> None:
    """A line keeps its number, and its line end."""
    archive = open_archive([str(write_lines(tmp_path / "a.jsonl", [b"", b"1", b"  ", b"2\r"]))])
    assert [(row.number, row.value) for row in archive.rows()] == [(2, b"1\n"), (4, b"2\r\n")]


def test_a_line_without_end_is_refused_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those around it are read."""
    monkeypatch.setattr(json_rows, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(json_lines, "BUFFER_BYTES", 100)
    archive = open_archive([str(write_lines(tmp_path / "a.jsonl", [b"x" * 1000, b"1", b"y" * 5000, b"2"]))])
    rows = [(row.number, row.value, row.refused is not None) for row in archive.rows()]
    assert rows == [(1, b"", True), (2, b"1\n", False), (3, b"", True), (4, b"2\n", False)]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    """What can be read of it comes first."""
    path = write_lines(tmp_path / name, [{"id": str(number)} for number in range(100_000)])
    path.write_bytes(path.read_bytes()[:-50])
    rows: list[int] = []
    with pytest.raises(ArchiveError, match=name):
        rows.extend(row.number for row in open_archive([str(path)]).rows())
    assert len(rows) > 1000


def test_a_damaged_table_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """As is one without ids."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1 this is none")
    with pytest.raises(ArchiveUsageError, match=r"a\.parquet: cannot be read as Parquet"):
        open_archive([str(tmp_path)])
    write_parquet(tmp_path / "a.parquet", [{"text": "x"}])
    with pytest.raises(ArchiveUsageError, match="no column 'id'"):
        open_archive([str(tmp_path)])


def test_columns_of_other_types_become_a_posts(tmp_path: Path) -> None:
    """Times of any unit and zone are written in UTC, binary strings are read as UTF-8, other columns are left."""
    when = datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)
    table = pa.table(
        {
            "id": pa.array([b"one", b"\xff"]),
            "created_at": pa.array([when, when], pa.timestamp("ns", "UTC")),
            "text": pa.array(["a", "b"]).dictionary_encode(),
            "author_id": pa.array([None, 5]),
            "community": pa.array(["x", None], pa.large_string()),
            "thumbnail": [b"\xff", b"\xff"],
            "shard": [1, 2],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    good, bad = open_archive([str(tmp_path)], columns=["shard"]).rows()
    assert json.loads(good.value) == {
        "id": "one",
        "created_at": "2026-11-20T12:00:00.123456Z",
        "community": "x",
        "text": "a",
        "shard": 1,
    }
    assert bad.refused is not None
    assert "utf-8" in bad.refused


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        (pa.timestamp("ms"), datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05Z"),  # noqa: DTZ001 - a naive one
        (
            pa.timestamp("s", "+02:00"),
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-02T01:04:05Z",
        ),
        (pa.date32(), date(2026, 1, 2), "2026-01-02T00:00:00Z"),
        (pa.string(), "2026-01-02", "2026-01-02"),
    ],
)
def test_times(tmp_path: Path, kind: pa.DataType, value: object, written: str) -> None:
    """A time without a zone is UTC; a string stays as it is."""
    parquet.write_table(pa.table({"id": ["1"], "created_at": pa.array([value], kind)}), tmp_path / "a.parquet")
    [row] = open_archive([str(tmp_path)]).rows()
    assert json.loads(row.value)["created_at"] == written


def test_chunks_are_bounded_by_rows_bytes_and_files() -> None:
    """And go on from the end of any of them to the same ones."""
    sizes = [10, 10, 10, 95, 50, 60, 300, 10, 10, 10, 10]
    rows = [Row(0, number, b"x" * size, 0) for number, size in enumerate(sizes, 1)]
    rows += [Row(1, number, b"x", 0) for number in range(1, 3)]
    cut = [[(row.file, row.number) for row in chunk] for chunk in chunks(rows, max_rows=3, max_bytes=100)]
    ends = [[number for _, number in chunk] for chunk in cut]
    assert ends == [[1, 2, 3], [4], [5], [6], [7], [8, 9, 10], [11], [1, 2]]
    done = 0
    for index, chunk in enumerate(cut):
        done += len(chunk)
        rest = [[(row.file, row.number) for row in one] for one in chunks(rows[done:], max_rows=3, max_bytes=100)]
        assert rest == cut[index + 1 :]


@pytest.mark.slow
def test_a_table_of_one_row_group_is_read_in_little_memory(tmp_path: Path) -> None:
    """120 MB of pictures take a few of them above an idle process."""
    make = (
        "import os, pyarrow as pa; from pyarrow import parquet;"
        "media = pa.array([[{'data': os.urandom(2_000_000)}] for _ in range(60)]);"
        "table = pa.table({'id': [str(n) for n in range(60)], 'media': media});"
        "parquet.write_table(table, 'a.parquet', write_batch_size=1, use_dictionary=False)"
    )
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True)
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 1
    count, megabytes = memory_of_reading("a.parquet", tmp_path)
    assert count == 60
    assert megabytes < 60
