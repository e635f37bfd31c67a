"""What people said of labels, read by calibration and training."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmorient.cli import mmorient
from mmorient.config import Calibration
from mmorient.digest import SHIPPED
from mmorient.errors import DataError
from mmorient.training.data.readers import read_all


def write_verdicts(file: Path, count: int) -> Path:
    """Write posts as `moderate verdicts export` does, half of them sarcastic."""
    names = ("not_sarcastic", "sarcastic")
    rows = [
        {"id": f"p-{number}", "text": f"what a day number {number}", "labels": {"sarcasm": names[number % 2]}}
        for number in range(count)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_verdicts_are_read_beside_the_sets_and_alone(tmp_path: Path) -> None:
    """A folder of sets is not needed for them; of both there must be something."""
    file = write_verdicts(tmp_path / "verdicts.jsonl", 4)
    assert [example.targets["sarcasm"] for example in read_all(None, [file])] == [0, 1, 0, 1]
    (tmp_path / "DATA").mkdir()
    shutil.copy(file, tmp_path / "DATA" / "ours.jsonl")
    assert [example.source for example in read_all(tmp_path / "DATA", [file])] == ["ours"] * 4 + ["verdicts"] * 4
    with pytest.raises(DataError):
        read_all(None, [])


@pytest.mark.model
def test_a_checkpoint_is_calibrated_on_verdicts_alone(tmp_path: Path) -> None:
    """All of them count as validation posts; tasks that nobody judged stay as they were."""
    shutil.copytree(SHIPPED, tmp_path / "ours")
    file = write_verdicts(tmp_path / "verdicts.jsonl", 40)
    before = Calibration.model_validate_json((tmp_path / "ours" / "calibration.json").read_text(encoding="utf-8"))
    done = CliRunner().invoke(mmorient, ["calibrate", str(tmp_path / "ours"), "--verdicts", str(file)])
    assert done.exit_code == 0, done.output
    assert "text       sarcasm                  40 posts  ECE" in done.output
    after = Calibration.model_validate_json((tmp_path / "ours" / "calibration.json").read_text(encoding="utf-8"))
    assert after.heads["text"]["sarcasm"] != before.heads["text"]["sarcasm"]
    assert after.heads["text"]["sentiment"] == before.heads["text"]["sentiment"]


def test_without_data_and_without_verdicts_there_is_nothing_to_calibrate_on(tmp_path: Path) -> None:
    """Said before anything is loaded."""
    shutil.copytree(SHIPPED, tmp_path / "ours")
    done = CliRunner().invoke(mmorient, ["calibrate", str(tmp_path / "ours")])
    assert done.exit_code == 2
    assert "DATA, --verdicts or both" in done.output
