"""The evaluation report."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmorient.cli import mmorient
from mmorient.labels import TASKS
from mmorient.training.judging.evaluating import Score
from mmorient.training.judging.metrics import Bin
from mmorient.training.judging.report import _page, write_report

VOID = {"meta", "br", "img", "link"}
ABOUT = {"checkpoint": "made-up <one>", "precision": "fp32", "split": "val", "date": "2030-01-02"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; fails where tags do not close."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def score(
    source: str, modalities: str, task: str, part: str = "all", *, error: float = 3.21, absent: str = ""
) -> Score:
    """Made up: the more classes, the more posts."""
    classes = TASKS[task].classes
    confusion = [
        [0 if name == absent else 40 if row == column else 7 + row for column in range(len(classes))]
        for row, name in enumerate(classes)
    ]
    return Score(
        source=source,
        modalities=modalities,
        task=task,
        slice=part,
        posts=sum(map(sum, confusion)),
        macro_f1=71.25,
        macro_recall=72.5,
        f1=68.75,
        calibration_error=error,
        intervals={
            "macro_f1": (66.1, 75.9),
            "macro_recall": (67.2, 76.8),
            "f1": (60.3, 74.4),
            "calibration_error": (error / 2, error * 2),
        },
        precision=dict.fromkeys(classes, 70.12),
        recall=dict.fromkeys(classes, 73.34),
        confusion=confusion,
        reliability=[Bin(0.55, 0.5, 10, 10), Bin(0.75, 0.7, 30, 30), Bin(0.97, 0.95, 54, 54)],
    )


SCORES = [
    score("irony", "text", "sarcasm"),
    score("irony", "text", "sarcasm", part="identity", error=9.87),
    score("my <b>forum</b>", "text+image", "sentiment"),
    score("my <b>forum</b>", "text", "sentiment"),
]


@pytest.fixture
def content(tmp_path: Path) -> str:
    """The page of the scores above."""
    write_report(SCORES, ABOUT, tmp_path / "report.html")
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_one_page_that_needs_nothing_else(content: str) -> None:
    """No link leads out of it, nothing is loaded, nothing runs, and what people wrote is escaped."""
    page = Page(content)
    assert not re.search(r"(https?:)?//", content)
    assert not {"script", "link", "img", "iframe", "b"} & {tag for tag, _ in page.tags}
    anchors = {attributes["id"] for attributes in page.of("section") if "id" in attributes}
    assert {f"#{anchor}" for anchor in anchors} == {attributes["href"] for attributes in page.of("a")}
    assert len(anchors) == 3
    assert "made-up <one>" in page.texts
    assert "prefers-color-scheme:dark" in content
    assert "@media print" in content


def test_its_figures(content: str) -> None:
    """Those of the scores: with intervals in the summary and the slices, by class, and as counts."""
    page = Page(content)
    text = " ".join(page.texts)
    assert page.texts.count("71.25") == len(SCORES)
    assert page.texts.count("66.1 \u2013 75.9") == len(SCORES)
    assert {"70.12", "73.34", "identity", "9.87", "not sarcastic", "40", "74%"} <= {one.strip() for one in page.texts}
    assert text.count("ECE 3.21 (1.6 \u2013 6.4)") == 3
    assert "those of ECE from 0 to 10" in text


def test_few_posts_of_a_class_are_warned_of() -> None:
    """Under a hundred; a class without any is named, and no figure is given of it."""
    few = score("ours", "text", "sentiment", absent="neutral")
    assert few.warning == (
        "under 100 posts of negative (54), positive (58); none of neutral, which no mean counts: chance may explain "
        "such figures"
    )
    page = Page(_page([few], ABOUT))
    assert few.warning[1:] + "." in " ".join(page.texts)
    rows = [" ".join(page.texts).split("neutral ")[1].split()[:3]]
    assert rows == [["70.12", "\u2013", "0"]]
    assert replace(few, confusion=[[100 * count for count in row] for row in SCORES[0].confusion],
                   recall=SCORES[0].recall).warning == ""  # fmt: skip


def test_its_tables_can_be_read_aloud(content: str) -> None:
    """Each has a caption and scoped heads, each diagram a name."""
    page = Page(content)
    assert len(page.of("table")) == len(page.of("caption")) == 1 + 3 * 2 + 1
    assert {attributes.get("scope") for attributes in page.of("th")} == {"row", "col"}
    diagrams = [attributes for attributes in page.of("svg") if attributes.get("role") == "img"]
    assert len(diagrams) == 3
    assert all(attributes["aria-label"] for attributes in diagrams)
    assert len([attributes for attributes in page.of("circle") if attributes["class"] == "dot"]) == 3 * 3


def test_bars_stand_where_their_figures_are(content: str) -> None:
    """Half of the range of ECE ends where 6.42 of 10 lies."""
    ends = [float(one["x2"] or 0) for one in Page(content).of("line") if one["class"] == "range"]
    assert ends[:4] == pytest.approx([3 + 90 * share for share in (0.759, 0.768, 0.744, 0.642)], abs=0.05)


def test_the_commands_report(untrained: Path, tmp_path: Path) -> None:
    """Beside the table or the JSON lines; a folder that is not there is named before anything is labelled."""
    (tmp_path / "own.csv").write_text(
        "text,split,sarcasm\nsure thing,val,sarcastic\nit rains,val,not_sarcastic\nyes,train,sarcastic\n"
    )
    asked = ["evaluate", str(tmp_path), "--checkpoint", str(untrained), "--html", str(tmp_path / "report.html")]
    table = CliRunner().invoke(mmorient, asked)
    assert table.exit_code == 0, table.output
    assert "own        text        sarcasm        all            2" in table.stdout
    assert "warning: own, sarcasm: under 100 posts of not_sarcastic (1), sarcastic (1)" in table.stderr
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert {"own", "fp32", "bank", "val"} <= set(page.texts)
    again = json.loads(CliRunner().invoke(mmorient, [*asked, "--json"]).stdout)
    assert [(one["source"], one["posts"], sum(bin_["posts"] for bin_ in one["reliability"])) for one in again] == [
        ("own", 2, 2)
    ]
    nowhere = [*asked[:-1], str(tmp_path / "gone" / "report.html")]
    assert "gone: no such folder" in CliRunner().invoke(mmorient, nowhere).stderr
