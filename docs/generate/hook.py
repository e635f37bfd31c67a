"""What mkdocs asks when it builds the site: the reference from code, and the files that pages link to.

The reference is made at each build and committed nowhere: a setting that is added is on the site without anybody
thinking of it, and two changes at once do not meet in a generated file.
"""

import logging
import posixpath
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from docs.generate import commands, events, linked, metrics, settings, training  # noqa: E402 - the root first
from mmorient.cli import mmorient  # noqa: E402
from worker.cli import moderate  # noqa: E402

# As mkdocs's own loggers, so that --strict counts the warnings.
_log = logging.getLogger("mkdocs.hooks.linked")

PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings.page,
    "reference/metrics.md": metrics.page,
    "reference/events.md": events.page,
    "reference/training.md": training.page,
    "reference/moderate.md": lambda: commands.page(moderate, "moderate", with_settings=True),
    "reference/mmorient.md": lambda: commands.page(mmorient, "mmorient", with_settings=False),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference, the pages of the navigation that stand outside docs/, and all that pages link to."""
    for path, page in PAGES.items():
        files.append(File.generated(config, path, content=page()))
    waiting = [(f"{linked.DOCS}{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    waiting += [("mkdocs.yml", f"[]({path})") for path in _outside(config.nav, files)]
    while waiting:
        path, markdown = waiting.pop()
        for target in linked.targets(markdown, path):
            if files.get_file_from_path(linked.site_path(target)) or not (ROOT / target).is_file():
                continue  # of what is missing, mkdocs itself says so
            if target.startswith(linked.DOCS):
                continue
            file = _beside(config, target)
            files.append(file)
            if target.endswith(".md"):
                waiting.append((target, file.content_string))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Turn links into the repository into links of the site."""
    del config
    known = {file.src_uri for file in files}

    def place(path: str) -> str | None:
        there = linked.site_path(path)
        return there if there in known else None

    outside = not (ROOT / linked.DOCS / page.file.src_uri).is_file() and page.file.src_uri not in PAGES
    path = page.file.src_uri if outside else f"{linked.DOCS}{page.file.src_uri}"
    return linked.rewritten(markdown, path, place)


def _outside(nav: Any, files: Files) -> list[str]:
    """Return the pages of the navigation that are not in docs/, as paths of the repository."""
    if isinstance(nav, dict):
        nav = list(nav.values())
    if isinstance(nav, list):
        return [path for one in nav for path in _outside(one, files)]
    return [nav] if isinstance(nav, str) and not files.get_file_from_path(nav) and (ROOT / nav).is_file() else []


def _beside(config: MkDocsConfig, path: str) -> File:
    file = ROOT / path
    content = file.read_text(encoding="utf-8") if path.endswith(".md") else linked.listing(file, path)
    made = File.generated(config, linked.site_path(path), content=content)
    made.inclusion = InclusionLevel.INCLUDED
    _log.debug("%s is taken in from %s", made.src_uri, posixpath.dirname(path) or "the root")
    return made
