"""Every odd table and file: read as its row says, from any place on, and labelled with its pictures."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mmorient.archive.reading import Archive, Row, open_archive
from mmorient.errors import ArchiveUsageError
from mmorient.input.post_json import read_line
from tests.mmorient.archive.archives import memory_of_reading
from tests.mmorient.archive.odd_files import ARRAY, FILES, NOT_READ, POSTS, OddFile
from tests.mmorient.archive.odd_tables import FIELDS, IDS, MEDIA, RED, Odd


@pytest.mark.parametrize("odd", [*MEDIA, *IDS, *FIELDS], ids=lambda odd: odd.name)
def test_a_row_of_any_types_is_a_post(tmp_path: Path, odd: Odd) -> None:
    """With what can be read of it; an id that names no one post costs its own row."""
    [row] = open_archive([str(odd.write(tmp_path / "a.parquet"))]).rows()
    if isinstance(odd.now, str):
        assert row.refused is not None
        assert odd.now in row.refused
    else:
        assert row.refused is None
        assert json.loads(row.value) == odd.row


@pytest.mark.parametrize(
    "odd", [odd for odd in MEDIA if isinstance(odd.now, dict) and "data" in str(odd.now)], ids=lambda odd: odd.name
)
def test_a_picture_in_any_shape_is_labelled(tmp_path: Path, odd: Odd) -> None:
    """The reader of posts decodes it."""
    [row] = open_archive([str(odd.write(tmp_path / "a.parquet"))]).rows()
    read = read_line(row.value, tmp_path)
    assert len(read.post.pictures) == 1
    assert (read.post.pictures[0].width, read.unavailable) == (30, ())


def said(row: Row) -> object:
    """The post, or why there is none."""
    if row.refused is not None:
        return row.refused
    try:
        return json.loads(row.value)
    except ValueError:
        return row.value


@pytest.mark.parametrize("odd", FILES, ids=lambda odd: odd.name)
def test_a_file_of_any_layout_is_read(tmp_path: Path, odd: OddFile) -> None:
    """Its bad rows are refused one by one; reading on at any of them gives the rest."""
    archive = open_archive([str(odd.write(tmp_path))])
    rows = list(archive.rows())
    assert [row.number for row in rows] == [number for number, _ in odd.now]
    for row, (_, now) in zip(rows, odd.now, strict=True):
        assert now in said(row) if row.refused is not None else said(row) == now  # type: ignore[operator]
    for index, row in enumerate(rows):
        assert list(archive.rows(row.end)) == rows[index + 1 :]


@pytest.mark.parametrize(("name", "content", "wrong"), NOT_READ, ids=[name for name, _, _ in NOT_READ])
def test_a_file_that_is_none_is_named_before_anything_starts(
    tmp_path: Path, name: str, content: bytes, wrong: str
) -> None:
    """With the likely cause."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArchiveUsageError) as refused:
        open_archive([str(tmp_path / name)])
    assert wrong in str(refused.value)


def test_empty_files_bring_nothing(tmp_path: Path) -> None:
    """Whatever their names; the archive names them."""
    for name in ("a.jsonl", "b.parquet", "c.json.gz"):
        (tmp_path / name).touch()
    (tmp_path / "d.jsonl").write_text(json.dumps(POSTS[0]))
    archive = open_archive([str(tmp_path)])
    assert archive.empty == [str(tmp_path / name) for name in ("a.jsonl", "b.parquet", "c.json.gz")]
    assert [(row.file, row.number) for row in archive.rows()] == [(3, 1)]
    (tmp_path / "e.csv").touch()
    assert open_archive([str(tmp_path / "e.csv")]).empty


def partitioned(folder: Path) -> Archive:
    """A table laid out as Hive does, in three formats."""
    for place, name in (("community=a%20b/language=de", "a.parquet"), ("community=x/language=en", "b.jsonl")):
        (folder / place).mkdir(parents=True)
        if name == "a.parquet":
            parquet.write_table(pa.table({"id": ["1"], "text": ["x"], "language": ["fr"]}), folder / place / name)
        else:
            lines = [
                '{"id": "2"}',
                '{ "id": "3", "language": "fr"}',
                '{"id": "4", "text": "the \\"language\\""}',
                "{}",
                "[]",
            ]
            (folder / place / name).write_text("\n".join(lines))
    none = folder / "community=__HIVE_DEFAULT_PARTITION__"
    none.mkdir()
    (none / "c.csv").write_text("id,text\n5,x\n")
    return open_archive([str(folder), str(none / "c.csv")])


def test_folders_of_partitions_are_columns(tmp_path: Path) -> None:
    """A file's own column wins, also where a row has none; what is no column of a post is left."""
    rows = [said(row) for row in partitioned(tmp_path / "day=1").rows()]
    assert rows == [
        {"id": "1", "text": "x", "community": "a b", "language": "fr"},
        {"id": "2", "community": "x", "language": "en"},
        {"id": "3", "community": "x", "language": "fr"},
        {"id": "4", "text": 'the "language"', "community": "x", "language": "en"},
        {"community": "x", "language": "en"},
        [],
        {"id": "5", "text": "x"},
    ]


def test_a_key_may_be_a_partitions(tmp_path: Path) -> None:
    """It is read as any other column that is asked for."""
    (tmp_path / "shard=7").mkdir()
    parquet.write_table(pa.table({"id": [1]}), tmp_path / "shard=7" / "a.parquet")
    [row] = open_archive([str(tmp_path)], columns=["shard"]).rows()
    assert said(row) == {"id": "1", "shard": "7"}


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Nobody knows which is meant."""
    table = pa.table([pa.array(["1"]), pa.array(["a"]), pa.array(["b"])], names=["id", "text", "text"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ArchiveUsageError, match="column 'text' stands 2 times"):
        open_archive([str(tmp_path)])


def test_columns_that_are_not_asked_for_are_not_read(tmp_path: Path) -> None:
    """Whoever needs no pictures reads none."""
    parquet.write_table(pa.table({"id": ["1"], "text": ["x"], "media": [RED]}), tmp_path / "a.parquet")
    [row] = open_archive([str(tmp_path)], fields=("id", "text")).rows()
    assert said(row) == {"id": "1", "text": "x"}


@pytest.mark.slow
def test_an_array_of_any_length_is_read_in_little_memory(tmp_path: Path) -> None:
    """200 MB of posts in one line take some megabytes above an idle process."""
    post = json.dumps({"id": "1", "text": "x" * 20_000})
    with (tmp_path / "a.json").open("w") as file:
        file.write("[" + post)
        for _ in range(10_000):
            file.write("," + post)
        file.write("]")
    count, megabytes = memory_of_reading("a.json", tmp_path)
    assert count == 10_001
    assert megabytes < 30


def test_every_split_of_an_array_gives_the_same_posts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few bytes come at once."""
    path = tmp_path / "a.json"
    path.write_text(ARRAY)
    for size in (2, 3, 7):
        monkeypatch.setattr("mmorient.files.opening.BUFFER_BYTES", size)
        monkeypatch.setattr("mmorient.files.json_values.BUFFER_BYTES", size)
        assert [said(row) for row in open_archive([str(path)]).rows()] == POSTS
