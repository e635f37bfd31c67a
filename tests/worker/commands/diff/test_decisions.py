"""`moderate diff --policies`: which decisions change, by another checkpoint or by another policy."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.worker.commands.diff.conftest import Ran, Run
from tests.worker.commands.diff.made import Made
from tests.worker.policies.rules import rule
from worker.policies.policies import Policies
from worker.policies.published_labels import answers_of
from worker.policies.writing import as_toml

RULES = [
    rule("sarcastic", task="sarcasm", label="sarcastic", threshold=0.5),
    rule("gaming", task="sarcasm", label="sarcastic", threshold=0.8, community="gaming"),
    rule("news", task="sarcasm", label="sarcastic", threshold="never", community="news"),
    rule("general", task="sarcasm", label="general", threshold=0.3, decision="flag", priority=1),
    rule("angry", task="sentiment", label="negative", threshold=0.9, decision="calm"),
    rule("tried", task="sentiment", label="negative", threshold=0.1, decision="calm", shadow=True),
]
OTHER = [one.model_copy(update={"threshold": 0.6}) if one.name == "sarcastic" else one for one in RULES]


def folder_of(path: Path, rules: list[Any]) -> Path:
    """Write rules to a folder."""
    path.mkdir()
    (path / "rules.toml").write_text(as_toml(rules), encoding="utf-8")
    return path


def expected(made: Made, left: list[Any], right: list[Any]) -> dict[str, tuple[list[str], list[str]]]:
    """Return what both sides decide on each post, by plain Python."""
    communities = {post["id"]: post["community"] for post in made.posts}
    sides = [({row["id"]: row for row in made.left}, left), ({row["id"]: row for row in made.right}, right)]
    decided = [
        {
            key: [one.rule.decision for one in Policies(rules).decide(communities[key], answers_of(row)).decisions]
            for key, row in rows.items()
        }
        for rows, rules in sides
    ]
    return {key: (decided[0][key], decided[1][key]) for key in decided[0].keys() & decided[1].keys()}


def check(found: dict[str, Any], wanted: dict[str, tuple[list[str], list[str]]]) -> None:
    """Hold what was found against it."""
    changed = {key for key, (left, right) in wanted.items() if set(left) != set(right)}
    assert (found["posts"], found["changed"]) == (len(wanted), len(changed))
    assert changed
    left, right = (Counter(name for sides in wanted.values() for name in sides[side]) for side in (0, 1))
    assert {one["name"]: (one["left"], one["right"]) for one in found["by_decision"]} == {
        name: (left[name], right[name]) for name in left | right
    }
    for one in found["by_decision"]:
        gained = sum(one["name"] in b and one["name"] not in a for a, b in wanted.values())
        assert (one["gained"], one["gained"] - one["lost"]) == (gained, one["right"] - one["left"])
    assert len(found["first"]) == min(20, len(changed))
    for post in found["first"]:
        assert (post["left"], post["right"]) == wanted[post["post_id"]]


@pytest.mark.slow
def test_decisions_of_two_checkpoints_under_one_policy(files: list[Path], run: Run, made: Made, tmp_path: Path) -> None:
    """As the rules themselves say, post by post; the terminal and the page say it, too."""
    left, right, posts, _ = files
    policies = folder_of(tmp_path / "policies", RULES)
    ended = run(left, right, "--posts", posts, "--policies", policies, "--html", tmp_path / "page.html")
    found = run(left, right, "--posts", posts, "--policies", policies, "--json").report()["decisions"]
    check(found, expected(made, RULES, RULES))
    assert {one["name"] for one in found["by_decision"]} == {"review", "flag", "calm"}
    assert found["left_policy"] == found["right_policy"] == Policies(RULES).version
    said = f"{found['changed']} of {found['posts']} posts change"
    assert said in ended.output
    assert said in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_another_policy_over_the_same_labels(files: list[Path], run: Run, made: Made, tmp_path: Path) -> None:
    """No label flips, and decisions change all the same."""
    left, _, posts, _ = files
    old, new = folder_of(tmp_path / "old", RULES), folder_of(tmp_path / "new", OTHER)
    report = run(left, left, "--posts", posts, "--policies", old, "--right-policies", new, "--json").report()
    check(report["decisions"], expected(Made(made.left, made.left, made.posts), RULES, OTHER))
    assert report["tasks"]["sarcasm"]["flips"] == 0
    (one,) = (one for one in report["decisions"]["by_decision"] if one["gained"] or one["lost"])
    assert (one["name"], one["gained"]) == ("review", 0)


def test_labels_that_say_their_community_need_no_posts(run: Run, tmp_path: Path) -> None:
    """As records on label topics do."""

    def line(share: float, community: str) -> str:
        probabilities = {"not_sarcastic": 1 - share, "sarcastic": share}
        label = {"task": "sarcasm", "label": "sarcastic", "probabilities": probabilities, "community": community}
        return json.dumps({"post_id": community, "modalities": ["text"]} | label)

    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(line(0.7, "gaming") + "\n" + line(0.7, "gardening"), encoding="utf-8")
    policies = folder_of(tmp_path / "policies", RULES)
    found = run("a.jsonl", "b.jsonl", "--policies", policies, "--json").report()["decisions"]
    assert (found["posts"], found["changed"]) == (2, 0)
    assert [(one["name"], one["left"], one["right"]) for one in found["by_decision"]] == [("review", 1, 1)]


def test_what_is_wrong_with_policies_is_said_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    """In one line, with exit code 2."""
    wrong: list[tuple[tuple[Any, ...], str]] = [
        (("--policies", tmp_path / "none"), "there is no folder"),
        (("--right-policies", folder_of(tmp_path / "new", OTHER)), "--right-policies needs --policies"),
    ]
    for options, said in wrong:
        ended: Ran = run("a.jsonl", "b.jsonl", *options)
        assert (ended.code, ended.errors.count("\n")) == (2, 1)
        assert said in ended.errors
