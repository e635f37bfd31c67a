"""In which language a text is."""

import pytest

from mmorient.input.language import LANGUAGES, MOST_CHARACTERS, language_of

SAID = [
    ("oh great, another monday at the office", "en"),
    ("Das ist ja wieder mal typisch, nicht wahr?", "de"),
    ("Je ne sais pas pourquoi il fait si froid", "fr"),
    ("no entiendo por qu\u00e9 siempre llueve los lunes", "es"),
    ("n\u00e3o sei porque chove sempre na segunda", "pt"),
    ("non capisco perch\u00e9 piove sempre il luned\u00ec", "it"),
    (
        "почему снова идёт дождь",
        "ru",
    ),
    ("لا أعرف لماذا تمطر اليوم", "ar"),
    ("\u4eca\u65e5\u306f\u3068\u3066\u3082\u5bd2\u3044\u3067\u3059\u306d", "ja"),
]


@pytest.mark.parametrize(("text", "language"), SAID)
def test_a_texts_language_is_named(text: str, language: str) -> None:
    """By its letters, whatever else is in it."""
    assert language_of(text) == language
    assert language_of(f"@jemand #ichbinmude https://example.de/der-die-das {text} \U0001f602") == language


@pytest.mark.parametrize(
    "text", ["", "lol", "ok \U0001f602\U0001f602", "@user https://x.y #something", "12345 67890", "\u200b" * 50]
)
def test_a_text_of_few_letters_has_none(text: str) -> None:
    """Ten letters are the least."""
    assert language_of(text) is None


def test_letters_that_are_of_no_language_have_none() -> None:
    """Where the detector is not sure, it does not say."""
    assert language_of("xkcd qwrt zxcv bnmp lkjh") is None


def test_the_same_text_has_the_same_answer_at_bounded_cost() -> None:
    """Only the first characters count, so that a long text costs no more."""
    long = SAID[0][0] + " " + "and so on " * 100
    assert language_of(long) == language_of(long + "\u4eca\u65e5\u306f" * 50_000) == "en"
    assert len(long) > MOST_CHARACTERS


def test_every_answer_is_of_the_list() -> None:
    """The metric has a series a language."""
    assert len(set(LANGUAGES)) == len(LANGUAGES) < 64
    assert {language for _, language in SAID} <= set(LANGUAGES)
