"""What an unrelated picture changes, on a handful of made-up posts."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmorient.cli import mmorient
from mmorient.training.data.examples import Example
from mmorient.training.judging.photos import with_photos
from tests.mmorient.made_sets import write_sets


def test_each_text_stands_beside_an_ordinary_picture() -> None:
    """The same one each time; pictures of memes are none of them."""
    texts = [Example("irony", "val", f"post {n}", None, {"sarcasm": 0}) for n in range(9)]
    pictured = [Example(source, "val", "", Path(f"{source}.jpg"), {}) for source in ("mvsa", "memotion")]
    shown = with_photos(texts, pictured)
    assert [one.text for one in shown] == [one.text for one in texts]
    assert {one.picture for one in shown} == {Path("mvsa.jpg")}
    assert with_photos(texts, pictured) == shown
    assert with_photos(texts, pictured[1:]) == []


@pytest.mark.model
def test_the_command(untrained: Path, tmp_path: Path) -> None:
    """Two sets of texts, and the ordinary posts' own pictures, for people and for programs."""
    write_sets(tmp_path)
    given = ["photos", str(tmp_path), "--checkpoint", str(untrained)]
    said = json.loads(CliRunner().invoke(mmorient, [*given, "--json"], catch_exceptions=False).output)
    assert [(one["source"], one["posts"]) for one in said["photos"]] == [("irony", 12), ("offensive", 12)]
    assert all(0 <= one["flipped"] <= 100 and 0 <= one["lost"] <= 100 for one in said["photos"])
    assert [one["task"] for one in said["own_pictures"]] == ["sarcasm", "offensiveness"]
    table = CliRunner().invoke(mmorient, given, catch_exceptions=False).output
    assert "irony" in table
    assert "picture" in table
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "own.csv").write_text("text,sarcasm\nhi,sarcastic\n")
    refused = CliRunner().invoke(mmorient, ["photos", str(tmp_path / "empty"), "--split", "train"])
    assert refused.exit_code == 2
    assert "no pictures of the set mvsa_single" in refused.output
