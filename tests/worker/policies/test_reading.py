"""A folder of TOML files becomes a policy, or one line that says what is wrong and where."""

from pathlib import Path

import pytest

from tests.worker.policies.rules import rule
from worker.errors import SettingsError
from worker.policies.policies import Policies
from worker.policies.reading import folder_policies, read_policies
from worker.settings import load_settings

RULE = """\
[[rule]]
name = "review"
task = "offensiveness"
label = "offensive"
threshold = 0.7
decision = "review"
"""


def test_files_and_comments_and_order_mean_nothing(tmp_path: Path) -> None:
    """One file or two, whatever they are called: the same rules are the same version."""
    other = RULE.replace('"review"', '"games"', 1) + 'community = "games"\nshadow = true\n'
    versions = []
    for number, files in enumerate(
        [{"a.toml": RULE + other}, {"z.toml": RULE, "b.toml": "# ours\n" + other}, {"x.toml": other + "\n\n" + RULE}]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / ".hidden.toml").write_text("broken", encoding="utf-8")
        (folder / "notes.txt").write_text("broken", encoding="utf-8")
        versions.append(read_policies(folder).version)
    assert set(versions) == {Policies([rule(), rule("games", community="games", shadow=True)]).version}


def test_a_file_without_rules_decides_nothing(tmp_path: Path) -> None:
    """It is a policy all the same."""
    (tmp_path / "none.toml").write_text("# nothing yet\n", encoding="utf-8")
    assert read_policies(tmp_path) == Policies()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"offensiveness"', '"offensivenes"', ":2: rule 'review': task 'offensivenes' is unknown; did you mean"),
        ('"offensiveness"', '"anger"', "task 'anger' is unknown; known are sentiment, humour, sarcasm"),
        ('"offensive"', '"ofensive"', "label of offensiveness 'ofensive' is unknown; did you mean 'offensive'?"),
        ("threshold", "treshold", ":2: rule 'review': field 'treshold' is unknown; did you mean 'threshold'?"),
        ("0.7", "1.7", ":2: rule 'review': threshold: not between 0 and 1, nor 'never' (got 1.7)"),
        ("0.7", "0", "threshold: not between 0 and 1, nor 'never' (got 0)"),
        ("0.7", "nan", "threshold: not between 0 and 1, nor 'never' (got nan)"),
        ("0.7", '"0.7"', "threshold: not between 0 and 1, nor 'never' (got '0.7')"),
        ("0.7", "true", "threshold: not between 0 and 1, nor 'never' (got True)"),
        ("threshold = 0.7\n", "", ":2: rule 'review': threshold is missing"),
        ('name = "review"\n', "", ":2: rule 1: name is missing"),
        ('name = "review"', 'name = "Re view"', "name: String should match pattern"),
        ("threshold", 'community = "a[b"\nthreshold', "community: a [ without its ]"),
        ("threshold", "shadow = 1\nthreshold", "shadow: Input should be a valid boolean (got 1)"),
        ("threshold", 'priority = "high"\nthreshold', "priority: Input should be a valid integer (got 'high')"),
        ("[[rule]]", "[[rules]]", "'rules' is unknown; rules stand under [[rule]]"),
        ("[[rule]]", "[rule]", "[rule] is one table, rules stand under [[rule]]"),
        ("0.7", "0.7.1", "(at line 6, column 16)"),
        ("0.7", "0.7 # \x00", "(at line 6, column 19)"),
    ],
)
def test_a_fault_is_one_line_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    """File and line of the rule, its name, the value, and the name that is probably meant."""
    file = tmp_path / "rules.toml"
    file.write_text("# the first line\n" + RULE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read_policies(tmp_path)
    assert str(caught.value).startswith(str(file))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_comes_twice_is_refused_with_both_places(tmp_path: Path) -> None:
    """In one file or in two."""
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(RULE, encoding="utf-8")
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    with pytest.raises(SettingsError, match=f"^{second}:1: rule 'review' stands at {first}:1 too$"):
        read_policies(tmp_path)


def test_rules_written_another_way_are_named_without_a_line(tmp_path: Path) -> None:
    """As a list of inline tables."""
    (tmp_path / "a.toml").write_text('rule = [{name = "x", task = "sarcasm"}]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"a\.toml: rule 'x': label is missing$"):
        read_policies(tmp_path)


def test_folders_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    """No folder, none of its files TOML, bytes that are no UTF-8, more than a megabyte."""
    with pytest.raises(SettingsError, match=r"there is no folder .*nowhere"):
        read_policies(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=r"no \*\.toml in"):
        read_policies(tmp_path)
    file = tmp_path / "a.toml"
    file.write_bytes(b"# \xff")
    with pytest.raises(SettingsError, match="no UTF-8 at byte 2"):
        read_policies(tmp_path)
    file.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(SettingsError, match="1048577 bytes, where 1048576 are the most"):
        read_policies(tmp_path)


def test_a_folder_in_the_settings_turns_decisions_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their topic is `decisions`, unless it is named, and never that of something else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(RULE, encoding="utf-8")
    assert load_settings().kafka.decisions_topic is None
    settings = load_settings({"policies": tmp_path})
    assert settings.kafka.decisions_topic == "decisions"
    assert folder_policies(settings) == Policies([rule()])
    named = load_settings({"policies": tmp_path, "kafka": {"decisions_topic": "verdicts"}})
    assert named.kafka.decisions_topic == "verdicts"
    with pytest.raises(SettingsError, match="MODERATE_KAFKA__DECISIONS_TOPIC: decisions and policies each"):
        load_settings({"policies": tmp_path, "kafka": {"routes": {"offensiveness": "decisions"}}})
    with pytest.raises(SettingsError, match="decisions and policies each have a topic"):
        load_settings({"kafka": {"decisions_topic": "posts"}})
    other = load_settings({"policies": tmp_path, "kafka": {"routes": {"sarcasm": "s"}}})
    with pytest.raises(SettingsError, match="MODERATE_POLICIES: rule 'review': offensiveness is not published"):
        folder_policies(other)
