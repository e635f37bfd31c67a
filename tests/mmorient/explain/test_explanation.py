"""One post explained, held against the model's own answers."""

import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mmorient import Moderator, Picture, Post, PostLabels
from mmorient.explain.case import Case, read_case
from mmorient.explain.document import document
from mmorient.explain.explanation import explain_post
from mmorient.explain.html import page
from mmorient.explain.terminal import print_case
from mmorient.input.post_json import read_line
from tests.mmorient.explain.conftest import TEXT


def changes(whole: PostLabels, rest: PostLabels) -> dict[str, dict[str, float]]:
    """Published probabilities of the rest minus those of the whole."""
    return {
        task: {name: rest.tasks[task].probabilities[name] - share for name, share in label.probabilities.items()}
        for task, label in whole.tasks.items()
    }


def same(found: object, wanted: dict[str, dict[str, float]]) -> bool:
    """Whether two changes are equal within a rounding of the fifth digit."""
    assert isinstance(found, dict)
    return all(found[task] == pytest.approx(each, abs=1e-9) for task, each in wanted.items())


def test_the_labels_are_the_published_ones(case: Case, moderator: Moderator) -> None:
    """What is explained is what ``Moderator.label`` says."""
    assert case.explanation.labels == moderator.label([case.line.post])[0]


def test_without_a_part_is_the_post_labelled_without_it(case: Case, moderator: Moderator) -> None:
    """The text, each picture, all pictures, a word: the answer is that for a post that never had it."""
    first, second = case.line.post.pictures
    reduced = {
        ("text", None): Post(pictures=(first, second)),
        ("picture", 0): Post(TEXT, (second,)),
        ("picture", 1): Post(TEXT, (first,)),
        ("pictures", None): Post(TEXT),
    }
    found = {(one.removal.part, one.removal.index): one for one in case.explanation.without}
    assert found.keys() == reduced.keys()
    for part, post in reduced.items():
        [labels] = moderator.label([post])
        assert found[part].labels == labels
        assert same(found[part].changes, changes(case.explanation.labels, labels))
        assert not found[part].nothing_left


def test_without_a_word_is_the_text_without_it(case: Case, moderator: Moderator) -> None:
    """The most attended words go, each alone."""
    reading = case.explanation.text
    assert reading is not None
    assert len(case.explanation.without_words) == 4
    for word, without in zip(reading.read, case.explanation.without_words, strict=False):
        text = TEXT[: word.start] + TEXT[word.end :]
        [labels] = moderator.label([replace(case.line.post, text=text)])
        assert reading.words[without.removal.index or 0] == word
        assert without.labels == labels
        assert same(without.changes, changes(case.explanation.labels, labels))


def test_a_post_of_one_part_leaves_nothing(moderator: Moderator, pictures: list[Picture]) -> None:
    """Then the answer is that of an empty post, and is marked as such."""
    for post in (Post("hello"), Post(pictures=(pictures[0],))):
        explanation = explain_post(moderator, post)
        [without] = explanation.without
        assert without.nothing_left
        assert explanation.without_words == ()
        assert (explanation.near_text is None) == (post.text is None)
        assert (explanation.near_picture is None) == (not post.pictures)


def test_media_keep_their_places(case: Case) -> None:
    """The picture after a medium that could not be used is still the third medium; turned pictures are turned."""
    assert case.media == (0, 2)
    assert [case.picture(index).size for index in (0, 1)] == [(90, 60), (40, 100)]
    assert [(one.width, one.height) for one in case.explanation.pictures] == [(90, 60), (40, 100)]


def test_text_drawn_over_a_picture_is_told_apart(post: Path, moderator: Moderator) -> None:
    """A post without a text of its own is explained by what its producer says is drawn."""
    media = [{"path": "a.png", "ocr_text": "MONDAYS again"}]
    case = read_case(json.dumps({"id": "d", "media": media}).encode(), post.parent, moderator, neighbours=1, words=1)
    assert not case.own_text
    assert document(case)["text"]["source"] == "drawn"


def test_the_document_has_every_field(case: Case) -> None:
    """Programs find the same keys whatever the post; shares sum to 1."""
    found = json.loads(json.dumps(document(case)))
    assert list(found) == [
        *("id", "labels", "modalities", "unavailable", "text", "pictures", "neighbours", "without", "without_words"),
        *("model", "schema"),
    ]
    assert found["schema"] == "explanation/1"
    assert found["unavailable"] == [{"index": 1, "reason": "not_fetched"}]
    assert sum(word["attention"] or 0 for word in found["text"]["words"]) == pytest.approx(1, abs=1e-4)
    assert [picture["index"] for picture in found["pictures"]] == [0, 2]
    assert all(sum(picture["attention"]) == pytest.approx(1, abs=1e-4) for picture in found["pictures"])
    assert [len(found["neighbours"][by]["posts"]) for by in ("by_text", "by_picture")] == [3, 3]
    assert [(one["part"], one["index"]) for one in found["without"]] == [
        *(("text", None), ("picture", 0), ("picture", 2), ("pictures", None))
    ]
    assert set(found["labels"]) == set(found["without"][0]["changes"]) == {*case.explanation.labels.tasks}


def test_a_post_without_a_text_has_none_in_the_document(post: Path, moderator: Moderator) -> None:
    """What a post lacks is null or empty."""
    line = json.dumps({"id": "d", "media": [{"path": "a.png"}]}).encode()
    found = document(read_case(line, post.parent, moderator, neighbours=0, words=0))
    assert found["text"] is None
    assert found["neighbours"]["by_text"] is None
    assert found["neighbours"]["by_picture"]["posts"] == []
    assert found["without_words"] == []


HOSTILE = "<script>alert(1)</script> \"onload=x' &lt; \u202egnp.exe \x1b[31mred <img/src=http://evil.example/x>"


def test_a_hostile_post_stays_text(post: Path, moderator: Moderator) -> None:
    """The page loads nothing and runs nothing; a terminal gets no escape sequence; what hides is named."""
    line = {"id": "<b>\x1b]0;x\x07", "text": HOSTILE, "media": [{"path": "a.png"}]}
    case = read_case(json.dumps(line).encode(), post.parent, moderator, neighbours=2, words=8)
    html = page(case)
    assert not re.search(r"<(script|b|img/|link|iframe|object)\b", html)
    assert set(re.findall(r'(?:src|href)="([^":]*):', html)) == {"data"}
    assert "http:" not in re.sub(r"&lt;img/src=http://evil\.example/x&gt;", "", html)
    assert "url(" not in html
    assert "@import" not in html
    printed = StringIO()
    print_case(case, Console(file=printed, width=60, highlight=False, markup=False, emoji=False))
    for shown in (html, printed.getvalue()):
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
        assert "U+202E" in shown
        assert "U+001B" in shown


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_is_never_overrun(case: Case, width: int) -> None:
    """Lines are no wider than it is, and colours go to a terminal only."""
    printed = StringIO()
    print_case(case, Console(file=printed, width=width, highlight=False, markup=False, emoji=False))
    assert max(map(len, printed.getvalue().splitlines())) <= width
    assert "\x1b" not in printed.getvalue()
    coloured = StringIO()
    print_case(case, Console(file=coloured, width=width, force_terminal=True, color_system="truecolor"))
    assert "\x1b[" in coloured.getvalue()


def test_the_page_is_whole(case: Case) -> None:
    """Every label, every word and every picture with its map are on it."""
    html = page(case)
    assert html.count("data:image/jpeg;base64,") == 4
    for label in case.explanation.labels.tasks.values():
        assert label.label.replace("_", " ") in html
    for word in ("#MondayMotivation", "@John_Doe:", "face with tears of joy"):
        assert word in html
    assert case.explanation.model.checkpoint in html


def test_originals_come_only_where_they_are_asked_for(post: Path) -> None:
    """The content of each usable picture, in order; the unusable medium has none."""
    files: list[bytes] = []
    line = read_line(post.read_bytes(), post.parent, files=files)
    assert len(files) == len(line.post.pictures) == 2
    assert files[0] == (post.parent / "a.png").read_bytes()


def test_a_threshold_is_drawn_where_an_operator_set_one(case: Case, post: Path, untrained: Path) -> None:
    """In all three renderings; without one nothing speaks of it, and the label is the largest number."""
    held = Moderator.from_checkpoint(untrained, thresholds={"offensiveness": 0.9999})
    other = read_case(post.read_bytes(), post.parent, held, neighbours=1, words=0)
    for one, marks in ((case, 0), (other, 1)):
        said = StringIO()
        print_case(one, Console(file=said, width=200))
        assert said.getvalue().count("threshold\u00a00.9999") == marks
        assert page(one).count('<b style="left:100.0%" title="threshold 0.9999"></b>') == marks
        assert page(one).count('<p class="held">threshold 0.9999: ') == marks
        thresholds = [answer["threshold"] for answer in document(one)["labels"].values() if "threshold" in answer]
        assert thresholds == [0.9999] * marks
    assert all(
        label.probabilities[label.label] == max(label.probabilities.values())
        for label in case.explanation.labels.tasks.values()
    )


def test_a_very_long_word_is_shortened(moderator: Moderator) -> None:
    """In tables, not in the text itself."""
    word = "https://example.org/" + "x" * 500
    line = json.dumps({"id": "u", "text": f"see {word}"}).encode()
    case = read_case(line, Path(), moderator, neighbours=0, words=2)
    assert {len(case.name(one.removal)) for one in case.explanation.without_words} == {5, 42}
    assert page(case).count("x" * 500) == 1
