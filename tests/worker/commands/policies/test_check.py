"""`moderate policies check`: what rules would decide, from files alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import ModerateHere

RULES = """
[[rule]]
name = "review"
task = "offensiveness"
label = "offensive"
threshold = 0.7
decision = "review"

[[rule]]
name = "review-games"
community = "games*"
task = "offensiveness"
label = "offensive"
threshold = 0.95
decision = "review"

[[rule]]
name = "lower"
task = "offensiveness"
label = "offensive"
threshold = 0.3
decision = "review"
shadow = true
"""


def answer(share: float) -> dict[str, Any]:
    """Return one task's answer."""
    return {"label": "x", "probabilities": {"not_offensive": 1 - share, "offensive": share}, "intensity": None}


def line(post_id: str, share: float) -> str:
    """Return a line of `mmorient label`."""
    return json.dumps({"id": post_id, "labels": {"offensiveness": answer(share)}, "modalities": ["text"]})


def record(post_id: str, share: float, offset: int, **more: str) -> str:
    """Return the value of a record on a label topic."""
    source = {"topic": "posts", "partition": 0, "offset": offset}
    return json.dumps({"post_id": post_id, "task": "offensiveness", **answer(share), **more, "source": source})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of rules."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/rules.toml").write_text(RULES, encoding="utf-8")
    return tmp_path / "policies"


def test_a_policy_is_read_without_labels(moderate_here: ModerateHere, folder: Path) -> None:
    """Its version and how many rules it has; what is wrong is one line and exit code 2."""
    ended = moderate_here("policies", "check", folder)
    assert ended.code == 0
    assert "rules    3, shadow: 1" in ended.output
    (folder / "rules.toml").write_text(RULES.replace("offensiveness", "offensivenes"), encoding="utf-8")
    ended = moderate_here("policies", "check", folder)
    assert (ended.code, ended.errors.count("\n")) == (2, 1)
    assert "rules.toml:2: rule 'review': task 'offensivenes' is unknown; did you mean 'offensiveness'?" in ended.errors


def test_lines_of_mmorient_label_with_the_communities_of_posts(
    moderate_here: ModerateHere, folder: Path, tmp_path: Path
) -> None:
    """Counted by decision and rule; from standard input too."""
    lines = "\n".join([line("a", 0.9), line("b", 0.8), line("c", 0.5), line("d", 0.1), '{"id": "e", "labels": {}}'])
    (tmp_path / "posts.jsonl").write_text('{"id": "b", "community": "games.retro", "text": "x"}\n', encoding="utf-8")
    options = ("--posts", tmp_path / "posts.jsonl", "--json")
    ended = moderate_here("policies", "check", folder, "-", *options, given=lines.encode())
    assert ended.code == 0, ended.errors
    *posts, counts = map(json.loads, ended.output.splitlines())
    assert {post["id"]: [one["rule"] for one in post["decisions"]] for post in posts} == {"a": ["review"], "c": []}
    assert posts[0]["decisions"][0]["probability"] == 0.9
    assert (counts["posts"], counts["decided"], counts["decisions"]) == (5, 1, {"review": 1})
    assert counts["rules"] == {"review": 1, "review-games": 0}
    assert counts["shadows"] == {"lower": {"adds": 1, "removes": 0, "same": 1}}
    assert (
        "5, with a decision: 1"
        in moderate_here("policies", "check", folder, "-", *options[:2], given=lines.encode()).output
    )


def test_records_of_label_topics(moderate_here: ModerateHere, folder: Path, tmp_path: Path) -> None:
    """Several tasks of a post stand on several lines; an id that was posted twice is two posts."""
    file = tmp_path / "labels.jsonl"
    sarcasm = json.dumps(json.loads(record("a", 0.9, 1)) | {"task": "sarcasm", "probabilities": {"sarcastic": 0.5}})
    lines = [
        record("a", 0.9, 1),
        sarcasm,
        record("a", 0.97, 2, community="games"),
        record("b", 0.9, 3, community="games"),
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    ended = moderate_here("policies", "check", folder, file, "--json")
    *posts, counts = map(json.loads, ended.output.splitlines())
    assert counts["posts"] == 3
    assert counts["rules"] == {"review": 1, "review-games": 1}
    assert [post["id"] for post in posts] == ["a", "a"]


def test_lines_that_are_no_labels_are_named(moderate_here: ModerateHere, folder: Path, tmp_path: Path) -> None:
    """The others are counted all the same, and the exit code says it."""
    file = tmp_path / "labels.jsonl"
    lines = [line("a", 0.9), "broken", "[1]", '{"id": "b"}', '{"labels": {}}', "", '{"id": "c", "labels": {"x": 3}}']
    file.write_text("\n".join(lines), encoding="utf-8")
    ended = moderate_here("policies", "check", folder, file)
    assert ended.code == 1
    assert ended.errors == "moderate: 5 lines were no labels: 2, 3, 4, 5, 7\n"
    assert "posts    1, with a decision: 1" in ended.output
    missing = moderate_here("policies", "check", folder, tmp_path / "none.jsonl")
    assert (missing.code, missing.errors) == (1, f"moderate: {tmp_path / 'none.jsonl'}: No such file or directory\n")
