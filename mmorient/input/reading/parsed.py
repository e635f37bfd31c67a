"""What was read of a record: a post's fields, or the note that there is nothing to label."""

from __future__ import annotations

from datetime import datetime

import msgspec

from mmorient.input.units import has_words


class ParsedMedium(msgspec.Struct, frozen=True):
    """One picture of a post, by address, inline or by file; none of the three where it cannot be understood.

    Attributes:
        url: Address.
        data: Base64 or a data URI.
        path: Of a file, for commands that read archives.
        content_type: What the producer takes it for; the content decides.
        ocr_text: What is drawn over it, where the producer knows it.
        alt_text: What its author says it shows.
    """

    url: str | None = None
    data: str | None = None
    path: str | None = None
    content_type: str | None = None
    ocr_text: str | None = None
    alt_text: str | None = None


class ParsedPost(msgspec.Struct, frozen=True):
    """A post's fields as far as they can be read.

    Attributes:
        media: In the post's order, `MAX_MEDIA` at most.
        media_left_out: How many more the post has.
        unread: Names of fields that could not be read and count as absent, in order.
    """

    id: str
    text: str | None = None
    media: tuple[ParsedMedium, ...] = ()
    created_at: datetime | None = None
    author_id: str | None = None
    community: str | None = None
    language: str | None = None
    media_left_out: int = 0
    unread: tuple[str, ...] = ()

    @property
    def has_text(self) -> bool:
        """Whether anything is read of the text: white space, or what shows nothing, counts as none."""
        return self.text is not None and has_words(self.text)

    def as_json(self) -> bytes:
        """Return the post as JSON in UTF-8, which names no file."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__[:-2]}
        media = [msgspec.structs.replace(medium, path=None) for medium in self.media]
        return msgspec.json.encode(fields | {"media": media})


class PassedOver(msgspec.Struct, frozen=True):
    """A record that is read and holds nothing to label.

    Attributes:
        reason: `deletion`, or `no_post` for another kind of event, such as a like.
    """

    reason: str
