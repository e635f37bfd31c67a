"""People's own labelled posts."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mmorient.errors import DataError
from mmorient.training.data.posts_file import read_posts
from mmorient.training.data.readers import read_all
from tests.mmorient.conftest import encode


def written(folder: Path, name: str, *lines: str) -> Path:
    """A file of these lines."""
    file = folder / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_a_table(tmp_path: Path) -> None:
    """Only what is known is a target; a degree comes as the reader of Memotion has it; the stem is the source."""
    (tmp_path / "meme.jpg").write_bytes(encode(Image.new("RGB", (8, 8)), "JPEG"))
    file = written(
        tmp_path,
        "forum.csv",
        "id,text,picture,split,sentiment,humour,humour_intensity,sarcasm_intensity",
        '1,"what a day, really",,val,negative,,hilarious,not_sarcastic',
        "2,,meme.jpg,train,,not_humorous,,",
        "3,nothing known,meme.jpg,train,,,,",
    )
    first, second, third = read_posts(file)
    assert first.text == "what a day, really"
    assert first.targets == {"sentiment": 0, "humour": 1, "humour_degrees": 2, "sarcasm": 0}
    assert (first.source, first.split, first.picture) == ("forum", "val", None)
    assert (second.text, second.picture, second.targets) == ("", tmp_path / "meme.jpg", {"humour": 0})
    assert third.targets == {}


def test_a_spreadsheets_table(tmp_path: Path) -> None:
    """A byte-order mark, Windows line ends and blank rows are no obstacle."""
    file = tmp_path / "sheet.csv"
    file.write_bytes(b"\xef\xbb\xbftext,sarcasm\r\nsure thing,sarcastic\r\n\r\n")
    assert [example.targets for example in read_posts(file)] == [{"sarcasm": 1}]


def test_json_lines(tmp_path: Path) -> None:
    """Labels beside the text or under ``labels``; null is unknown; a line separator within a text ends no line."""
    posts = [
        {"id": "a", "text": "so\u2028true", "motivation": "motivational", "sarcasm": None},
        {"text": "fine", "labels": {"offensiveness": "offensive", "offensiveness_intensity": "slight"}},
    ]
    lines = [json.dumps(post, ensure_ascii=False) for post in posts]
    first, second = read_posts(written(tmp_path, "own.jsonl", lines[0], "", lines[1]))
    assert first.text == "so\u2028true"
    assert first.targets == {"motivation": 1}
    assert second.targets == {"offensiveness": 1, "offensiveness_degrees": 0}


def test_a_text_keeps_its_split(tmp_path: Path) -> None:
    """About every tenth goes to validation, the same ones in any order, file and form."""
    texts = [f"made-up post {n}" for n in range(2000)]
    table = written(tmp_path, "a.csv", "text,sarcasm", *(f"{text},sarcastic" for text in texts))
    lines = written(tmp_path, "b.jsonl", *(json.dumps({"text": f" {text} "}) for text in reversed(texts)))
    splits = {example.text: example.split for example in read_posts(table)}
    assert splits == {example.text: example.split for example in read_posts(lines)}
    assert 150 < list(splits.values()).count("val") < 250
    assert [text for text in texts[:20] if splits[text] == "val"] == ["made-up post 9", "made-up post 13"]


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.csv", ["text,mood", "hello,good"], r"a\.csv:1: no column of a task: sentiment, humour, sarcasm"),
        ("a.csv", [], r"a\.csv:1: no column of a task"),
        ("a.csv", ["text,sarcasm", "hello,yes"], r"a\.csv:2: sarcasm 'yes' is none of not_sarcastic, sarcastic"),
        ("a.csv", ["text,sarcasm", '"two', 'lines",sarcastic', "hi,no"], r"a\.csv:4: sarcasm 'no'"),
        ("a.csv", ["text,sarcasm", '"two', 'lines",no'], r"a\.csv:2: sarcasm 'no'"),
        ("a.csv", ["text,sarcasm", "one, two,sarcastic"], r"a\.csv:2: 3 cells where the header has 2"),
        ("a.csv", ["text,sarcasm", "ok,sarcastic", '"never closed,sarcastic'], r"a\.csv:3: unexpected end of data"),
        ("a.csv", ["text,sarcasm", "ok,sarcastic", " ,sarcastic"], r"a\.csv:3: no text and no picture"),
        ("a.csv", ["picture,sarcasm", "gone.png,sarcastic"], r"a\.csv:2: picture 'gone\.png' is missing"),
        ("a.csv", ["text,sarcasm,split", "hi,sarcastic,test"], r"a\.csv:2: split 'test' is none of train, val"),
        (
            "a.csv",
            ["text,humour,humour_intensity", "hi,not_humorous,funny"],
            r"a\.csv:2: humour 'not_humorous' contradicts humour_intensity 'funny'",
        ),
        ("a.jsonl", ['{"text": "hi"}', "{text: 1}"], r"a\.jsonl:2: no JSON: "),
        ("a.jsonl", ['["hi"]'], r"a\.jsonl:1: no JSON object"),
        ("a.jsonl", ['{"text": {"en": "hi"}}'], r"a\.jsonl:1: text: neither a string, a number nor a list"),
        ("a.jsonl", ['{"text": "hi", "split": 7}'], r"a\.jsonl:1: split 7 is no string"),
        ("a.jsonl", ['{"text": "hi", "labels": {"sarcsm": "sarcastic"}}'], r"a\.jsonl:1: labels: 'sarcsm' is none of"),
        ("a.jsonl", ['{"text": "hi", "labels": "sarcastic"}'], r"a\.jsonl:1: labels are no JSON object"),
        ("a.txt", ["hi"], r"a\.txt: neither \.csv nor \.jsonl"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, lines: list[str], message: str) -> None:
    """With its file and the line that it begins on."""
    file = written(tmp_path, name, *lines)
    with pytest.raises(DataError, match=message):
        list(read_posts(file))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Latin-1 is named with its line, a file that is not there by its name."""
    file = tmp_path / "a.csv"
    file.write_bytes(b"text,sarcasm\nfine,sarcastic\ncaf\xe9,sarcastic\n")
    with pytest.raises(DataError, match=r"a\.csv:3: not UTF-8"):
        list(read_posts(file))
    with pytest.raises(DataError, match=r"gone\.csv: No such file"):
        list(read_posts(tmp_path / "gone.csv"))


def test_own_files_are_read_with_the_sets(tmp_path: Path) -> None:
    """Those directly in the folder, without any of the known sets."""
    written(tmp_path, "forum.csv", "text,sarcasm", "sure,sarcastic")
    written(tmp_path, "shop.jsonl", '{"text": "lovely", "sentiment": "positive"}')
    (tmp_path / "deeper").mkdir()
    written(tmp_path / "deeper", "other.csv", "nothing of ours")
    assert [(one.source, one.targets) for one in read_all(tmp_path)] == [
        ("forum", {"sarcasm": 1}),
        ("shop", {"sentiment": 2}),
    ]
