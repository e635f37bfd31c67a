"""What the live path hands to the shadow of one post: the very bytes that it has labelled, and where they stand.

One message: the length of a JSON head, the head, then the bytes that it gives the lengths of.
"""

import base64
import json
import struct
from dataclasses import dataclass
from typing import Self

from mmorient import ParsedPost
from worker.items import Item
from worker.output.records import carried

_HEAD = struct.Struct(">I")
# What the objects of a post take besides their bytes.
_OVERHEAD_BYTES = 2048


@dataclass(frozen=True, slots=True)
class _Record:
    """A record of which the value is no longer needed."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int = 0
    value: None = None


@dataclass(frozen=True, slots=True)
class HandedPost:
    """A post as it is once its media are collected.

    Args:
        record: where it stands; its key, and the headers that its labels carry.
        post_id: of the post.
        text: what is read; None where it brings none.
        pictures: bytes by index in the post's media.
        unavailable: reason code by index, of media that could not be collected.
        media_left_out: how many more the post has.
    """

    record: _Record
    post_id: str
    text: str | None
    pictures: dict[int, bytes]
    unavailable: dict[int, str]
    media_left_out: int = 0

    @classmethod
    def of(cls, item: Item) -> Self:
        """Return what an item holds after the media stage; its pictures are shared, not copied."""
        record = item.record
        return cls(
            _Record(record.topic, record.partition, record.offset, record.key, tuple(carried(record.headers))),
            item.post.id if item.post is not None else "",
            item.text,
            dict(item.pictures),
            dict(item.unavailable),
            item.media_left_out,
        )

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        text = len((self.text or "").encode(errors="surrogatepass"))
        return _OVERHEAD_BYTES + text + len(self.record.key or b"") + sum(map(len, self.pictures.values()))

    def parts(self) -> list[bytes]:
        """Return the message, in parts."""
        record = self.record
        head = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": None if record.key is None else base64.b64encode(record.key).decode(),
            "headers": [(name, base64.b64encode(value).decode()) for name, value in record.headers],
            "post_id": self.post_id,
            "text": self.text,
            "pictures": [(index, len(content)) for index, content in self.pictures.items()],
            "unavailable": list(self.unavailable.items()),
            "media_left_out": self.media_left_out,
        }
        packed = json.dumps(head).encode()
        return [_HEAD.pack(len(packed)) + packed, *self.pictures.values()]

    @classmethod
    def from_message(cls, message: bytes) -> Self:
        """Read a message."""
        start = _HEAD.size + _HEAD.unpack_from(message)[0]
        head = json.loads(message[_HEAD.size : start])
        pictures: dict[int, bytes] = {}
        for index, length in head["pictures"]:
            pictures[index] = message[start : start + length]
            start += length
        headers = tuple((name, base64.b64decode(value)) for name, value in head["headers"])
        key = None if head["key"] is None else base64.b64decode(head["key"])
        return cls(
            _Record(head["topic"], head["partition"], head["offset"], key, headers),
            head["post_id"],
            head["text"],
            pictures,
            dict(head["unavailable"]),
            head["media_left_out"],
        )

    def item(self) -> Item:
        """Return an item that goes on where the live one was when it was kept."""
        # Nothing of the post is read after its media but its id.
        return Item(
            self.record,
            ParsedPost(self.post_id),
            self.text,
            dict(self.pictures),
            unavailable=dict(self.unavailable),
            media_left_out=self.media_left_out,
        )
