"""Commands are found as a reader finds them, and what they answer is compared with what a page shows."""

import pytest

from tests.docs.answers import differs, missing, renewed
from tests.docs.pages import blocks_of, commands, odd_fences
from tests.docs.scene import runs_until_stopped

PAGE = """\
Text.
```sh
# first
echo one \\
  two
cat <<'END'
a (
END
```
```output
one two
```
```sh
echo three
```
Said:
```text
a picture
```
```sh
echo four \\
  and more
```
```output
four
```
"""


def test_blocks_hold_whole_commands_and_what_they_answer() -> None:
    """A continued line and a here-document are one command; an output right behind is the answer."""
    found = list(blocks_of(PAGE, "p.md"))
    assert [(block.line, len(block.commands), block.shown) for block in found] == [
        (2, 2, "one two\n"),
        (13, 1, ""),
        (20, 1, "four\n"),
    ]
    assert found[0].commands == ("echo one \\\n  two", "cat <<'END'\na (\nEND")
    assert found[2].commands == ("echo four \\\n  and more",)
    assert [PAGE[slice(*block.span)] for block in found] == ["one two\n", "", "four\n"]
    assert list(commands("for a in 1 2; do\n  echo $a\ndone\n# no\n\nls")) == [
        "for a in 1 2; do\n  echo $a\ndone",
        "ls",
    ]


def test_a_worker_in_the_foreground_has_a_terminal_of_its_own() -> None:
    """Unless the page itself puts it into the background, or says what follows its end."""
    assert runs_until_stopped("moderate run --shadow x   # said of it")
    assert runs_until_stopped("A=1 moderate run")
    assert runs_until_stopped("moderate serve  # over HTTP")
    assert not runs_until_stopped("moderate run > log 2>&1 &")
    assert not runs_until_stopped("A=0 moderate run || echo $?")
    assert not runs_until_stopped("moderate backfill")


def test_blocks_that_mix_commands_and_answers_are_named() -> None:
    """So are answers that stand behind no command, and ```console."""
    odd = "```text\n$ ls\na\n```\n```output\nb\n```\n```sh\nls\n```\nwords\n```output\nc\n```\n```console\nd\n```\n"
    assert odd_fences(odd) == ["$ ls", "b", "c", "d"]
    assert odd_fences(PAGE) == []


SHOWN = "a 1 2026-11-21 10:00:00Z\n…\nat 127.0.0.1:9092, 0.7145 of …\nlast (got …)\n"
ANSWERED = "a 1 2027-01-01 11:11:11Z\nx\ny\nat 127.0.0.1:41234, 0.7145 of them\nlast (got 3)\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("0.7145", "0.7146", "0.7145 of …' is shown, anywhere below"),
        ("a 1", "a 2", "is shown, there is 'a 2"),
        ("last (got 3)\n", "last (got 3)\nmore\n", "'more' is not shown"),
        ("last (got 3)\n", "", "is shown, no more"),
        ("x\ny\n", "", ""),
    ],
)
def test_an_answer_is_compared_to_its_last_digit(old: str, new: str, said: str) -> None:
    """Beside what the page leaves out, times, and ports that the system chose."""
    wrong = differs(SHOWN, ANSWERED.replace(old, new))
    assert said in wrong
    assert bool(said) is bool(wrong)


def test_what_a_scenario_names_may_differ() -> None:
    """However long it is."""
    assert differs("took 1.5 s   all\n", "took 12.25 s all\n", (r"\d+\.\d+ s",)) == ""


def test_an_answer_is_written_anew_with_the_same_parts_left_out() -> None:
    """Lines, and parts of lines."""
    changed = ANSWERED.replace("0.7145", "0.8000").replace("y\n", "y\nz\n").replace("got 3", "got 77")
    assert renewed(SHOWN, changed) == "a 1 2026-11-21 10:00:00Z\n…\nat 127.0.0.1:41234, 0.8000 of …\nlast (got …)\n"
    assert renewed("a 12ab…, b 34… c\n", "a 56cdef, b 789 c\n") == "a 56cd…, b 78… c\n"
    assert renewed("one\n", "one\ntwo\n") == "one\ntwo\n"
    assert renewed(SHOWN, ANSWERED) == SHOWN
    with pytest.raises(ValueError, match="no place"):
        renewed("a\nb\n…\nc\n", "a\n")


def test_lines_in_any_order_must_all_be_there() -> None:
    """An answer whose lines come as they are ready is held line by line, to the last digit."""
    answered = "b 0.25  x\nnoise\na 0.5\n"
    assert missing("…\na 0.5\nb 0.25 …\n…\n", answered) == ""
    assert "a 0.6" in missing("a 0.6\n", answered)
