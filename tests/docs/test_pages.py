"""Commands are found as a reader finds them."""

from tests.docs.pages import blocks_of, commands, missing
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
```text
one two
```
```sh
echo three
```
Said:
```text
three
```
```text
$ echo four \\
  and more
four
$ echo five
```
"""


def test_blocks_hold_whole_commands_and_what_they_answer() -> None:
    """A continued line and a here-document are one command; a text block right behind is the answer."""
    found = list(blocks_of(PAGE, "p.md"))
    assert [(block.line, len(block.commands), block.shown) for block in found] == [
        (2, 2, "one two\n"),
        (13, 1, ""),
        (20, 1, "four"),
        (21, 1, ""),
    ]
    assert found[0].commands == ("echo one \\\n  two", "cat <<'END'\na (\nEND")
    assert found[2].commands == ("echo four \\\n  and more",)
    assert found[3].commands == ("echo five",)
    assert list(commands("for a in 1 2; do\n  echo $a\ndone\n# no\n\nls")) == [
        "for a in 1 2; do\n  echo $a\ndone",
        "ls",
    ]


def test_an_answer_is_compared_by_how_its_lines_begin() -> None:
    """Figures, times and what stands behind the first word may differ."""
    shown = "created posts\n2026-11-21 x\n…\nsent 3 posts\nmoderate_x{a=\n"
    assert missing(shown, "created labels\nsent 9 posts\nmoderate_x{a=2} 1\n") == []
    assert missing(shown, "sent 9 posts\nmoderate_x 1\n") == ["created"]


def test_a_worker_in_the_foreground_has_a_terminal_of_its_own() -> None:
    """Unless the page itself puts it into the background, or says what follows its end."""
    assert runs_until_stopped("moderate run --shadow x   # said of it")
    assert runs_until_stopped("A=1 moderate run")
    assert not runs_until_stopped("moderate run > log 2>&1 &")
    assert not runs_until_stopped("A=0 moderate run || echo $?")
    assert not runs_until_stopped("moderate backfill")
