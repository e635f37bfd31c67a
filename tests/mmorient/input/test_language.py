"""In which language a text is."""

import hashlib
import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from mmorient.input.characters import FOREIGN, plain
from mmorient.input.language import LANGUAGE_VERSION, LANGUAGES, MOST_CHARACTERS, languages_of
from mmorient.input.language_table import LanguageTable

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


def language_of(text: str) -> str | None:
    """Of one text."""
    return languages_of([text])[0]


@pytest.fixture(scope="module")
def library() -> LanguageIdentifier:
    """py3langid as it comes."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier


@pytest.fixture(scope="module")
def table() -> LanguageTable:
    """Its table, read by this project."""
    return LanguageTable(LANGUAGES)


def step_by_step(text: str, library: LanguageIdentifier) -> str | None:
    """The language of a text as the library finds it, by patterns that try every place."""
    letter = f"[A-Za-z{FOREIGN}]"
    not_language = re.compile(r"https?\S*|www\.\S+|[@#]\S+|&\w+;", re.IGNORECASE)
    found = re.findall(f"[A-Za-z{FOREIGN}'][^\\s!-&(-/:-@\\[-`{{-~]*", plain(not_language.sub(" ", text[:3200])))
    words = " ".join(found)[:400]
    if len(re.findall(letter, words)) < 10:
        return None
    language, confidence = library.classify(words)
    return str(language) if confidence >= 0.5 else None


def odd_text() -> st.SearchStrategy[str]:
    """Words of many scripts between signs, addresses, names, emoji and whatever else there is."""
    pieces = [word for text, _ in SAID for word in text.split()]
    signs = ["@name", "#tag", "https://x.y/z", "HTTP", "www.x.y", "WWW.", "&amp;", "&lt", "3rd", "it's", "'", "\x7f"]
    signs += [
        "\U0001f602",
        "\U0001f1e9\U0001f1ea",
        "e\u0301",
        "\u017f",
        "\u0660",
        "\x1e",
        "\ud800",
        *string.punctuation,
    ]
    piece = st.one_of(st.sampled_from([*pieces, *signs]), st.text(max_size=6))
    return st.lists(st.tuples(piece, st.sampled_from([" ", "", "\n"])), max_size=40).map(
        lambda found: "".join(map("".join, found))
    )


@settings(deadline=None, max_examples=100)
@given(texts=st.lists(odd_text(), max_size=5))
@example(texts=["", SAID[0][0].upper(), "\u4eca\u65e5\u306f" * 400, "", SAID[3][0]])
def test_the_library_would_have_answered_the_same(texts: list[str], library: LanguageIdentifier) -> None:
    """Of each text of a batch, whatever stands beside it."""
    assert languages_of(texts) == [step_by_step(text, library) for text in texts]


@settings(deadline=None, max_examples=100)
@given(texts=st.lists(odd_text(), max_size=70))
def test_confidence_is_the_librarys(texts: list[str], table: LanguageTable, library: LanguageIdentifier) -> None:
    """Up to the rounding of 32-bit sums; the text alone decides it, to the last bit."""
    found = table.classify(texts)
    for text, (language, confidence) in zip(texts, found, strict=True):
        assert (expected := library.classify(text))[1] == pytest.approx(confidence, abs=1e-5)
        assert language == expected[0] or confidence < 0.5
        assert table.classify([text]) == [(language, confidence)]


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


def test_whoever_changes_an_answer_raises_the_version() -> None:
    """Readings are kept beside embeddings, under the version; a change would go on saying what was said before."""
    words = [word for text, _ in SAID for word in text.split()]
    texts = [" ".join(words[start : start + length]) for start in range(len(words)) for length in (3, 7, 20)]
    texts += [f"@name {text} https://x.y/z #tag" for text in texts[::5]]
    said = "".join(language or "-" for language in languages_of(texts))
    assert (LANGUAGE_VERSION, hashlib.sha256(said.encode()).hexdigest()[:16]) == ("language/1", "26263fc3bbf1e47a")
