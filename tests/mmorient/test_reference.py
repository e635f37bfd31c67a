"""What a checkpoint says of known posts."""

import json
import shutil
from pathlib import Path

import pytest

from mmorient import DataError, load_reference
from mmorient.digest import SHIPPED, checkpoint_digest
from mmorient.reference import REFERENCE, SCORE_BINS
from tests.mmorient.conftest import Run


def test_the_shipped_checkpoint_has_one_of_its_own() -> None:
    """It names this very checkpoint, and every task's labels and scores add up to its posts."""
    known = load_reference(None)
    assert known is not None
    assert known.checkpoint == checkpoint_digest()
    for task in known.tasks.values():
        assert sum(task.labels.values()) == known.posts > 5000
        for bins in task.scores.values():
            assert len(bins) == SCORE_BINS
            assert sum(bins) == known.posts


def test_that_of_another_checkpoint_is_not_taken_for_its_own(tmp_path: Path) -> None:
    """A file that a changed checkpoint left behind says nothing; named by hand, it is used."""
    shutil.copy(SHIPPED / REFERENCE, tmp_path / REFERENCE)
    (tmp_path / "config.json").write_text("{}")
    assert load_reference(None, tmp_path) is None
    assert load_reference(tmp_path / REFERENCE, tmp_path) is not None
    (tmp_path / REFERENCE).unlink()
    assert load_reference(None, tmp_path) is None


@pytest.mark.parametrize("content", [None, "", "{}", '{"format": "x"}'])
def test_a_file_that_is_none_is_said_in_one_line(tmp_path: Path, content: str | None) -> None:
    """A file that is missing, empty or something else is an error that names it."""
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=r"mine\.json") as refused:
        load_reference(file)
    assert "\n" not in str(refused.value)


def test_labels_are_counted_from_the_command_s_lines_and_from_topics(run: Run, tmp_path: Path) -> None:
    """Lines of `mmorient label` and values of label topics count alike, by task."""
    shares = {"not_sarcastic": 0.3, "sarcastic": 0.7}
    labelled = {"id": "a", "labels": {"sarcasm": {"label": "sarcastic", "probabilities": shares}}, "modalities": []}
    event = {"post_id": "b", "task": "sarcasm", "label": "not_sarcastic", "probabilities": {"not_sarcastic": 1.0}}
    file = tmp_path / "labels.jsonl"
    file.write_text(f"{json.dumps(labelled)}\n\n{json.dumps(event)}\n")
    ran = run("reference", file, "-", "--out", tmp_path / "r.json", given=json.dumps(event).encode())
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "sarcasm: not_sarcastic 0.667, sarcastic 0.333 of 3 posts\n"
    known = load_reference(tmp_path / "r.json")
    assert known is not None
    assert known.posts == 3
    assert known.tasks["sarcasm"].scores["sarcastic"] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("line", ["x", "{}", "[]", '{"task": "taste", "label": "good", "probabilities": {}}', "\n"])
def test_what_is_no_label_is_said_in_one_line(run: Run, tmp_path: Path, line: str) -> None:
    """Nothing is written where a line is no label, or there is none."""
    ran = run("reference", "-", "--out", tmp_path / "r.json", given=line.encode())
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "label" in ran.err
    assert not (tmp_path / "r.json").exists()
