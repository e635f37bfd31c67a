"""Files, folders and globs as a person names them."""

from pathlib import Path

import pytest

from mmorient.errors import ArchiveUsageError
from mmorient.files.paths import find_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with archives at two depths, and other files."""
    for name in ("b.jsonl", "a.parquet", "deep/c.jsonl.gz", "deep/d.jsonl.zst", "deep/e.csv", "readme.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_its_archives_at_any_depth_sorted(folder: Path) -> None:
    """Other files in it are none of them."""
    found = [str(path.relative_to(folder)) for path in find_files([str(folder)])]
    assert found == ["a.parquet", "b.jsonl", "deep/c.jsonl.gz", "deep/d.jsonl.zst"]


def test_names_keep_their_order_and_bring_a_file_once(folder: Path) -> None:
    """Globs are sorted, `**` reaches any depth, and a file that is named itself may have any ending."""
    names = [str(folder / name) for name in ("readme.txt", "*.jsonl", "**/*.gz", ".", "b.jsonl")]
    found = [path.name for path in find_files(names)]
    assert found == ["readme.txt", "b.jsonl", "c.jsonl.gz", "a.parquet", "d.jsonl.zst"]


def test_standard_input_is_no_file() -> None:
    """It is passed on as it is written."""
    assert find_files(["-"]) == [Path("-")]


def test_the_output_is_not_found_among_the_inputs(folder: Path) -> None:
    """Neither a file nor what lies in a folder of parts, by folder or by glob; named itself it is refused."""
    out = folder / "b.jsonl"
    assert out not in find_files([str(folder), str(folder / "*")], leave_out=[out])
    deep = [path.name for path in find_files([str(folder)], leave_out=[folder / "deep"])]
    assert deep == ["a.parquet", "b.jsonl"]
    with pytest.raises(ArchiveUsageError, match="at once"):
        find_files([str(out)], leave_out=[out])


@pytest.mark.parametrize(
    ("name", "said"), [("none.jsonl", "no such file"), ("*.none", "matches no file"), ("empty", "in this folder")]
)
def test_what_brings_nothing_is_refused(folder: Path, name: str, said: str) -> None:
    """The message names it."""
    (folder / "empty").mkdir()
    with pytest.raises(ArchiveUsageError, match=said) as refused:
        find_files([str(folder / name)])
    assert name in str(refused.value)


def touched(folder: Path, *names: str) -> None:
    """Make files of no bytes, and the folders that they lie in."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found_in(folder: Path, *names: str) -> list[str]:
    """What names in a folder bring, relative to it."""
    return [str(path.relative_to(folder)) for path in find_files([str(folder / name) for name in names])]


def test_every_form_is_found_in_a_folder(tmp_path: Path) -> None:
    """Compressed or not, in any case; tables of CSV only where they are named."""
    names = [
        "a.JSONL",
        "b.ndjson",
        "c.json",
        "d.json.gz",
        "e.ndjson.zst",
        "f.jsonl.bz2",
        "g.json.xz",
        "h.Parquet",
        "i.pq",
    ]
    touched(tmp_path, *names, "labels.csv", "j.txt", "old.jsonl.state.json")
    assert found_in(tmp_path, "") == names
    assert found_in(tmp_path, "*.csv") == ["labels.csv"]


def test_what_marks_other_files_is_passed_over(tmp_path: Path) -> None:
    """As Spark and Hive do, in folders and globs; a partition's folder is no mark, and a name of one's own is taken."""
    touched(tmp_path, "part-0.json", ".part-0.json.crc", "._part-0.json", "_SUCCESS", "_meta.json", ".hidden/a.json")
    touched(tmp_path, "_temporary/0/b.json", "_day=1/c.json")
    everywhere = ["_day=1/c.json", "part-0.json"]
    assert found_in(tmp_path, "") == everywhere
    assert found_in(tmp_path, "*.json") == ["part-0.json"]
    assert found_in(tmp_path, "**/*.json") == everywhere
    assert found_in(tmp_path, "_*.json") == ["_meta.json"]
    assert found_in(tmp_path, "_temporary", "_meta.json") == ["_temporary/0/b.json", "_meta.json"]


@pytest.mark.parametrize(
    ("mark", "kind", "how"),
    [
        ("_delta_log/00000000000000000000.json", "Delta Lake (_delta_log)", "delta_scan"),
        ("metadata/v1.metadata.json", "Iceberg (metadata/*.metadata.json)", "iceberg_scan"),
        ("metadata/00001-a.gz.metadata.json", "Iceberg (metadata/*.metadata.json)", "iceberg_scan"),
        ("metadata/version-hint.text", "Iceberg", "iceberg_scan"),
        (".hoodie/hoodie.properties", "Hudi (.hoodie)", "format('hudi').load"),
    ],
)
def test_a_table_of_a_lake_is_named(tmp_path: Path, mark: str, kind: str, how: str) -> None:
    """Its files hold rows that are deleted: from above, from within and by a glob; one file may be meant as such."""
    touched(tmp_path, f"lake/posts/{mark}", "lake/posts/data/day=1/a.parquet")
    for name in ("lake", "lake/posts", "lake/posts/data", "lake/posts/data/day=1", "lake/posts/data/*/*.parquet", "*"):
        with pytest.raises(ArchiveUsageError) as refused:
            found_in(tmp_path, name)
        assert f"is a table of {kind}" in str(refused.value)
        assert f"{how}('{tmp_path}/lake/posts')" in str(refused.value)
    assert found_in(tmp_path, "lake/posts/data/day=1/a.parquet")


def test_a_folder_of_other_files_says_what_it_holds(tmp_path: Path) -> None:
    """So that nobody has to guess what was looked for."""
    touched(tmp_path, "avro/a.avro", "avro/b.avro", "avro/c.orc", "csv/a.csv")
    with pytest.raises(ArchiveUsageError, match=r"it holds 2 \*\.avro, 1 \*\.orc"):
        found_in(tmp_path, "avro")
    with pytest.raises(ArchiveUsageError, match=r"only tables of CSV in this folder: name them .*/csv/\*\.csv"):
        found_in(tmp_path, "csv")
