"""People's own labelled posts."""

import gzip
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
        ("a.csv", ["text,Humor", "hi,funny"], r"is 'Humor' meant for 'humour'\?"),
        ("a.csv", ["text:sarcasm", "hi:sarcastic"], r"the separator is none of commas, semicolons, tabs, bars"),
        (
            "a.csv",
            ["text,sarcasm,Sarcasm", "hi,sarcastic,"],
            r"a\.csv:1: column 'sarcasm' stands 2 times \(cells 2, 3\)",
        ),
        ("a.csv", ["text,sarcasm", "hi,sarcastc"], r"a\.csv:2: .*: is 'sarcastic' meant\?"),
        ("a.csv", ["text,sarcasm", "hi,1"], r"a\.csv:2: .*: classes are written by name"),
        (
            "a.jsonl",
            ['{"text": "hi", "sarcasm": 1}'],
            r"a\.jsonl:1: sarcasm 1 is no string: classes are written by name",
        ),
        ("a.csv", ["text,sarcasm", "one, two,sarcastic"], r"a text with a ',' in it must stand in quotes"),
        ("a.csv", ["text,sarcasm", '"never closed,sarcastic'], r"a quote that begins in this row is never closed"),
        ("a.txt", ["hi"], r"a\.txt: neither \.csv nor \.tsv nor \.jsonl"),
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


TABLE = "text,split,sarcasm\nsure thing,val,sarcastic\n"
CHANGED = {
    # What the table becomes; what it was before: refused, with what message.
    "semicolons.csv": (TABLE.replace(",", ";").encode(), "no column of a task"),
    "tabs.csv": (TABLE.replace(",", "\t").encode(), "no column of a task"),
    "tabs.tsv": (TABLE.replace(",", "\t").encode(), "neither .csv nor .jsonl"),
    "utf-16.csv": (TABLE.encode("utf-16"), "not UTF-8"),
    "utf-16-be.csv": (b"\xfe\xff" + TABLE.encode("utf-16-be"), "not UTF-8"),
    "marked.csv": (b"\xef\xbb\xbf" + TABLE.encode(), "read"),
    "sep.csv": (b"sep=;\r\n" + TABLE.replace(",", ";").encode(), "no column of a task"),
    "header.csv": (TABLE.replace("text,split,sarcasm", "Text, SPLIT ,Sarcasm").encode(), "no column of a task"),
    "classes.csv": (TABLE.replace("val,sarcastic", "Val,SARCASTIC").encode(), "split 'Val' is none of train, val"),
    "packed.csv.gz": (gzip.compress(TABLE.encode()), "neither .csv nor .jsonl"),
    "lines.ndjson": (b'{"text": "sure thing", "split": "val", "Sarcasm": "Sarcastic"}', "neither .csv nor .jsonl"),
    "array.json": (b'[{"text": "sure thing", "split": "val", "sarcasm": "sarcastic"}]', "neither .csv nor .jsonl"),
    "under.json": (b'[{"text": "sure thing", "split": "val", "labels": {"Sarcasm": "sarcastic"}}]', "neither"),
    "marked.jsonl": (b'\xef\xbb\xbf{"text": "sure thing", "split": "val", "sarcasm": "sarcastic"}', "read"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_a_table_however_it_was_written(tmp_path: Path, name: str) -> None:
    """The same post, under the name of its file."""
    content, before = CHANGED[name]
    (tmp_path / name).write_bytes(content)
    [example] = read_posts(tmp_path / name)
    assert (example.text, example.split, example.targets) == ("sure thing", "val", {"sarcasm": 1})
    assert example.source == name.split(".", maxsplit=1)[0]
    assert before


def test_bad_rows_are_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One by one, those of a kind counted after the first five; a file of nothing else is an error."""
    rows = [
        "sure,sarcastic",
        *(f"hm {number},maybe" for number in range(20)),
        "one, two,sarcastic",
        "caf\xe9,sarcastic",
    ]
    (tmp_path / "a.csv").write_bytes("\n".join(["text,sarcasm", *rows]).encode("latin-1"))
    (tmp_path / "empty.csv").touch()
    (tmp_path / "_draft.csv").write_text("nothing of ours")
    (tmp_path / "._a.csv").write_text("nothing of ours")
    assert [example.text for example in read_all(tmp_path)] == ["sure"]
    said = [record.getMessage().replace(str(tmp_path), "") for record in caplog.records]
    assert said[:2] == [
        "refused: /a.csv:3: sarcasm 'maybe' is none of not_sarcastic, sarcastic",
        "refused: /a.csv:4: sarcasm 'maybe' is none of not_sarcastic, sarcastic",
    ]
    assert said[5:] == [
        "refused: /a.csv:23: 3 cells where the header has 2: a text with a ',' in it must stand in quotes",
        "refused: /a.csv:24: not UTF-8: is the table of an old Windows code page? Save it as CSV UTF-8",
        "/empty.csv: is empty, passed over",
        "refused: 15 more rows like /a.csv:3: sarcasm … is none of not_sarcastic, sarcastic",
        "22 rows were refused",
    ]
    written(tmp_path, "b.csv", "text,sarcasm", "hi,maybe", "ho,maybe")
    with pytest.raises(DataError, match=r"b\.csv:2: sarcasm 'maybe' .*no other row can be used"):
        read_all(tmp_path)


@pytest.mark.parametrize("column", ["sentimnt", "Sentiments", "sarcasm-intensty", "offensivness"])
def test_a_misspelt_column_of_a_task_is_refused(tmp_path: Path, column: str) -> None:
    """It would be passed over, and the task not be learned: the column that is likely meant is named."""
    table = written(tmp_path, "own.csv", f"text,motivation,{column}", "fine,motivational,negative")
    lines = written(tmp_path, "own.jsonl", json.dumps({"text": "fine", "motivation": None, column: "negative"}))
    for file in (table, lines):
        with pytest.raises(
            DataError, match=r"own\.\w+:1: column '.*': is '(sentiment|sarcasm_intensity|offensive).*' meant"
        ):
            list(read_posts(file))


def test_a_column_of_another_name_is_passed_over(tmp_path: Path) -> None:
    """What resembles no task, and what stands beside the column that it resembles, is the owner's own affair."""
    file = written(tmp_path, "own.csv", "text,community,sentiment,sentiment2", "fine,gardening,negative,7")
    assert [example.targets for example in read_posts(file)] == [{"sentiment": 0}]
