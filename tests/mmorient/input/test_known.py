"""What is kept about words."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mmorient.input import known
from mmorient.input.known import Known
from mmorient.input.normaliser import forget_words, known_words
from mmorient.input.units import ordinary_words


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three words are kept and no more."""
    monkeypatch.setattr(known, "_MOST_WORDS", 3)


def test_a_full_dictionary_is_left_for_one_that_takes_over_what_is_asked_for() -> None:
    """A word that is asked for again is not found out again; what nobody asked for is forgotten with the second one."""
    found: list[str] = []

    def find(word: str) -> str:
        found.append(word)
        return word.upper()

    first = Known(find)
    assert [first[word] for word in ("a", "b", "a", "c")] == ["A", "B", "A", "C"]
    assert first.bounded() is first
    assert first["d"] == "D"
    second = first.bounded()
    assert len(second) == 0
    assert second["a"] == "A"
    assert found == ["a", "b", "c", "d"]
    assert [second[word] for word in ("e", "f", "g")] == ["E", "F", "G"]
    third = second.bounded()
    assert (third["a"], third["b"]) == ("A", "B")
    assert found == ["a", "b", "c", "d", "e", "f", "g", "b"]


def test_long_words_are_not_kept() -> None:
    """Nor a call's memory with them."""
    words = Known(len)
    assert [words["a" * 33], words["a" * 32]] == [33, 32]
    assert list(words) == ["a" * 32]


def test_single_letters_are_known_as_such_in_every_dictionary() -> None:
    """So that letters that stand apart are seen, whenever their words were read first."""
    forget_words()
    assert ordinary_words("an i d i o t") is None
    assert len(known_words(among_latin=False)) == 0
    assert ordinary_words("an i d i o t") is None
    assert ordinary_words("a word alone") == ["a", "word", "alone"]


def test_threads_that_fill_it_have_the_same_answers() -> None:
    """While others leave a full dictionary."""
    forget_words()
    texts = [f"Word{number % 7} i d i o t{number % 5} a" for number in range(400)]
    expected = [ordinary_words(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ordinary_words, texts)) == expected
