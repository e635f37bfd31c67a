"""The command blocks of all pages, ```sh, and what each answers: ```output right behind it."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

# Resolved: a page is played in a folder of links to the project.
ROOT = Path(__file__).resolve().parent.parent.parent
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)``` *$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block that holds commands.

    Attributes:
        page: path in the repository.
        line: of the fence, from 1.
        commands: whole ones: a here-document or a loop is one command.
        shown: what the page says that they answer; empty where it shows nothing.
        span: where `shown` begins and ends in the page's text.
    """

    page: str
    line: int
    commands: tuple[str, ...]
    shown: str
    span: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return the paths of all pages that may hold commands."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").glob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in found]


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return the command blocks of a page; bash is asked where each command ends, which takes a second for all."""
    return tuple(blocks_of((ROOT / page).read_text(encoding="utf-8"), page))


def blocks_of(markdown: str, page: str) -> Iterator[Block]:
    """Return the command blocks of a Markdown text."""
    fences = list(_FENCE.finditer(markdown))
    for fence, following in pairwise([*fences, None]):
        if fence is None or fence["language"] != "sh":
            continue
        line = markdown.count("\n", 0, fence.start()) + 1
        text = re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE)
        if following is not None and _is_answer(markdown, fence, following):
            yield Block(page, line, tuple(commands(text)), following["text"], following.span("text"))
        else:
            yield Block(page, line, tuple(commands(text)), "")


def odd_fences(markdown: str) -> list[str]:
    """Return the blocks that mix commands and answers, and the answers that no command stands before."""
    fences = list(_FENCE.finditer(markdown))
    return [
        fence["text"].partition("\n")[0]
        for before, fence in pairwise([None, *fences])
        if fence is not None
        and (
            (fence["language"] == "output" and (before is None or not _is_answer(markdown, before, fence)))
            or (fence["language"] != "output" and re.search(r"^ *\$ ", fence["text"], re.MULTILINE))
            or fence["language"] == "console"
        )
    ]


def _is_answer(markdown: str, fence: re.Match[str], following: re.Match[str]) -> bool:
    between = markdown[fence.end() : following.start()].strip()
    return fence["language"] == "sh" and following["language"] == "output" and not between


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
