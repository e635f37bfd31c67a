"""Outputs that were interrupted at every point of their writing, and gone on with."""

import json
import os
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

import pytest
from pyarrow import parquet

from mmorient import TASKS
from mmorient.archive import parquet_output
from mmorient.archive.inputs import Inputs
from mmorient.archive.label_table import label_line
from mmorient.archive.labelling import Labelled
from mmorient.archive.parquet_output import ParquetOutput
from mmorient.archive.reading import Place
from mmorient.archive.resuming import State, StateFile
from mmorient.archive.run import label_to
from mmorient.archive.writing import JsonLinesOutput, Output
from mmorient.errors import ArchiveUsageError
from mmorient.input.post_json import Line, write_line
from mmorient.input.posts import Post
from mmorient.labels import PostLabels, rounded, task_label
from tests.tiers import some_slow

CHUNKS = 12
INPUTS = Inputs(["in.jsonl"], [Path("/in.jsonl")], [7])
FRESH = State(inputs=INPUTS.digest, sizes=[7], model={"checkpoint": "sha256:a", "precision": "fp32"})


class KilledError(BaseException):
    """Nothing catches it."""


def line_of(number: int) -> str:
    """A line of labels that differs from all others."""
    shares = rounded([(number % 97 + 1) / 100, 1 - (number % 97 + 1) / 100])
    logits = [0.0, shares[0] - 0.5]
    answers = {
        task.name: task_label(
            task, logits + [0.0] * (len(task.classes) - 2), [shares[1], 0.1, 0.2] if task.degrees else None
        )
        for task in TASKS.values()
    }
    unavailable = ({"index": 0, "reason": "not_fetched"},) if number % 5 == 0 else ()
    return write_line(Line(f"p-{number} ü", Post("x"), unavailable), PostLabels(answers, ("text",)))


def engine(place: Place) -> Iterator[Labelled]:
    """Chunks of five lines and a refusal."""
    for chunk in range(place.row // 6, CHUNKS):
        lines = tuple(line_of(number) for number in range(chunk * 5, chunk * 5 + 5))
        yield Labelled(Place(0, chunk * 6 + 6), chunk, lines, (f"a:{chunk}: no post",))


LINES = [line_of(number) for number in range(CHUNKS * 5)]


def json_lines(path: Path) -> Output:
    """Keeps a state with every chunk."""
    ticks = iter(range(1_000_000))
    return JsonLinesOutput(path / "out.jsonl", clock=lambda: next(ticks))


def one_table(path: Path) -> Output:
    """Parts become a file."""
    return ParquetOutput(path / "out.parquet", folder=False)


def parts(path: Path) -> Output:
    """Parts are the output."""
    return ParquetOutput(path / "out", folder=True)


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts end after 17 rows, the file's row groups after 35."""
    monkeypatch.setattr(parquet_output, "_PART_ROWS", 17)
    monkeypatch.setattr(parquet_output, "_GROUP_ROWS", 35)


@pytest.mark.parametrize(
    "make", some_slow([json_lines, one_table, parts], {"one_table", "parts"}, attrgetter("__name__"))
)
def test_a_run_that_ends_anywhere_goes_on_to_the_same_bytes(
    make: Callable[[Path], Output], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after every write that is made durable, and every file that is put in its place."""
    whole = tmp_path / "whole"
    whole.mkdir()
    output = make(whole)
    state, _ = label_to(output, StateFile(output.path), engine, FRESH, INPUTS, resume=False, overwrite=False)
    assert (state.posts, state.refused, state.finished) == (CHUNKS * 5, CHUNKS, True)
    real_replace, real_unlink = Path.replace, Path.unlink
    steps = 0
    deadly = -1

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == deadly:
            raise KilledError

    def around(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            step()
            result = real(*arguments)
            step()
            return result

        return call

    monkeypatch.setattr(os, "fsync", around(lambda _: None))
    monkeypatch.setattr(Path, "replace", around(real_replace))
    monkeypatch.setattr(Path, "unlink", around(real_unlink))
    deaths = 0
    while True:
        deaths += 1
        folder = tmp_path / str(deaths)
        folder.mkdir()
        steps, deadly = 0, deaths
        output = make(folder)
        try:
            label_to(output, StateFile(output.path), engine, FRESH, INPUTS, resume=True, overwrite=False)
            died = False
        except KilledError:
            died = True
        steps, deadly = 0, -1
        output = make(folder)
        label_to(output, StateFile(output.path), engine, FRESH, INPUTS, resume=True, overwrite=False)
        assert content(folder) == content(whole), deaths
        if not died:
            break
    assert deaths > 30


def test_a_row_of_the_table_and_a_line_carry_the_same(tmp_path: Path) -> None:
    """As one file, and as parts; the metadata say which model labelled."""
    for make in (one_table, parts):
        output = make(tmp_path)
        label_to(output, StateFile(output.path), engine, FRESH, INPUTS, resume=False, overwrite=False)
    table = parquet.read_table(tmp_path / "out.parquet")
    assert [label_line(row) for row in table.to_pylist()] == LINES
    assert parquet.ParquetFile(tmp_path / "out.parquet").num_row_groups == 2
    assert json.loads(table.schema.metadata[b"mmorient.model"]) == FRESH.model
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"part-{number:05}.parquet" for number in range(3)]
    assert [label_line(row) for row in parquet.read_table(tmp_path / "out").to_pylist()] == LINES
    assert not (tmp_path / "out.parquet.parts").exists()


@pytest.mark.parametrize("make", [json_lines, one_table, parts])
def test_an_archive_without_posts_makes_an_empty_output(make: Callable[[Path], Output], tmp_path: Path) -> None:
    """Which readers can read."""
    output = make(tmp_path)
    label_to(output, StateFile(output.path), lambda _: iter(()), FRESH, INPUTS, resume=False, overwrite=False)
    if output.path.suffix == ".jsonl":
        assert output.path.read_bytes() == b""
    else:
        table = parquet.read_table(output.path)
        assert (len(table), table.column_names) == (0, ["id", "labels", "modalities", "unavailable", "model"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {**FRESH.model, "checkpoint": "sha256:b"}}, "checkpoint sha256:a, not sha256:b"),
        ({"model": {**FRESH.model, "precision": "bf16"}}, "precision fp32, not bf16"),
        ({"model": {**FRESH.model, "thresholds": "sarcasm=0.7"}}, "thresholds none, not sarcasm=0.7"),
    ],
)
def test_what_would_give_other_bytes_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    """Other inputs, another checkpoint, another precision; the output stays as it is."""
    output = json_lines(tmp_path)
    label_to(output, StateFile(output.path), engine, FRESH, INPUTS, resume=False, overwrite=False)
    before = content(tmp_path)
    other = FRESH.model_copy(update=change)
    with pytest.raises(ArchiveUsageError, match=said):
        label_to(json_lines(tmp_path), StateFile(output.path), engine, other, INPUTS, resume=True, overwrite=False)
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("names", "sizes", "said"),
    [
        (["in.jsonl"], [9], "in.jsonl had 7 bytes, it has 9"),
        (["in.jsonl", "more.jsonl"], [7, 1], "1 files then, 2 now"),
        (["other.jsonl"], [7], "they have other names"),
    ],
)
def test_other_inputs_are_refused_with_what_differs(
    tmp_path: Path, names: list[str], sizes: list[int], said: str
) -> None:
    """A file that has grown, another one, one more: the output stays as it is."""
    output = json_lines(tmp_path)
    label_to(output, StateFile(output.path), engine, FRESH, INPUTS, resume=False, overwrite=False)
    before = content(tmp_path)
    other = Inputs(names, [Path("/", name) for name in names], sizes)
    with pytest.raises(ArchiveUsageError, match=said):
        label_to(json_lines(tmp_path), StateFile(output.path), engine, FRESH, other, resume=True, overwrite=False)
    assert content(tmp_path) == before


def test_inputs_of_the_same_size_with_another_content_differ(tmp_path: Path) -> None:
    """What a file begins and ends with counts, and what an earlier version did not note is not held against it."""
    file = tmp_path / "a.jsonl"
    file.write_text("old")
    old = Inputs(["a.jsonl"], [file], [3])
    said = (old.digest, old.contents, old.said_sizes)
    assert Inputs(["a.jsonl"], [file], [3]).difference(*said) is None
    file.write_text("new")
    assert Inputs(["a.jsonl"], [file], [3]).difference(*said) == "what stands in them differs"
    assert Inputs(["a.jsonl"], [file], [3]).difference(old.digest) is None
    assert Inputs(["a.jsonl"], [file], [4]).difference(old.digest) == "names or sizes differ"


def test_an_output_that_is_there_is_kept(tmp_path: Path) -> None:
    """Unless it is to be gone on with, for which it must have its state, or to be replaced."""
    output = json_lines(tmp_path)
    output.path.write_text("mine\n")
    states = StateFile(output.path)
    with pytest.raises(ArchiveUsageError, match="is there already"):
        label_to(output, states, engine, FRESH, INPUTS, resume=False, overwrite=False)
    with pytest.raises(ArchiveUsageError, match=r"no out\.jsonl\.state\.json beside it"):
        label_to(output, states, engine, FRESH, INPUTS, resume=True, overwrite=False)
    assert output.path.read_text() == "mine\n"
    label_to(output, states, engine, FRESH, INPUTS, resume=False, overwrite=True)
    assert output.path.read_text().splitlines() == LINES
    _, worked = label_to(output, states, engine, FRESH, INPUTS, resume=True, overwrite=False)
    assert not worked
    output.path.write_text("short\n")
    with pytest.raises(ArchiveUsageError, match="shorter than its state"):
        label_to(output, states, engine, FRESH, INPUTS, resume=True, overwrite=False)


@pytest.mark.parametrize("make", [json_lines, one_table, parts])
def test_an_output_has_one_writer(make: Callable[[Path], Output], tmp_path: Path) -> None:
    """The second is refused, before it cuts anything off."""
    first, second = make(tmp_path), make(tmp_path)
    first.claim()
    with pytest.raises(ArchiveUsageError, match="another process"):
        second.claim()
    first.close()
