"""Words that name groups of people."""

from __future__ import annotations

import re

# Axis to its groups, each with forms that stand at the same place in a sentence: singular, plural, adjective.
AXES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "religion": (
        ("muslim", "muslims", "islamic"),
        ("christian", "christians", "christian"),
        ("jew", "jews", "jewish"),
        ("hindu", "hindus", "hindu"),
        ("buddhist", "buddhists", "buddhist"),
        ("atheist", "atheists", "atheist"),
    ),
    "orientation": (
        ("gay", "gays", "gay"),
        ("lesbian", "lesbians", "lesbian"),
        ("bisexual", "bisexuals", "bisexual"),
        ("straight", "heterosexuals", "heterosexual"),
        ("queer", "queers", "queer"),
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
    ),
    "status": (("immigrant", "immigrants", "immigrant"), ("refugee", "refugees", "refugee")),
    "colour": (("black", "blacks", "black"), ("white", "whites", "white"), ("latino", "latinos", "latino")),
    "gender": (
        ("woman", "women", "female"),
        ("man", "men", "male"),
        ("transgender", "transgenders", "trans"),
    ),
    "ability": (("blind", "blind", "blind"), ("deaf", "deaf", "deaf"), ("disabled", "disabled", "disabled")),
}
_FORMS = {form for groups in AXES.values() for forms in groups for form in forms}
_NAMED = re.compile(rf"\b({'|'.join(sorted(_FORMS, key=len, reverse=True))})\b", re.IGNORECASE)


def names_identity(text: str) -> bool:
    """Whether a text names a group of people."""
    return _NAMED.search(text) is not None
