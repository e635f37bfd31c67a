"""The command over archives: every form in, every form out, killed and gone on with."""

import base64
import gzip
import json
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import parquet

from mmorient.archive import parquet_output
from mmorient.archive.label_table import label_line
from tests.mmorient.archive.archives import command, write_lines, write_parquet
from tests.mmorient.conftest import Run, encode
from tests.tiers import rest_soaks

RED = encode(Image.new("RGB", (30, 20), "red"), "PNG")
INLINE = base64.b64encode(RED).decode()
MIXED = [
    {"id": "text", "text": "oh great, another monday"},
    {"id": "path", "media": [{"path": "a.png"}]},
    {"id": "data", "text": "look", "media": [{"data": INLINE}, {"url": "http://x.y/z"}]},
]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The same posts as lines, compressed lines and a table, each beside its picture; some lines are none."""
    folder = tmp_path / "in"
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.png").write_bytes(RED)
    write_lines(folder / "a" / "1.jsonl", [*MIXED, b"not json"])
    write_lines(folder / "b" / "2.jsonl.gz", [b'{"text": "no id"}', *MIXED])
    write_parquet(folder / "c" / "3.parquet", [*MIXED, {"id": "nothing", "text": " "}], rows=2)
    return folder


def test_a_folder_of_everything(run: Run, archive: Path, untrained: Path, tmp_path: Path) -> None:
    """Every form of a post gets the same labels, in the order of the files; refusals are named by file and number."""
    ran = run("label", archive, "--checkpoint", untrained)
    lines = ran.out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["text", "path", "data"] * 3
    assert lines[:3] == lines[3:6] == lines[6:]
    refused = ran.err.splitlines()
    assert [line.split(": ")[1] for line in refused[:3]] == [
        f"{archive}/a/1.jsonl:4",
        f"{archive}/b/2.jsonl.gz:1",
        f"{archive}/c/3.parquet:4",
    ]
    assert refused[3] == "mmorient: 3 lines were not posts"
    assert ran.code == 1
    for name in ("out.jsonl", "out.parquet", "parts/"):
        written = run("label", archive, "--checkpoint", untrained, "--output", f"{tmp_path}/{name}")
        assert (written.code, written.out) == (1, "")
        assert written.err.splitlines()[:3] == refused[:3]
        assert "9 posts labelled" in written.err
    assert (tmp_path / "out.jsonl").read_text() == ran.out
    for name in ("out.parquet", "parts"):
        assert [label_line(row) for row in parquet.read_table(tmp_path / name).to_pylist()] == lines


def test_thresholds_are_on_the_lines(run: Run, tmp_path: Path, untrained: Path) -> None:
    """Of their tasks alone, as JSON lines and as Parquet; a run with others does not go on with them."""
    source = tmp_path / "posts.jsonl"
    write_lines(source, [{"id": "a", "text": "what a lovely day"}])
    chosen = ("--threshold", "sarcasm=0.0001", "--threshold", "offensiveness=0.9999")
    arguments = ("label", source, "--checkpoint", untrained)
    lines = run(*arguments, *chosen).out.splitlines()
    labels = json.loads(lines[0])["labels"]
    assert {task: one["threshold"] for task, one in labels.items() if "threshold" in one} == {
        "sarcasm": 0.0001,
        "offensiveness": 0.9999,
    }
    assert (labels["sarcasm"]["label"], labels["offensiveness"]["label"]) == ("sarcastic", "not_offensive")
    assert run(*arguments, *chosen, "--output", tmp_path / "out.parquet").code == 0
    table = parquet.read_table(tmp_path / "out.parquet")
    assert [label_line(row) for row in table.to_pylist()] == lines
    ran = run(*arguments, "--threshold", "sarcasm=0.2", "--output", tmp_path / "out.parquet", "--resume")
    assert ran.code == 2
    assert "was begun with thresholds sarcasm=0.0001 offensiveness=0.9999, not sarcasm=0.2" in ran.err


def test_an_output_among_the_inputs(run: Run, archive: Path, untrained: Path) -> None:
    """Is not read, neither at first nor when a finished run is asked to go on."""
    out = archive / "labels.jsonl"
    arguments = ("label", archive, f"{archive}/*.jsonl", archive / "a" / "1.jsonl", "--checkpoint", untrained)
    assert run("label", f"{archive}/*.jsonl", "--output", out).code == 2
    assert run(*arguments[:2], "--checkpoint", untrained, "--output", out).code == 1
    labels = out.read_text()
    again = run(*arguments[:2], "--checkpoint", untrained, "--output", out, "--resume")
    assert "complete already, 9 posts labelled" in again.err
    assert again.code == 1, "the refused lines of the run that was complete count"
    assert out.read_text() == labels


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in", "--output", "there.jsonl"], "there.jsonl: is there already; --resume goes on with it, --overwrite"),
        (["in", "--output", "there.jsonl", "--resume"], "no there.jsonl.state.json beside it"),
        (["in", "--output", "none/x.jsonl"], "none: no such folder"),
        (["in", "--output", "in"], "in: is a folder"),
        (["in", "--output", "there.jsonl/"], "is a file, not a folder"),
        (["in", "--output", "x.jsonl.gz"], "labels are written as"),
        (["in", "--resume"], "need an --output"),
        (["in", "--output", "x", "--resume", "--overwrite"], "not both"),
        (["-", "--output", "x", "--resume"], "standard input cannot be read twice"),
        (["-", "--ray", "2"], "standard input cannot be read twice"),
        (["in", "--ray", "2", "--device", "auto"], "cpu or cuda, not auto"),
        (["in", "--ray", "0"], "0"),
        (["there.jsonl", "--output", "there.jsonl"], "read and written at once"),
        (["in", "--threshold", "sentiment=0.5"], "tasks that can have one are humour, sarcasm"),
        (["in", "--threshold", "sarcasm=1"], "1 is not between 0 and 1"),
        (["in", "--threshold", "sarcasm"], "'sarcasm' is not TASK=NUMBER"),
        (["in/*.csv"], "matches no file"),
        (["bad.parquet"], "cannot be read as Parquet"),
    ],
)
def test_wrong_usage_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """Exit code 2, before anything is loaded or written."""
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "in" / "a.jsonl", MIXED)
    (tmp_path / "there.jsonl").write_text("mine\n")
    (tmp_path / "bad.parquet").write_text("mine\n")
    before = sorted(tmp_path.rglob("*"))
    ran = run("label", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "absent", "said"),
    [
        (["a.parquet"], "pyarrow", "a.parquet: Parquet needs pyarrow: pip install 'mm-orient-moderation[archives]'"),
        (["a.jsonl", "--output", "x.parquet"], "pyarrow", "pip install 'mm-orient-moderation[archives]'"),
        (["a.jsonl", "--ray", "2"], "ray", "--ray needs ray: pip install 'mm-orient-moderation[ray]'"),
    ],
)
def test_a_missing_extra_is_named(tmp_path: Path, arguments: list[str], absent: str, said: str) -> None:
    """In one line, with exit code 2; JSON lines need none."""
    write_lines(tmp_path / "a.jsonl", MIXED)
    write_parquet(tmp_path / "a.parquet", MIXED)
    without = command(f"sys.modules[{absent!r}] = None", ["label", *arguments])
    ran = subprocess.run(without, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_file_that_breaks_off_ends_the_run(run: Run, tmp_path: Path, untrained: Path) -> None:
    """In one line that names it; what came before is written."""
    path = write_lines(tmp_path / "a.jsonl.gz", [{"id": str(number), "text": f"{number}"} for number in range(200)])
    path.write_bytes(path.read_bytes()[:-30])
    ran = run("label", path, "--checkpoint", untrained)
    assert ran.code == 1
    assert len(ran.out.splitlines()) >= 64
    assert len(ran.err.splitlines()) == 1
    assert f"{path}: cannot be read" in ran.err


@pytest.mark.parametrize("name", rest_soaks(["out.jsonl", "out.parquet"], {"out.jsonl"}))
def test_a_killed_run_goes_on_to_the_same_bytes(
    run: Run, tmp_path: Path, untrained: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """kill -9 once a state of an unfinished run is there, then --resume; with lines, an array and a table."""
    for number in range(2):
        posts = [{"id": f"{number}-{one}", "text": f"number {one} of {number}"} for one in range(250)]
        if name.endswith(".parquet"):
            write_lines(tmp_path / "in" / f"{number}.jsonl", [*posts, b"not json"])
        elif number:
            (tmp_path / "in" / "b.json.gz").write_bytes(gzip.compress(json.dumps([*posts, {}], indent=1).encode()))
        else:
            (tmp_path / "in").mkdir()
            rows = [f"{post['id']};{post['text']}" for post in posts]
            (tmp_path / "in" / "a.csv").write_bytes("\n".join(["id;text", *rows, "too;many;cells"]).encode("utf-16"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parquet_output, "_PART_ROWS", 64)
    arguments = ["label", "in/*", "--checkpoint", str(untrained), "--output"]
    assert run(*arguments, f"whole-{name}").code == 1
    # A state with every chunk, so that the kill does not have to wait for one.
    often = (
        "from mmorient.archive import parquet_output, writing;parquet_output._PART_ROWS = 64; writing._KEEP_SECONDS = 0"
    )
    state = Path(f"{name}.state.json")
    process = subprocess.Popen(command(often, [*arguments, name]), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (state.exists() and json.loads(state.read_text())["posts"]):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not json.loads(state.read_text())["finished"]
    ran = run(*arguments, name, "--resume")
    assert ran.code == 1
    assert "mmorient: 2 lines were not posts" in ran.err
    assert Path(name).read_bytes() == Path(f"whole-{name}").read_bytes()
    assert not Path("out.parquet.parts").exists()


def test_a_folder_of_a_lake_of_files(run: Run, tmp_path: Path, untrained: Path) -> None:
    """What is empty is said, what marks other files is not read, and refusals of a kind are counted after five."""
    folder = tmp_path / "day=1"
    write_lines(
        folder / "a.ndjson", [{"id": "1", "text": "a"}, *(f"no post {number}".encode() for number in range(20))]
    )
    (folder / "b.json").write_text(json.dumps([{"id": "2", "text": "b"}, {"text": "no id"}], indent=2))
    write_lines(folder / "_c.jsonl", [{"id": "3", "text": "c"}])
    (folder / "d.parquet").touch()
    ran = run("label", tmp_path, "--checkpoint", untrained)
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == ["1", "2"]
    assert ran.code == 1
    said = [line.replace(str(folder), "") for line in ran.err.splitlines()]
    assert said[0] == "mmorient: /d.parquet: is empty, passed over"
    assert [line.split(": ")[1] for line in said[1:7]] == [*(f"/a.ndjson:{line}" for line in range(2, 7)), "/b.json:2"]
    assert said[7].startswith("mmorient: 15 more rows like /a.ndjson:2: ")
    assert said[8:] == ["mmorient: 21 lines were not posts"]
