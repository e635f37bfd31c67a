"""What a person sees: hostile texts do nothing, at a terminal or on a page, and wrong usage is said in one line."""

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.tiers import SOURCES
from tests.worker.commands.diff.conftest import Run, write_lines
from worker.commands.terminal import harmless

HOSTILE = (
    "<script>alert(1)</script><img src=http://x.example/a onerror=alert(2)>"
    "\x1b[2J\x1b]0;x\x07\u202eabc\u200b{{7*7}}$\\frac"
)
CHECKPOINT = Path(__file__).parents[4] / "mmorient" / "checkpoints" / "compact"


class Page(HTMLParser):
    """What a page loads, runs, and says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture
def hostile(tmp_path: Path) -> list[Path]:
    """Write labels and posts in which every text that can be is hostile."""
    sides: list[list[object]] = [[], []]
    posts = []
    for number in range(80):
        key = f"{HOSTILE} {number}"
        posts.append(
            {"id": key, "text": f"{HOSTILE} it's", "community": f"{HOSTILE} {number % 2}", "language": HOSTILE}
        )
        for side, rows in enumerate(sides):
            share = 0.9 if (number + side) % 2 else 0.2
            answer = {"label": HOSTILE if share > 0.5 else "it's", "probabilities": {HOSTILE: share, "it's": 1 - share}}
            rows.append({"id": key, "labels": {HOSTILE: answer}, "modalities": [HOSTILE, "text"]})
    return [write_lines(tmp_path / f"{name}.jsonl", rows) for name, rows in zip("lrp", (*sides, posts), strict=True)]


def test_a_page_shows_hostile_texts_and_does_nothing_of_what_they_say(hostile: list[Path], run: Run) -> None:
    """No script, no address, no handler, no template: ids, texts, communities, task and class names are shown."""
    left, right, posts = hostile
    ran = run(left, right, "--posts", posts, "--html", "page.html")
    assert ran.code == 0, ran.errors
    text = Path("page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert page.addresses
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    assert page.handlers == []
    assert "default-src 'none'" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{7*7}}" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e", "\u200b"}
    assert "⟨U+202E⟩abc⟨U+200B⟩" in text


@pytest.mark.slow
def test_plots_load_nothing_and_are_the_same_each_time(hostile: list[Path], run: Run) -> None:
    """Pictures within pictures may not fetch either; the same figures give the same page."""
    left, right, _ = hostile
    pages = []
    for name in ("one.html", "two.html"):
        run(left, right, "--html", name)
        pages.append(Path(name).read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    plots = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", pages[0])
    assert len(plots) == 3
    for plot in plots:
        drawn = Page(base64.b64decode(plot).decode())
        assert drawn.tags.isdisjoint({"script", "image", "foreignobject"})
        assert all(address.startswith("#") for address in drawn.addresses)


def test_a_terminal_is_not_steered(hostile: list[Path], run: Run) -> None:
    """Escape sequences, marks that turn text around and hidden characters are named."""
    left, right, posts = hostile
    ran = run(left, right, "--posts", posts, "--fail-over", "0")
    assert ran.code == 3
    assert "⟨U+001B⟩[2J" in ran.output
    assert "⟨U+001B⟩[2J" in ran.errors
    shown = set(ran.output + ran.errors)
    assert not shown & {"\x1b", "\x07", "\u202e", "\u200b"}


def test_harmless_texts_stay_as_they_are() -> None:
    """Scripts and emoji held together by joiners; lines become spaces, what is too long is cut."""
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f466"
    assert harmless(f"naïve 日本 עברית {family}\n") == f"naïve 日本 עברית {family} "
    assert harmless("abcdef", 4) == "abc…"


def test_the_terminal_says_what_the_object_says(tmp_path: Path, run: Run) -> None:
    """Flips, limits and notices; more than the share is exit code 3, as much is 0."""
    answers = {True: {"yes": 0.9, "no": 0.1}, False: {"yes": 0.4, "no": 0.6}}
    rows = [
        [
            {"id": str(n), "labels": {"t": {"label": "yes" if said else "no", "probabilities": answers[said]}}}
            for n in range(100)
            for said in [n < some]
        ]
        for some in (50, 52)
    ]
    left, right = (write_lines(tmp_path / name, side) for name, side in zip("lr", rows, strict=True))
    over = run(left, right, "--fail-over", "0.019")
    assert (over.code, over.errors) == (3, "moderate: too many labels flip: 2.00% of t (more than 0.019)\n")
    assert "T: 2.00% (0.00 to 5.00) of 100 posts flip, as many one way as the other within chance." in over.output
    assert "May the right replace the left? No: more labels of t flip than the limit allows." in over.output
    within = run(left, right, "--fail-over", "0.02")
    assert within.code == 0
    assert "left? Yes, as far as the limit goes" in within.output
    assert "left? These figures alone do not say" in run(left, right).output
    assert "left? Yes: no label flips." in run(left, left).output
    assert run(left, right, "--fail-over", "0.001", "--fail-over", "t=0.5").code == 0
    assert run(right, left, "--json").report()["tasks"]["t"]["by_class"][0]["change"]["value"] == 0.02


def test_known_answers_say_whether_the_right_may_replace_the_left(tmp_path: Path, run: Run) -> None:
    """Worse beyond chance is a no, better or as good a yes; marks and axes are explained on the page."""
    sides = []
    for wrong in (5, 40):
        answers = [
            ("yes", {"yes": 0.9, "no": 0.1}) if n >= wrong else ("no", {"yes": 0.3, "no": 0.7}) for n in range(200)
        ]
        sides.append(
            [
                {"id": str(n), "labels": {"t": {"label": label, "probabilities": shares}}}
                for n, (label, shares) in enumerate(answers)
            ]
        )
    left, right = (write_lines(tmp_path / name, side) for name, side in zip(("l.jsonl", "r.jsonl"), sides, strict=True))
    truth = write_lines(tmp_path / "truth.jsonl", [{"id": str(n), "t": "yes"} for n in range(200)])
    posts = write_lines(tmp_path / "posts.jsonl", [{"id": str(n), "text": "x", "community": "c"} for n in range(200)])
    html = tmp_path / "page.html"
    worse = run(left, right, "--truth", truth, "--posts", posts, "--html", html)
    assert "left? No: of the posts with a known answer, the right side has fewer correct for t." in worse.output
    page = html.read_text(encoding="utf-8")
    assert '<p class="answer">No: of the posts' in page
    assert "Leans: the right has one class more often" in page
    assert "the bars run from\n0 to 30 %" in page
    assert "e+" not in re.sub(r'src="[^"]*"', "", page)
    assert "prefers-color-scheme:dark" in page
    better = run(right, left, "--truth", truth)
    gain = "Yes, as far as the known answers go: the right side has more correct for t, and no task has fewer"
    assert gain in better.output


@pytest.mark.parametrize(("reached", "end"), [([0.05], 0.1), ([0.1], 0.1), ([0.125], 0.2), ([0.4], 0.5), ([0.9], 1.0)])
def test_an_axis_of_changes_ends_where_the_posts_do(reached: list[float], end: float) -> None:
    """Five ticks have room on it."""
    from worker.commands.diff.show.plots import _end

    assert _end(reached) == end


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument"),
        (("a.jsonl", "b/none.jsonl"), "b/none.jsonl: no such file"),
        (("a.jsonl", "file:labels"), "file:labels: no such file"),
        (("a.jsonl", "no topic"), "'no topic' is neither a file nor the name of a topic"),
        (("-", "-"), "standard input can be one side only"),
        (("a.jsonl", "a.jsonl", "--fail-over", "much"), "is not a share"),
        (("a.jsonl", "a.jsonl", "--fail-over", "2"), "between 0 and 1"),
        (("a.jsonl", "a.jsonl", "--left-checkpoint", "xyz"), "not the start of a checkpoint's digest"),
        (("a.jsonl", "a.jsonl", "--explain", "1"), "--explain needs --left-model"),
        (("a.jsonl", "a.jsonl", "--explain", "1", "--left-model", "."), "name their file with --posts"),
        (("a.jsonl", "a.jsonl", "--left-model", "none"), "no checkpoint in none"),
        (("a.jsonl", "a.jsonl", "--posts", "none.jsonl"), "no such file: none.jsonl"),
        (("a.jsonl", "a.jsonl", "--truth", "none.csv"), "no such file: none.csv"),
        (("a.jsonl", "a.jsonl", "--html", "none/x.html"), "no such folder: none"),
        (("a.jsonl", "a.jsonl", "--follow"), "--follow needs a topic"),
        (("a.jsonl", "a.jsonl", "--from", "yesterday"), "is not a bound"),
    ],
)
def test_wrong_usage_is_said_in_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2, before anything is read."""
    (tmp_path / "a.jsonl").write_text("")
    ran = run(*arguments)
    assert (ran.code, ran.output, said in ran.errors, ran.errors.count("\n")) == (2, "", True, 1), ran.errors


@pytest.mark.parametrize("name", ["l.parquet", "l.jsonl"])
def test_what_cannot_be_read_is_said_in_one_line(run: Run, tmp_path: Path, name: str) -> None:
    """A file that is no Parquet, and an empty one: nothing was compared, which no pipeline may pass."""
    (tmp_path / name).write_text("" if name == "l.jsonl" else "none")
    ran = run(name, name)
    assert (ran.code, ran.errors.count("\n"), "Traceback" in ran.errors) == (1, 1, False), ran.errors


def test_without_its_extra_the_command_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, exit code 2."""
    monkeypatch.setattr("worker.commands.diff.cli.find_spec", lambda name: None if name == "duckdb" else name)
    ran = run("a", "b")
    assert ran.code == 2
    assert ran.errors == "moderate: moderate diff needs duckdb: pip install 'mm-orient-moderation[diff]'\n"


EXTRA = {"duckdb", "scipy", "matplotlib", "jinja2", "torch"}


def test_help_imports_nothing_of_the_extra() -> None:
    """So that it answers at once, and without the extra."""
    assert SOURCES.loaded_by("worker.cli", EXTRA) == set()
    assert SOURCES.loaded_by("worker.commands.diff.read.store", EXTRA) == {"duckdb"}


@pytest.mark.slow
def test_help_loads_nothing_of_the_extra() -> None:
    """Nor does anything that it imports."""
    code = f"import sys, worker.cli; print(sorted({EXTRA} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"


@pytest.mark.model
def test_moved_posts_are_explained_by_both_models(run: Run, tmp_path: Path) -> None:
    """What `mmorient explain` says, in the object; at the terminal the words that counted most; both on the page."""
    post = {"id": "p", "text": "oh great, another monday", "media": [{"url": "http://x.example/a.png"}]}
    answers = [
        {"id": "p", "labels": {"sarcasm": {"label": name, "probabilities": {"not_sarcastic": 1 - p, "sarcastic": p}}}}
        for name, p in (("sarcastic", 0.9), ("not_sarcastic", 0.2))
    ]
    left, right = (write_lines(tmp_path / name, [row]) for name, row in zip("lr", answers, strict=True))
    posts = write_lines(tmp_path / "posts.jsonl", [post])
    arguments = (left, right, "--posts", posts, "--explain", 1, "--left-model", CHECKPOINT, "--right-model", CHECKPOINT)
    explained = run(*arguments, "--json", "--html", "page.html").report()["moved"][0]["explanations"]
    assert explained["left"] == explained["right"]
    assert explained["left"]["schema"] == "explanation/1"
    assert [one["word"] for one in explained["left"]["text"]["words"]] == ["oh", "great,", "another", "monday"]
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("How much each part adds to the probability of") == 2
    assert json.dumps(post["text"])[1:5] in page
