"""How many offensive posts are still called offensive once their author hides their words, by way of hiding.

    python -m bench.evasions DATA [--posts 300]

DATA holds TweetEval's ``offensive/val_text.txt`` and ``val_labels.txt``. Of the posts that are offensive and that the
checkpoint calls so as they are, every word of four letters or more is hidden, one way at a time; both readings label
the same posts: the checkpoint's own, and one that does what text/1 did (NFKC, user names, addresses, emoji by their
Unicode name). What is left alone: addresses, user names, hashtags.
"""

from __future__ import annotations

import argparse
import html
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from mmorient import Moderator, Post
from mmorient.input.text import TextReader, TextWindows, Window

_URL = re.compile(r"https?\S*|www\.\S+", re.IGNORECASE)
_USER = re.compile(r"@\w+")
_WORD = re.compile(r"(?<![\w@#'])[A-Za-z]{4,}(?![\w'])")
_LOOKS = dict(
    zip("aceiopsxyhjd", "\u0430\u0441\u0435\u0456\u043e\u0440\u0455\u0445\u0443\u04bb\u0458\u0501", strict=True)
)
_LEET = dict(zip("aeiost", "431057", strict=True))
_VOWELS = "aeiou"


def homoglyphs(word: str, _: random.Random) -> str:
    """Cyrillic letters that look the same."""
    return "".join(_LOOKS.get(one, one) for one in word.lower())


def zero_width(word: str, _: random.Random) -> str:
    """A space of no width between all letters."""
    return "\u200b".join(word)


def spaced(word: str, _: random.Random) -> str:
    """Spaces between letters, two between words."""
    return f" {' '.join(word)} "


def dotted(word: str, _: random.Random) -> str:
    """Dots between letters."""
    return ".".join(word)


def leetspeak(word: str, _: random.Random) -> str:
    """Digits in the place of letters."""
    return "".join(_LEET.get(one, one) for one in word.lower())


def stretched(word: str, chance: random.Random) -> str:
    """A vowel four to seven times."""
    places = [place for place, one in enumerate(word) if one.lower() in _VOWELS] or [len(word) - 1]
    place = chance.choice(places)
    return word[:place] + word[place] * chance.randint(4, 7) + word[place + 1 :]


def squared(word: str, _: random.Random) -> str:
    """White letters in black squares."""
    return "".join(chr(0x1F170 + ord(one) - ord("a")) for one in word.lower())


def emoji_between(word: str, _: random.Random) -> str:
    """A laughing face between all letters."""
    return "\U0001f602".join(word)


def struck(word: str, _: random.Random) -> str:
    """Four marks on each letter."""
    return "".join(one + "\u0336\u0301\u0328\u0310" for one in word)


def fancy(word: str, _: random.Random) -> str:
    """Mathematical letters."""
    return "".join(chr(0x1D4EA + ord(one) - ord("a")) for one in word.lower())


WAYS: dict[str, Callable[[str, random.Random], str]] = {
    "homoglyphs": homoglyphs,
    "zero-width": zero_width,
    "spaced": spaced,
    "dotted": dotted,
    "leetspeak": leetspeak,
    "stretched": stretched,
    "squared letters": squared,
    "emoji between": emoji_between,
    "struck through": struck,
    "mathematical": fancy,
}


def hide(text: str, way: Callable[[str, random.Random], str]) -> str:
    """Hide a post's words; the same post in the same way always."""
    chance = random.Random(text)  # noqa: S311 - nobody is to be kept from guessing
    return _WORD.sub(lambda found: way(found[0], chance), text)


class Text1Reader(TextReader):
    """Reads words as text/1 did."""

    def read(self, texts: Sequence[str]) -> list[TextWindows]:
        """Each text in windows."""
        words = [[text1_word(word) or " " for word in text.split()] or [" "] for text in texts]
        encodings = self._tokenizer.encode_batch(words, is_pretokenized=True, add_special_tokens=False)
        return [TextWindows(self._windows_of(encoding.ids), 0.0, truncated=False) for encoding in encodings]

    def _windows_of(self, ids: list[int]) -> list[Window]:
        return self._split(ids, [-1] * len(ids))


def text1_word(word: str) -> str:
    """What text/1 read of a word."""
    word = unicodedata.normalize("NFKC", html.unescape(word))
    word = _USER.sub(" @user ", _URL.sub(" http ", word))
    if "#" in word:
        word = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word.replace("#", " "))
    return " ".join("".join(map(_text1_character, word)).lower().split())


def _text1_character(character: str) -> str:
    if character in "\u2018\u2019":
        return "'"
    if character in "\u201c\u201d":
        return '"'
    if "\ufe00" <= character < "\ufe10" or "\U0001f3fb" <= character < "\U0001f400":
        return ""
    category = unicodedata.category(character)
    if category == "So":
        return f" {unicodedata.name(character, '')} "
    return "" if category[0] == "C" or category == "Me" else character


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--posts", type=int, default=300)
    options = parser.parse_args()
    folder = options.data / "offensive"
    texts = (folder / "val_text.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    labels = (folder / "val_labels.txt").read_text(encoding="utf-8").split()
    now = Moderator.from_checkpoint()
    before = Moderator.from_checkpoint()
    encoder = before._texts._encoder  # noqa: SLF001 - there is no other way to label as it was once read
    encoder.reader = Text1Reader(Path(__file__).parent.parent / "mmorient/checkpoints/compact/tokenizer.json")
    plain = _called(now, [text for text, label in zip(texts, labels, strict=True) if label == "1"])
    plain = [text for text in _called(before, plain) if _WORD.search(text)][: options.posts]
    print(f"{len(plain)} offensive posts that both readings call so as they are; still called so, percent")
    print(f"{'hidden by':18} {'text/1':>7} {'now':>7}")
    for name, way in WAYS.items():
        hidden = [hide(text, way) for text in plain]
        shares = [100 * len(_called(moderator, hidden)) / len(hidden) for moderator in (before, now)]
        print(f"{name:18} {shares[0]:7.1f} {shares[1]:7.1f}", flush=True)


def _called(moderator: Moderator, texts: Sequence[str]) -> list[str]:
    """Those of the texts that are called offensive."""
    found = []
    for start in tqdm(range(0, len(texts), 64), disable=None, leave=False):
        chunk = texts[start : start + 64]
        answers = moderator.label([Post(text) for text in chunk])
        found += [
            text
            for text, answer in zip(chunk, answers, strict=True)
            if answer.tasks["offensiveness"].label == "offensive"
        ]
    return found


if __name__ == "__main__":
    main()
