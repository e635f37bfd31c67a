"""What mkdocs asks when it builds the site: the reference from code, and the files that pages link to.

The reference is made at each build and committed nowhere: a setting that is added is on the site without anybody
thinking of it, and two changes at once do not meet in a generated file.
"""

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

PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings.page,
    "reference/metrics.md": metrics.page,
    "reference/events.md": events.page,
    "reference/training.md": training.page,
    "reference/moderate.md": lambda: commands.page(moderate, "moderate", with_settings=True),
    "reference/mmorient.md": lambda: commands.page(mmorient, "mmorient", with_settings=False),
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put into the navigation what a pattern there stands for, so that a new decision is in it by itself."""
    config.nav = _expanded(config.nav, Path(config.docs_dir))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference, the pages of the navigation that stand outside docs/, and all that pages link to."""
    for path, page in PAGES.items():
        files.append(File.generated(config, path, content=page()))
    waiting = [(f"{linked.DOCS}{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    in_nav = _outside(config.nav, files)
    waiting += [("mkdocs.yml", f"[]({path})") for path in in_nav]
    while waiting:
        path, markdown = waiting.pop()
        for target in linked.targets(markdown, path):
            there = linked.site_path(target, ROOT)
            # Of what is missing mkdocs itself says so.
            if files.get_file_from_path(there) or target.startswith(linked.DOCS) or not (ROOT / target).exists():
                continue
            file = _beside(config, target, there)
            # What is only linked to is reached by its link.
            file.inclusion = InclusionLevel.INCLUDED if there in in_nav else InclusionLevel.NOT_IN_NAV
            files.append(file)
            if linked.is_picture(there):
                continue
            waiting.append((there if (ROOT / there).is_file() else target, file.content_string))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Turn links into the repository into links of the site."""
    del config
    known = {file.src_uri for file in files}

    def place(path: str) -> str | None:
        there = linked.site_path(path, ROOT)
        return there if there in known else None

    source: str = page.file.src_uri
    if (ROOT / linked.DOCS / source).is_file() or source in PAGES:
        source = f"{linked.DOCS}{source}"
    elif not (ROOT / source).is_file():
        source = source.removesuffix(".md")
    return linked.rewritten(markdown, source, place)


def _expanded(nav: Any, folder: Path) -> Any:
    if isinstance(nav, dict):
        return {title: _expanded(below, folder) for title, below in nav.items()}
    if not isinstance(nav, list):
        return nav
    return [
        one
        for below in nav
        for one in (
            sorted(str(file.relative_to(folder)) for file in folder.glob(below))
            if isinstance(below, str) and "*" in below
            else [_expanded(below, folder)]
        )
    ]


def _outside(nav: Any, files: Files) -> list[str]:
    """Return the pages of the navigation that are not in docs/, as paths of the repository."""
    if isinstance(nav, dict):
        nav = list(nav.values())
    if isinstance(nav, list):
        return [path for one in nav for path in _outside(one, files)]
    return [nav] if isinstance(nav, str) and not files.get_file_from_path(nav) and (ROOT / nav).is_file() else []


def _beside(config: MkDocsConfig, path: str, there: str) -> File:
    """Return a file or folder of the repository as a page of the site; a picture as it is."""
    if linked.is_picture(there):
        return File.generated(config, there, content=(ROOT / there).read_bytes())
    is_page = (ROOT / there).is_file()
    content = (ROOT / there).read_text(encoding="utf-8") if is_page else linked.listing(path, ROOT)
    return File.generated(config, there, content=content)
