"""The site as it is built: strict, whole, from code, and out of itself."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import urlsplit

import click
import pytest

from docs.generate import linked
from docs.generate.commands import commands
from mmorient.cli import mmorient
from schemas import EVENTS
from tests.docs.pages import ROOT
from worker.cli import moderate
from worker.commands.options import setting_variables
from worker.telemetry.metrics import METRICS

# To build it takes six seconds of the processor.
pytestmark = pytest.mark.slow
_ASSETS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
_PAGES_OF_A_LINK = ("canonical", "next", "prev", "edit")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does; a warning fails it."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder


class _Links(HTMLParser):
    """What a page leads to and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.in_nav: list[str] = []
        self._navs = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._navs += tag == "nav"
        if tag == "a" and given.get("href"):
            self.leads.append(str(given["href"]))
            if self._navs:
                self.in_nav.append(str(given["href"]))
        elif tag in _ASSETS and given.get(_ASSETS[tag]) and given.get("rel") not in _PAGES_OF_A_LINK:
            self.loads.append(str(given[_ASSETS[tag]]))

    def handle_endtag(self, tag: str) -> None:
        self._navs -= tag == "nav"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, _Links]:
    """Give the site's pages by their path."""
    return {str(file.relative_to(site)): _Links(file.read_text("utf-8")) for file in sorted(site.rglob("*.html"))}


def inside(page: str, links: list[str]) -> set[str]:
    """Return the files of the site that links of a page name."""
    parts = [urlsplit(link) for link in links]
    return {
        normpath(join(dirname(page), part.path)) for part in parts if part.path and not part.netloc and not part.scheme
    }


def test_every_page_is_reached_from_the_start(pages: dict[str, _Links]) -> None:
    """By the navigation; what stands beside docs/ may be reached by a link of another page instead."""
    navigated = inside("index.html", pages["index.html"].in_nav)
    named = {target for name, page in pages.items() for target in inside(name, page.leads)}
    own = {str(file.relative_to(ROOT / "docs").with_suffix(".html")) for file in (ROOT / "docs").rglob("*.md")}
    own = {name.replace("README.html", "index.html") for name in own}
    assert own <= navigated
    assert pages.keys() - {"404.html"} <= navigated | named


def test_every_link_leads_to_a_file(site: Path, pages: dict[str, _Links]) -> None:
    """Within the site; mkdocs does not look at those that the theme makes."""
    for name, page in pages.items():
        for target in inside(name, page.leads + page.loads) if name != "404.html" else ():
            assert (site / target).exists() or target == ".", f"{name} links to {target}"


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[str, _Links]) -> None:
    """No font, script, style or picture; and nothing that makes the theme load one (diagrams)."""
    for name, page in pages.items():
        assert [link for link in page.loads if urlsplit(link).netloc] == [], name
        assert 'class="mermaid"' not in (site / name).read_text(encoding="utf-8")
    for style in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")) == []


def test_the_reference_has_everything_that_the_code_has(site: Path) -> None:
    """Every setting, metric, event, command and option."""
    settings = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    assert [name for name in setting_variables() if f"<code>{name}</code>" not in settings] == []
    metrics = (site / "reference" / "metrics.html").read_text(encoding="utf-8")
    assert [one.name for one in METRICS if f"<code>{one.name}</code>" not in metrics] == []
    events = (site / "reference" / "events.html").read_text(encoding="utf-8")
    assert [one.name for one in EVENTS if f'id="{one.name}"' not in events] == []
    for group in (moderate, mmorient):
        page = (site / "reference" / f"{group.name}.html").read_text(encoding="utf-8")
        for command, name in commands(group, str(group.name)):
            if not isinstance(command, click.Group):
                assert f'id="{name.replace(" ", "-")}"' in page
                options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
                shown = [option for one in options for option in one.opts]
                assert [option for option in shown if f"<code>{option}</code>" not in page] == [], name


def test_commands_and_answers_look_different(site: Path) -> None:
    """An answer has a frame of its own, and no button that copies it."""
    assert 'class="language-output highlight"' in (site / "tutorial.html").read_text(encoding="utf-8")
    style = (site / "assets" / "site.css").read_text(encoding="utf-8")
    assert ".language-output pre > code" in style
    assert ".language-output .md-clipboard" in style


def test_the_home_page_shows_the_stream(site: Path) -> None:
    """As a picture, with words for who does not see it."""
    (picture,) = re.findall(r'<img alt="([^"]+)" src="assets/stream.svg"', (site / "index.html").read_text("utf-8"))
    assert "one transaction" in picture


def test_links_into_the_repository_become_links_of_the_site() -> None:
    """Relative to the page's place on the site; fenced blocks and other hosts stay."""
    markdown = "[a](../tests/x/README.md#b) [c](https://d.example/e.md)\n```\n[a](../tests/x/README.md)\n```\n"
    place = {"docs/how/p.md": "how/p.md", "docs/tests/x/README.md": "tests/x/README.md"}.get
    assert linked.rewritten(markdown, "docs/how/p.md", place) == markdown
    outside = {"docs/how/p.md": "how/p.md", "tests/x/README.md": "tests/x/README.md"}.get
    deep = markdown.replace("../tests", "../../tests")
    assert linked.rewritten(deep, "docs/how/p.md", outside).startswith("[a](../tests/x/README.md#b) [c](https://d")
    assert "```\n[a](../../tests/x/README.md)\n```" in linked.rewritten(deep, "docs/how/p.md", outside)
    assert list(linked.targets(deep, "docs/how/p.md")) == ["tests/x/README.md"]
