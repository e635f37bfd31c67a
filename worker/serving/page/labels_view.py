"""What the templates show of labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What reason codes of media mean to a person; the others are said as they are.
_REASONS = {
    "bad_medium": "it is neither a picture nor an address",
    "bad_base64": "its bytes cannot be read",
    "not_a_picture": "it is not a picture",
    "not_fetched": "its address is not fetched here",
    "not_listed": "they are too many",
    "too_large": "it is too large",
    "too_many_pixels": "it has too many pixels",
    "truncated": "it is cut off",
}
# Where a language's name is not here, its code is shown.
_LANGUAGES = {
    "ar": "Arabic", "bn": "Bengali", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch",
    "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish",
    "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """A class and its probability.

    Args:
        name: of the class.
        share: 0 to 1.
        chosen: whether it is the label.
        mark: where an operator's threshold stands on it; None without one.
    """

    name: str
    share: float
    chosen: bool
    mark: float | None = None


@dataclass(frozen=True)
class Card:
    """One task's answer.

    Args:
        task: its name.
        label: what the post is called.
        share: the probability of that.
        bars: of all classes.
        degree: what the intensity is called; empty for a task without.
        degrees: bars of the intensity.
        threshold: an operator's; None without one.
    """

    task: str
    label: str
    share: float
    bars: Sequence[Bar]
    degree: str
    degrees: Sequence[Bar]
    threshold: float | None


@dataclass(frozen=True)
class Read:
    """What was read of a post.

    Args:
        modalities: what the labels rest on.
        language: of the text, by name; empty where it cannot be told, or there is none.
        supported: whether the checkpoint was made for it.
        unread: share of the text's characters; None without a text.
        truncated: whether a part of the text was left out.
        unavailable: a sentence for each medium that could not be used.
    """

    modalities: Sequence[str]
    language: str
    supported: bool
    unread: float | None
    truncated: bool
    unavailable: Sequence[str]


def cards(labels: Mapping[str, Mapping[str, Any]]) -> list[Card]:
    """Return what is shown of labels, by task."""
    return [_card(task, label) for task, label in labels.items()]


def read_of(labels: Mapping[str, Mapping[str, Any]]) -> Read:
    """Return what labels say of how their post was read; all of a post say the same."""
    label = next(iter(labels.values()), {})
    reading = label.get("reading") or {}
    code = reading.get("language")
    return Read(
        modalities=["picture" if one == "image" else str(one) for one in label.get("modalities", ())],
        language=_LANGUAGES.get(code, code) if code else "",
        supported=bool(reading.get("supported", True)),
        unread=reading.get("unread"),
        truncated=bool(reading.get("truncated_text", False)),
        unavailable=list(unavailable(label.get("unavailable") or ())),
    )


def unavailable(media: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each medium that could not be used."""
    for one in media:
        reason = str(one["reason"])
        count = one.get("count")
        what = f"{count} further media were" if count else f"Picture {int(one['index']) + 1} was"
        yield f"{what} not used: {_REASONS.get(reason, reason.replace('_', ' '))}."


def summary(labels: Mapping[str, Mapping[str, Any]], decisions: Sequence[Mapping[str, Any]] | None = None) -> str:
    """Return labels and decisions in a sentence each, for whoever hears the page."""
    said = (f"{card.label.replace('_', ' ')} {100 * card.share:.0f} %" for card in cards(labels))
    decided = f" Decided: {', '.join(str(one['decision']) for one in decisions)}." if decisions else ""
    return f"Labels: {', '.join(said)}.{decided}"


def _card(task: str, label: Mapping[str, Any]) -> Card:
    chosen, threshold = str(label["label"]), label.get("threshold")
    shares = label["probabilities"]
    intensity = label.get("intensity")
    return Card(
        task=task,
        label=chosen,
        share=shares[chosen],
        bars=_bars(shares, chosen, threshold),
        degree=str(intensity["label"]) if intensity else "",
        degrees=_bars(intensity["probabilities"], intensity["label"], None) if intensity else (),
        threshold=threshold,
    )


def _bars(shares: Mapping[str, float], chosen: str, threshold: float | None) -> list[Bar]:
    # A threshold holds the positive class, which is the second.
    return [
        Bar(name, share, name == chosen, threshold if place == 1 else None)
        for place, (name, share) in enumerate(shares.items())
    ]
