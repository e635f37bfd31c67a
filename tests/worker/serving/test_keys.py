"""Keys: which are let in, how fast, and that the file may change."""

from pathlib import Path

import pytest

from worker.errors import SettingsError
from worker.serving.keys import Caller, Keys, new_key


def test_a_new_key_is_let_in_and_no_other(tmp_path: Path) -> None:
    """The file has its digest alone."""
    key, line = new_key("shop")
    other, _ = new_key("shop")
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{line}\n", encoding="utf-8")
    keys = Keys(file)
    caller = keys.caller(key)
    assert caller is not None
    assert caller.name == "shop"
    assert key not in line
    assert [keys.caller(wrong) for wrong in (other, key[:-1], "", None, line.split()[1])] == [None] * 5


def test_without_a_file_everybody_is_one_caller() -> None:
    """They share one rate."""
    keys = Keys(None, max_posts_per_second=3)
    assert keys.caller(None) is keys.caller("anything")
    assert not keys.are_asked


def test_a_rate_allows_a_seconds_posts_at_once_and_makes_the_next_wait() -> None:
    """A request of many posts is paid for afterwards."""
    now = 0.0
    caller = Caller("shop", 10, clock=lambda: now)
    caller.took(5)
    assert caller.wait_seconds == 0
    caller.took(25)
    assert caller.wait_seconds == pytest.approx(2.1)
    now = 2.2
    assert caller.wait_seconds == 0
    now = 100.0
    caller.took(9)
    assert caller.wait_seconds == 0
    caller.took(1)
    assert caller.wait_seconds == pytest.approx(0.1)


async def test_a_changed_file_counts_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    """Who stays keeps what they have used."""
    (first, first_line), (second, second_line) = new_key("first"), new_key("second")
    file = tmp_path / "keys"
    file.write_text(f"{first_line} 1\n", encoding="utf-8")
    keys = Keys(file)
    known = keys.caller(first)
    assert known is not None
    known.took(5)
    file.write_text(f"{first_line} 1\n{second_line}\n", encoding="utf-8")
    await keys.look()
    assert keys.caller(first) is known
    assert keys.caller(second) is not None
    file.write_text("nonsense\n", encoding="utf-8")
    await keys.look()
    assert keys.caller(second) is not None
    file.write_text(f"{second_line}\n", encoding="utf-8")
    await keys.look()
    assert keys.caller(first) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no key"),
        ("shop secret-in-the-open\n", "line 1 cannot be read"),
        (f"shop sha256:{'a' * 64} fast\n", "line 1 cannot be read"),
        (f"shop sha256:{'a' * 64} 0\n", "line 1 cannot be read"),
        (f"shop sha256:{'a' * 64}\nshop sha256:{'b' * 64}\n", "line 2: shop has two keys"),
    ],
)
def test_a_file_that_cannot_be_used_is_wrong_settings(tmp_path: Path, content: str, words: str) -> None:
    """One line says where, and quotes nothing that may be a key."""
    file = tmp_path / "keys"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=words) as refused:
        Keys(file)
    assert "secret" not in str(refused.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        Keys(tmp_path / "none")


def test_a_name_is_one_word() -> None:
    """It stands in a line of words."""
    with pytest.raises(SettingsError, match="letters, digits"):
        new_key("two words")
