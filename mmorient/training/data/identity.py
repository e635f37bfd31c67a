"""Words that name groups of people, and texts with one group put in the place of another (counterfactuals)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mmorient.training.data.examples import TRAIN, Example

# Axis to its groups, each a column of forms that stand at the same place in a sentence: singular, plural, adjective.
AXES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "religion": (
        ("muslim", "muslims", "islamic"),
        ("christian", "christians", "christian"),
        ("jew", "jews", "jewish"),
        ("hindu", "hindus", "hindu"),
        ("buddhist", "buddhists", "buddhist"),
        ("atheist", "atheists", "atheist"),
        ("catholic", "catholics", "catholic"),
        ("mormon", "mormons", "mormon"),
    ),
    "orientation": (
        ("gay", "gays", "gay"),
        ("lesbian", "lesbians", "lesbian"),
        ("bisexual", "bisexuals", "bisexual"),
        ("straight", "heterosexuals", "heterosexual"),
        ("queer", "queers", "queer"),
        ("pansexual", "pansexuals", "pansexual"),
        ("homosexual", "homosexuals", "homosexual"),
    ),
    "origin": (
        ("mexican", "mexicans", "mexican"),
        ("african", "africans", "african"),
        ("asian", "asians", "asian"),
        ("european", "europeans", "european"),
        ("arab", "arabs", "arab"),
        ("american", "americans", "american"),
        ("indian", "indians", "indian"),
        ("chinese", "chinese", "chinese"),
        ("nigerian", "nigerians", "nigerian"),
        ("somali", "somalis", "somali"),
        ("syrian", "syrians", "syrian"),
        ("russian", "russians", "russian"),
        ("brazilian", "brazilians", "brazilian"),
        ("filipino", "filipinos", "filipino"),
        ("palestinian", "palestinians", "palestinian"),
        ("israeli", "israelis", "israeli"),
    ),
    "status": (
        ("immigrant", "immigrants", "immigrant"),
        ("refugee", "refugees", "refugee"),
        ("migrant", "migrants", "migrant"),
    ),
    "colour": (("black", "blacks", "black"), ("white", "whites", "white"), ("latino", "latinos", "latino")),
    "gender": (
        ("woman", "women", "female"),
        ("man", "men", "male"),
        ("transgender", "transgenders", "trans"),
    ),
    "ability": (
        ("blind", "blind", "blind"),
        ("deaf", "deaf", "deaf"),
        ("disabled", "disabled", "disabled"),
        ("dyslexic", "dyslexic", "dyslexic"),
    ),
}
_PLACES = {
    form: (axis, place)
    for axis, groups in AXES.items()
    for forms in groups
    for place, form in reversed([*enumerate(forms)])
}
_GROUPS = [forms for groups in AXES.values() for forms in groups]
SWAPPED = ("offensive", "hate", "sentiment")
"""Sources of which there are copies with other groups, as ``SOURCE_swapped``."""
_NAMED = re.compile(rf"\b({'|'.join(sorted(_PLACES, key=len, reverse=True))})\b", re.IGNORECASE)

# A person says what they are, or speaks of others, and nothing about it is hostile: said of every group alike.
_PLAIN = (
    "i am {a} and i like my job",
    "my neighbour is {a} and we have dinner on fridays",
    "as {a} person i found this book very moving",
    "so proud of my {a} friends today",
    "the {a} community centre opens at nine",
    "there were many {p} at the concert last night",
    "my doctor is {a}",
    "happy to see more {p} in this team",
    "{p} and their families are welcome here",
    "she wrote about growing up {a} in a small town",
    "we are {a} and we are getting married in june",
    "he is {a}. so what?",
    "new study looks at how {p} find work",
    "two {p} won the chess tournament",
    "i am a {s} and today is my birthday",
    "being {a} is not a choice, being kind is",
)


def names_identity(text: str) -> bool:
    """Whether a text names a group of people."""
    return _NAMED.search(text) is not None


def swapped(text: str, random: np.random.Generator) -> str:
    """The text about another group of any axis: "muslims deserve better" to, perhaps, "women deserve better"."""
    chosen: dict[str, tuple[str, str, str]] = {}

    def other(found: re.Match[str]) -> str:
        axis, place = _PLACES[found[0].lower()]
        if axis not in chosen:
            others = [forms for forms in _GROUPS if found[0].lower() not in forms]
            chosen[axis] = others[random.integers(len(others))]
        return chosen[axis][place]

    return _NAMED.sub(other, text)


def counterfactuals(examples: Sequence[Example], copies: int, seed: int) -> Iterator[Example]:
    """Copies of the training tweets that name a group, with other groups named instead."""
    random = np.random.default_rng(seed)
    for example in examples:
        if example.split == TRAIN and example.source in SWAPPED and names_identity(example.text):
            for _ in range(copies):
                yield replace(example, source=f"{example.source}_swapped", text=swapped(example.text, random))


def plain_mentions() -> Iterator[Example]:
    """Sentences written for this project that name a group without hostility, each group in each."""
    for groups in AXES.values():
        for single, many, adjective in groups:
            for sentence in _PLAIN:
                text = sentence.format(a=adjective, p=many, s=single)
                yield Example("plain", TRAIN, text, None, {"offensiveness": 0, "probe_offensive": 0, "probe_hate": 0})
