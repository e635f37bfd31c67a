"""Two files of labels: every count equals a plain pandas computation, and what is wrong is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from schemas import Label
from tests.worker.commands.diff.conftest import Ran, Run, write_lines
from tests.worker.commands.diff.made import CLASSES, DEGREES, Made
from worker.commands.diff.compare.report import Report

EXAMPLE = Path(__file__).parents[4] / "schemas" / "examples"


@pytest.fixture
def compared(files: list[Path], run: Run) -> Ran:
    """Compare them."""
    left, right, posts, truth = files
    return run(left, right, "--posts", posts, "--truth", truth, "--moved", 7, "--json")


def test_every_count_is_that_of_pandas(compared: Ran, made: Made) -> None:
    """Posts, flips, matrices, slices, means of scores, agreement, accuracy: merge, crosstab and mean give the same."""
    import pandas as pd

    report = compared.report()
    assert list(report["tasks"]) == ["sentiment", "sarcasm"]
    for task in report["tasks"]:
        found, frame, names = report["tasks"][task], made.frame(task), CLASSES[task]
        flips = frame["label left"] != frame["label right"]
        matrix = pd.crosstab(frame["label left"], frame["label right"]).reindex(
            index=names, columns=names, fill_value=0
        )
        assert (found["posts"], found["flips"]) == (len(frame), int(flips.sum()))
        assert found["share"]["value"] == pytest.approx(flips.mean(), abs=1e-6)
        assert (found["classes"], found["matrix"]) == (names, matrix.to_numpy().tolist())
        for shift in found["by_class"]:
            left, right = frame[f"p {shift['name']} left"], frame[f"p {shift['name']} right"]
            said, says = frame["label left"] == shift["name"], frame["label right"] == shift["name"]
            assert (shift["left"], shift["right"]) == (said.sum(), says.sum())
            assert (shift["gained"], shift["lost"]) == ((says & ~said).sum(), (said & ~says).sum())
            scores = shift["scores"]
            assert scores["left_mean"] == pytest.approx(left.mean(), abs=2e-6)
            assert scores["mean_change"]["value"] == pytest.approx((right - left).mean(), abs=2e-6)
            assert scores["mean_change"]["low"] < scores["mean_change"]["value"] < scores["mean_change"]["high"]
            quantile = (right - left).quantile(0.05, interpolation="inverted_cdf")
            assert scores["quantiles"]["0.05"] == pytest.approx(quantile, abs=1e-6)
            assert sum(scores["histogram"]["left"]) == sum(scores["change_histogram"]["posts"]) == len(frame)
        for by in ("community", "language", "modality left", "length"):
            name = by.split()[0]
            known = frame.assign(flips=flips).groupby(by, dropna=False)["flips"].agg(["size", "sum"])
            mine = {(one["value"], one["posts"], one["flips"]) for one in found["slices"] if one["by"] == name}
            assert mine == {
                (None if pd.isna(key) else key, *map(int, row))
                for key, row in zip(known.index, known.to_numpy(), strict=True)
            }
        sure = frame.apply(lambda row: row[f"p {row['label left']} left"], axis=1)
        places = np.minimum((sure * 10).astype(int), 9)
        agrees = (~flips).groupby(places).agg(["size", "mean"])
        bins = [(one["posts"], one["agrees"]) for one in found["agreement"]]
        assert bins == [(size, pytest.approx(mean, abs=1e-6)) for size, mean in agrees.to_numpy()]


def test_the_truth_is_counted_as_pandas_counts_it(compared: Ran, made: Made) -> None:
    """Accuracy of both sides, and the posts that one alone gets right; tasks of which nothing is known have none."""
    import pandas as pd

    report = compared.report()
    frame = made.frame("sarcasm").merge(pd.DataFrame(made.truth), on="id")
    left, right = frame["label left"] == frame["sarcasm"], frame["label right"] == frame["sarcasm"]
    truth = report["tasks"]["sarcasm"]["truth"]
    assert truth["posts"] == len(frame)
    assert truth["left_accuracy"]["value"] == pytest.approx(left.mean(), abs=1e-6)
    assert truth["accuracy_change"]["value"] == pytest.approx(right.mean() - left.mean(), abs=1e-6)
    assert (truth["only_left_right"], truth["only_right_right"]) == ((left & ~right).sum(), (right & ~left).sum())
    sure = frame.apply(lambda row: row[f"p {row['label left']} left"], axis=1)
    by_bin = pd.DataFrame({"gap": left - sure, "bin": np.minimum((sure * 10).astype(int), 9)})
    error = by_bin.groupby("bin")["gap"].sum().abs().sum() / len(frame)
    assert truth["left_ece"]["value"] == pytest.approx(error, abs=1e-6)
    assert report["tasks"]["sentiment"]["truth"] is None


def test_nothing_is_dropped_in_silence(compared: Ran, made: Made) -> None:
    """Posts and tasks on one side alone, and repeats of which the last counts, are counted, named and said."""
    report = compared.report()
    posts = report["posts"]
    assert (posts["joined"], posts["left_only"], posts["right_only"]) == (len(made.posts) - 24, 12, 12)
    assert set(posts["left_only_first"]) <= {f"p-{number}" for number in range(0, 600, 50)}
    assert report["left"]["repeats"] == 12 * 3
    assert report["joined_by"] == "post_id"
    said = " ".join(report["notices"])
    for words in (
        "12 posts have labels on the left alone",
        "which are not compared: humour",
        "36 labels on the left are not compared",
    ):
        assert words in said


def test_the_posts_that_moved_most_are_those_of_pandas(compared: Ran, made: Made) -> None:
    """By total variation distance over all tasks, each post once, with text, both answers and other flips."""
    distances = {}
    for task, names in CLASSES.items():
        if task == "humour":
            continue
        frame = made.frame(task)
        gaps = sum((frame[f"p {name} left"] - frame[f"p {name} right"]).abs() for name in names) / 2
        for key, gap in zip(frame["id"], gaps, strict=True):
            distances[key] = max(distances.get(key, (0.0, "")), (round(gap, 6), task))
    largest = sorted((distance for distance, _ in distances.values()), reverse=True)[:7]
    moved = compared.report()["moved"]
    assert [post["distance"] for post in moved] == pytest.approx(largest, abs=1e-6)
    texts = {post["id"]: post["text"] for post in made.posts}
    for post in moved:
        assert distances[post["post_id"]] == (pytest.approx(post["distance"], abs=1e-6), post["task"])
        assert post["text"] == texts[post["post_id"]]
        assert post["flipped"] == (post["left"]["label"] != post["right"]["label"])


def test_the_object_is_what_its_schema_says(compared: Ran) -> None:
    """No field more, none less, none of another kind; intensities are compared beside their task."""
    report = Report.model_validate_json(compared.output)
    assert report.schema_ == "diff/1"
    assert list(report.intensities) == ["sarcasm"]
    assert report.intensities["sarcasm"].classes == DEGREES
    assert json.loads(report.json_text()) == json.loads(compared.output)


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(compared: Ran, files: list[Path], run: Run) -> None:
    """Draws have a seed, sums are of whole numbers, and ties have an order."""
    left, right, posts, truth = files
    assert run(left, right, "--posts", posts, "--truth", truth, "--moved", 7, "--json").output == compared.output


def test_a_file_with_itself_has_no_flips(files: list[Path], run: Run) -> None:
    """Nothing moved, no test doubts, and the sentence says so."""
    report = run(files[0], files[0], "--json", "--fail-over", "0").report()
    assert [one["flips"] for one in report["tasks"].values()] == [0, 0, 0]
    assert report["moved"] == []
    assert report["verdict"].startswith("No label flips: 588 posts")
    assert all(test["p"] == 1 for one in report["tasks"].values() for test in one["tests"])


@pytest.mark.slow
def test_parquet_and_standard_input_give_the_same(files: list[Path], run: Run, made: Made, tmp_path: Path) -> None:
    """Parquet is read whatever its structs hold; - is standard input; a glob is all its files in order."""
    left, right = files[:2]
    expected = run(left, right, "--json").report()
    parquet.write_table(pa.Table.from_pylist(made.right), tmp_path / "right.parquet")
    lines = left.read_bytes().splitlines(keepends=True)
    (tmp_path / "part-1.jsonl").write_bytes(b"".join(lines[:100]))
    (tmp_path / "part-2.jsonl").write_bytes(b"".join(lines[100:]))
    for other in (
        run("-", "right.parquet", "--json", given=left.read_bytes()),
        run("part-*.jsonl", right, "--json"),
    ):
        report = other.report()
        assert (report["tasks"], report["moved"]) == (expected["tasks"], expected["moved"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["posts.csv", "posts.json", "posts/day=1/a.parquet"],
)
def test_posts_and_truth_in_other_files_give_the_same(
    files: list[Path], run: Run, made: Made, tmp_path: Path, name: str
) -> None:
    """A table of a spreadsheet, an array, a folder of partitions; classes in any case."""
    import pandas as pd

    left, right, posts, truth = files
    expected = run(left, right, "--posts", posts, "--truth", truth, "--json").report()
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(made.posts)
    if name.endswith(".csv"):
        frame.to_csv(tmp_path / name, sep=";", encoding="utf-16", index=False)
    elif name.endswith(".json"):
        frame.to_json(tmp_path / name, orient="records", indent=1)
    else:
        frame.to_parquet(tmp_path / name)
    marked = "sep=;\nID;Sarcasm\n" + "".join(f"{one['id']};{one['sarcasm'].upper()}\n" for one in made.truth)
    (tmp_path / "truth.csv").write_text(marked, "utf-8-sig")
    report = run(left, right, "--posts", name.split("/", maxsplit=1)[0], "--truth", "truth.csv", "--json").report()
    assert report["tasks"]["sarcasm"]["truth"] == expected["tasks"]["sarcasm"]["truth"]
    assert (report["tasks"], report["moved"]) == (expected["tasks"], expected["moved"])


def _records(checkpoint: str, posts: int, label: str, **fields: Any) -> list[dict[str, Any]]:
    example = json.loads((EXAMPLE / "label" / "sarcasm.json").read_text())
    shares = (
        {"not_sarcastic": 0.3, "sarcastic": 0.7} if label == "sarcastic" else {"not_sarcastic": 0.6, "sarcastic": 0.4}
    )
    return [
        example
        | {"post_id": f"p-{number}", "label": label, "probabilities": shares, "intensity": None}
        | {"model": example["model"] | {"checkpoint": f"sha256:{checkpoint * 64}"}}
        | {"source": {"topic": "posts", "partition": 0, "offset": number}}
        | fields
        for number in range(posts)
    ]


def test_labels_and_label_sets_as_topics_hold_them_are_read(run: Run, tmp_path: Path) -> None:
    """One task or several a record; posts are joined by their place in Kafka where both sides know it."""
    single = _records("a", 40, "sarcastic")
    Label.model_validate(single[0])
    task = {name: single[0][name] for name in ("label", "probabilities", "intensity")}
    several = [
        {name: value for name, value in row.items() if name not in {"task", *task}}
        | {"labels": {"sarcasm": task}, "schema": "label-set/1", "post_id": "another id"}
        for row in single
    ]
    left, right = write_lines(tmp_path / "l.jsonl", single), write_lines(tmp_path / "r.jsonl", several)
    report = run(left, right, "--json").report()
    assert (report["joined_by"], report["posts"]["joined"], report["tasks"]["sarcasm"]["flips"]) == ("source", 40, 0)


def test_thresholds_of_both_sides_are_told(run: Run, tmp_path: Path) -> None:
    """Of lines, of Labels and of LabelSets; where they differ a notice says so, for flips are no model's then."""
    shares = {"not_sarcastic": 0.4, "sarcastic": 0.6}
    plain = {"label": "sarcastic", "probabilities": shares, "intensity": None}
    held = {"label": "not_sarcastic", "probabilities": shares, "threshold": 0.7, "intensity": None}
    mood = {"label": "positive", "probabilities": {"negative": 0.1, "neutral": 0.1, "positive": 0.8}}
    left, right = tmp_path / "left.jsonl", tmp_path / "right.jsonl"
    left.write_text(json.dumps({"id": "a", "labels": {"sarcasm": plain, "sentiment": mood}}))
    right.write_text(json.dumps({"id": "a", "labels": {"sarcasm": held, "sentiment": mood}}))
    report = run(left, right, "--json").report()
    assert (report["left"]["thresholds"], report["right"]["thresholds"]) == ({}, {"sarcasm": [0.7]})
    assert report["tasks"]["sarcasm"]["flips"] == 1
    notice = "The thresholds of sarcasm differ: none on the left, 0.7 on the right."
    assert notice in report["notices"]
    right.write_text(json.dumps({"post_id": "a", "task": "sarcasm", **held}))
    assert notice in run(left, right, "--json").report()["notices"]
    assert not [said for said in run(right, right, "--json").report()["notices"] if "threshold" in said]


def test_of_several_checkpoints_the_last_label_counts_or_the_one_selected(run: Run, tmp_path: Path) -> None:
    """That there are several is said; a prefix of the digest selects."""
    both = write_lines(tmp_path / "l.jsonl", [*_records("a", 40, "sarcastic"), *_records("b", 40, "not_sarcastic")])
    old = write_lines(tmp_path / "r.jsonl", _records("a", 40, "sarcastic"))
    last = run(both, old, "--json").report()
    assert last["tasks"]["sarcasm"]["flips"] == last["left"]["repeats"] == 40
    assert "holds labels of 2 models or settings" in " ".join(last["notices"])
    first = run(both, old, "--json", "--left-checkpoint", "aaaa").report()
    assert (first["tasks"]["sarcasm"]["flips"], first["left"]["repeats"]) == (0, 0)
    assert "Both sides were labelled by the same checkpoint with the same settings." in first["notices"]
    none = run(both, old, "--left-checkpoint", "sha256:cc")
    assert (none.code, "no labels of a checkpoint that begins with sha256:cc" in none.output) == (1, True)


def test_what_is_no_label_is_counted_and_named(run: Run, tmp_path: Path) -> None:
    """Broken JSON, other objects, impossible probabilities, keys that stand twice: all the rest is compared."""
    good = [json.dumps(row) for row in _records("a", 10, "sarcastic")]
    bad = [
        "{", "[1]", "null", '{"id": "x"}', '{"id": "x", "labels": 5}', "\\ud800",
        '{"id": "x", "labels": {"sarcasm": {"label": "a", "probabilities": {"b": 1}}}}',
        '{"id": "x", "labels": {"sarcasm": {"label": "a", "probabilities": {"a": 1.5}}}}',
        '{"id": "x", "labels": {"sarcasm": {"label": "a", "probabilities": {"a": NaN}}}}',
    ]  # fmt: skip
    twice = good[9][:-1] + ', "task": "sarcasm"}'
    (tmp_path / "l.jsonl").write_text("\n".join([*good[:9], *bad, "", twice]))
    (tmp_path / "r.jsonl").write_bytes("\n".join(good).encode() + b'\n{"id": "\xff"}\n')
    report = run("l.jsonl", "r.jsonl", "--json").report()
    assert (report["left"]["unreadable"], report["right"]["unreadable"]) == (len(bad), 1)
    assert report["left"]["unreadable_first"] == [f"l.jsonl:{line}" for line in range(10, 15)]
    assert (report["posts"]["joined"], report["tasks"]["sarcasm"]["flips"]) == (10, 0)
