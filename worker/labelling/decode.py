"""Stage: bytes to a post. What is no post is rejected here, with the field and the value that refuse it.

How a record is read is `mmorient.PostReader`'s: the commands read posts by the same rules.
"""

import asyncio
from collections.abc import Sequence

from mmorient import ParsedPost, PassedOver, PostError, PostReader, post_text
from worker.errors import InvalidRecordError
from worker.items import Item
from worker.watchdog import Watchdog

# Above this, parsing takes milliseconds (inline pictures): long enough to be felt by the event loop.
_BYTES_FOR_A_THREAD = 256 * 1024


async def decode(items: Sequence[Item], *, reader: PostReader, max_text_chars: int, watch: Watchdog) -> None:
    """Set `post` and `text`, `passed_over` or `rejection` of every item.

    A deletion within an envelope (Debezium, Jetstream, ActivityPub) sets `passed_over` to `deletion`.
    """
    if sum(len(item.record.value or b"") for item in items) > _BYTES_FOR_A_THREAD:
        await asyncio.to_thread(_decode_all, items, reader, max_text_chars, watch)
    else:
        _decode_all(items, reader, max_text_chars, watch)


def _decode_all(items: Sequence[Item], reader: PostReader, max_text_chars: int, watch: Watchdog) -> None:
    with watch.doing("decode", [item.position for item in items]):
        for item in items:
            try:
                _decode_one(item, reader, max_text_chars)
            except InvalidRecordError as error:
                item.rejection = error


def _decode_one(item: Item, reader: PostReader, max_text_chars: int) -> None:
    found = parse_record(item.record.value, reader)
    if isinstance(found, PassedOver):
        item.passed_over = found.reason
        return
    check_lengths(found, max_text_chars)
    item.post = found
    item.text = post_text(found.text, [medium.ocr_text for medium in found.media])
    item.media_left_out = found.media_left_out


def parse_record(value: bytes | None, reader: PostReader) -> ParsedPost | PassedOver:
    """Return what a record's value holds.

    Raises:
        InvalidRecordError: it is empty, no JSON, no post, or of a format that is not read.
    """
    if not value:
        said = "the record is empty" if value is not None else "the record has no value"
        raise InvalidRecordError("decode", said, reason="empty")
    try:
        return reader.read(value)
    except PostError as error:
        raise InvalidRecordError("decode", str(error), reason=error.code) from error


def check_lengths(post: ParsedPost, max_text_chars: int) -> None:
    """Refuse a post with a text over the limit.

    Raises:
        InvalidRecordError: it has one.
    """
    for where, text in (("text", post.text), *_texts_of_media(post)):
        if text is not None and len(text) > max_text_chars:
            said = f"{where}: {len(text)} characters, at most {max_text_chars} are read"
            raise InvalidRecordError("decode", said, reason="too_long")


def _texts_of_media(post: ParsedPost) -> Sequence[tuple[str, str | None]]:
    return [
        (f"media.{index}.{name}", text)
        for index, medium in enumerate(post.media)
        for name, text in (("ocr_text", medium.ocr_text), ("alt_text", medium.alt_text))
    ]
