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
