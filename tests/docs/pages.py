"""The command blocks of all pages: what a reader would copy into a terminal."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

# Resolved: a page is played in a folder of links to the project.
ROOT = Path(__file__).resolve().parent.parent.parent
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)``` *$", re.MULTILINE | re.DOTALL
)
_PROMPT = "$ "
_FIRST_WORD = re.compile(r"[A-Za-z_{\"][\w\"'.:-]*")


@dataclass(frozen=True)
class Block:
    """A fenced block that holds commands.

    Attributes:
        page: path in the repository.
        line: of the fence, from 1.
        commands: whole ones: a here-document or a loop is one command.
        shown: what the page says that they answer; empty where it shows nothing.
    """

    page: str
    line: int
    commands: tuple[str, ...]
    shown: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return the paths of all pages that may hold commands."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").glob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in found]


def blocks(page: str) -> list[Block]:
    """Return the command blocks of a page: ```sh, and ```text that begins with a prompt."""
    return list(blocks_of((ROOT / page).read_text(encoding="utf-8"), page))


def blocks_of(markdown: str, page: str) -> Iterator[Block]:
    """Return the command blocks of a Markdown text."""
    fences = list(_FENCE.finditer(markdown))
    for fence, following in zip_longest(fences, fences[1:]):
        line = markdown.count("\n", 0, fence.start()) + 1
        text = re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE)
        if fence["language"] == "sh":
            adjacent = following is not None and not markdown[fence.end() : following.start()].strip()
            answers = adjacent and following is not None and following["language"] == "text"
            shown = following["text"] if answers and following and not following["text"].startswith(_PROMPT) else ""
            yield Block(page, line, tuple(commands(text)), shown)
        elif fence["language"] == "text" and text.startswith(_PROMPT):
            for number, part in enumerate(re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]):
                lines = part.splitlines()
                end = next(place for place, one in enumerate(lines, start=1) if not one.endswith("\\"))
                yield Block(page, line + number, ("\n".join(lines[:end]),), "\n".join(lines[end:]))


def commands(script: str) -> Iterator[str]:
    """Return a script's commands one by one, as far as they are whole for bash."""
    lines: list[str] = []
    for line in script.splitlines():
        if not lines and (not line.strip() or line.lstrip().startswith("#")):
            continue
        lines.append(line)
        if _is_whole(text := "\n".join(lines)):
            yield text
            lines = []
    if lines:
        raise ValueError(f"not whole: {lines}")


def _is_whole(text: str) -> bool:
    if text.endswith("\\"):
        return False
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    # Of a here-document without its end bash only warns.
    return read.returncode == 0 and not read.stderr


def missing(shown: str, answered: str) -> list[str]:
    """Return what a page shows that the commands did not answer, loosely: by how the first word of each line begins."""
    there = {word for line in answered.splitlines() if (word := _first_word(line))}
    shown_words = [word for line in shown.splitlines() if (word := _first_word(line))]
    return [word for word in shown_words if not any(one.startswith(word) for one in there)]


def _first_word(line: str) -> str:
    found = _FIRST_WORD.match(line.strip())
    # Digits differ from run to run.
    return re.sub(r"\d+", "N", found.group()) if found else ""
