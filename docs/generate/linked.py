"""Files and folders outside docs/ that pages link to become part of the site: Markdown as a page, else as a listing.

A link says where a file is in the repository, so that it works for who reads it there; here it is turned into one that
works on the site. A file of the repository has its path on the site, those of docs/ have it without `docs/`.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

_LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")
_FENCED = re.compile(r"^(?P<fence> *```).*?^(?P=fence) *$", re.MULTILINE | re.DOTALL)
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".sh": "sh"}
_PICTURES = {".png", ".svg", ".jpg", ".webp", ".gif"}
DOCS = "docs/"
README = "README.md"


def prose(markdown: str) -> Iterator[tuple[str, bool]]:
    """Return the text in parts, and whether a part is prose: not a fenced block."""
    end = 0
    for fenced in _FENCED.finditer(markdown):
        yield markdown[end : fenced.start()], True
        yield fenced.group(), False
        end = fenced.end()
    yield markdown[end:], True


def targets(markdown: str, path: str) -> Iterator[str]:
    """Return the paths in the repository of the files that a page links to.

    Args:
        markdown: of the page.
        path: of the page in the repository.
    """
    for text, is_prose in prose(markdown):
        for link in _LINK.finditer(text) if is_prose else ():
            if ":" not in link["target"]:
                yield posixpath.normpath(posixpath.join(posixpath.dirname(path), link["target"]))


def rewritten(markdown: str, path: str, place: Callable[[str], str | None]) -> str:
    """Return the page with its links as they are on the site.

    Args:
        markdown: of the page.
        path: of the page in the repository.
        place: a path in the repository to the one on the site; None where it is not there.
    """
    here = posixpath.dirname(place(path) or path)

    def link(match: re.Match[str]) -> str:
        if ":" in match["target"]:
            return match.group()
        there = place(posixpath.normpath(posixpath.join(posixpath.dirname(path), match["target"])))
        return match.group() if there is None else posixpath.relpath(there, here or ".") + (match["anchor"] or "")

    return "".join(_LINK.sub(link, text) if is_prose else text for text, is_prose in prose(markdown))


def site_path(path: str, root: Path) -> str:
    """Return the source path on the site of a file or folder of the repository."""
    if (root / path / README).is_file():
        return f"{path}/{README}"
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return path if path.endswith(".md") or is_picture(path) else f"{path}.md"


def is_picture(path: str) -> bool:
    """Return whether a file is a picture, which is on the site as it is."""
    return Path(path).suffix in _PICTURES


def listing(path: str, root: Path) -> str:
    """Return the page that shows a folder, or a file that is no Markdown."""
    if (root / path).is_dir():
        names = sorted(one.name for one in (root / path).iterdir() if one.is_file())
        return f"# `{path}/`\n\n" + "".join(f"- [{name}]({posixpath.basename(path)}/{name})\n" for name in names)
    text = (root / path).read_text(encoding="utf-8")
    # A fence longer than any in the file.
    fence = "`" * max([3, *(len(found) + 1 for found in re.findall(r"`{3,}", text))])
    return f"# `{path}`\n\n{fence}{_LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
