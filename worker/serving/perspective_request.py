"""What a client of Perspective asks: read leniently where its service was lenient, refused in its words where not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import msgspec

TYPE = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
_MOST_SPANS = 50
# A sentence ends at its mark, or at its line's end.
_MARKS = ".!?\u2026\u3002\uff01\uff1f"
_SENTENCE = re.compile(f"[^{_MARKS}\n]+[{_MARKS}]*")
_MOST_TOKEN = 1024


class AnalyzeError(Exception):
    """A request that Perspective would refuse.

    Args:
        message: in its words, where these are known.
        kind: `errorType` of its details; None where there are none.
        more: further fields of these.
    """

    def __init__(self, message: str, kind: str | None = None, **more: Any) -> None:
        super().__init__(message)
        self.details = [] if kind is None else [{"@type": TYPE, "errorType": kind, **more}]


@dataclass(frozen=True, slots=True)
class Analyze:
    """A request to score a comment.

    Attributes:
        text: Of the comment, without its markup.
        attributes: Name to the score below which it is left out; None for no such score.
        languages: ISO 639-1, as the request says them; empty where they shall be told.
        spans: Places of the sentences that are scored by themselves; without any, the whole is the only span.
        client_token: Echoed.
        community: Where it was written.
        keep: Whether what is made of it may be kept in the cache.
        drop_unsupported: Whether attributes that do not know the language are left out, and no error.
    """

    text: str
    attributes: Mapping[str, float | None]
    languages: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    client_token: str | None
    community: str | None
    keep: bool
    drop_unsupported: bool


def read_request(body: bytes, known: Mapping[str, Any]) -> Analyze:
    """Read a request.

    Args:
        body: JSON.
        known: attributes that are scored.

    Raises:
        AnalyzeError: Perspective would refuse it too.
    """
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AnalyzeError("Invalid JSON payload received.") from error
    fields = _fields(said, "request")
    attributes = _attributes(fields.get("requestedAttributes"), known)
    comment = _fields(fields.get("comment") or {}, "comment")
    text = comment.get("text") or ""
    if not isinstance(text, str):
        raise AnalyzeError("Invalid value at 'comment.text' (TYPE_STRING)")
    kind = comment.get("type") or "PLAIN_TEXT"
    if kind not in {"PLAIN_TEXT", "HTML", "TEXT_TYPE_UNSPECIFIED"}:
        raise AnalyzeError("Invalid value at 'comment.type'")
    if kind == "HTML":
        text = _without_markup(text)
    if not text.strip():
        raise empty()
    token, community = fields.get("clientToken"), fields.get("communityId")
    return Analyze(
        text=text,
        attributes=attributes,
        languages=_languages(fields.get("languages")),
        spans=sentences(text) if fields.get("spanAnnotations") is True else (),
        client_token=token[:_MOST_TOKEN] if isinstance(token, str) else None,
        community=community if isinstance(community, str) and community else None,
        keep=fields.get("doNotStore") is not True,
        drop_unsupported=fields.get("dropUnsupportedAttributes") is True,
    )


def empty() -> AnalyzeError:
    """Return the refusal of a comment in which nothing can be read."""
    return AnalyzeError("Comment must be non-empty.", "COMMENT_EMPTY")


def too_long() -> AnalyzeError:
    """Return the refusal of a comment that is too long."""
    return AnalyzeError("Comment text too long.", "COMMENT_TOO_LONG")


def unsupported(attribute: str, languages: tuple[str, ...], *, detected: bool) -> AnalyzeError:
    """Return the refusal of a language.

    Args:
        attribute: that was asked for.
        languages: of the comment.
        detected: whether we told them, and the request did not.
    """
    name = "detectedLanguages" if detected else "requestedLanguages"
    return AnalyzeError(
        f"Attribute {attribute} does not support request languages: {', '.join(languages)}",
        "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
        languageNotSupportedByAttributeError={name: list(languages), "attribute": attribute},
    )


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Return begin and end of each sentence, in characters; of many the last span holds the rest."""
    found = []
    for match in _SENTENCE.finditer(text):
        sentence = match.group()
        if sentence.strip(f"{_MARKS} \t\r"):
            begin = match.end() - len(sentence.lstrip())
            found.append((begin, begin + len(sentence.strip())))
    if len(found) > _MOST_SPANS:
        found = [*found[: _MOST_SPANS - 1], (found[_MOST_SPANS - 1][0], found[-1][1])]
    return tuple(found)


def _fields(value: Any, what: str) -> dict[str, Any]:
    """Return an object's fields under the names of the documentation; their service reads `do_not_store`, too."""
    if not isinstance(value, dict):
        raise AnalyzeError(f"Invalid value at '{what}': an object is expected")
    return {re.sub(r"_([a-z])", lambda found: found[1].upper(), str(name)): inner for name, inner in value.items()}


def _attributes(value: Any, known: Mapping[str, Any]) -> dict[str, float | None]:
    if not isinstance(value, dict) or not value:
        raise AnalyzeError("At least one attribute must be requested: requested_attributes is empty.")
    found: dict[str, float | None] = {}
    for name, terms in value.items():
        if name not in known:
            raise AnalyzeError(f"Unknown requested attribute: {_shown(name)}; known are {', '.join(sorted(known))}")
        fields = _fields(terms or {}, f"requested_attributes[{name}]")
        if fields.get("scoreType", "PROBABILITY") not in {"PROBABILITY", "SCORE_TYPE_UNSPECIFIED"}:
            raise AnalyzeError(f"Attribute {name}: score_type must be PROBABILITY")
        threshold = fields.get("scoreThreshold")
        if threshold is not None and (not isinstance(threshold, int | float) or isinstance(threshold, bool)):
            raise AnalyzeError(f"Attribute {name}: score_threshold must be a number")
        found[name] = threshold
    return found


def _shown(name: str) -> str:
    """Return a name that may be shown: a mistaken client could have put a comment there."""
    return name if re.fullmatch(r"[A-Z0-9_]{1,64}", name) else "(not a name)"


def _languages(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise AnalyzeError("Invalid value at 'languages': a list of language codes is expected")
    # BCP-47's region and script change nothing here.
    codes = tuple(dict.fromkeys(one.partition("-")[0].partition("_")[0].lower() for one in value if one))
    return tuple(code if re.fullmatch(r"[a-z]{2,8}", code) else "und" for code in codes)


def _without_markup(text: str) -> str:
    reader = _Markup()
    reader.feed(text)
    reader.close()
    return "".join(reader.parts)


class _Markup(HTMLParser):
    """Keeps what a browser would show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._hidden += tag in {"script", "style"}
        if tag in {"br", "p", "div", "li", "tr"}:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style"} and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
