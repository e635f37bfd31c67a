"""Stage: bytes to Post. What is not a Post is rejected here, with the field and the value that refuse it."""

import asyncio
from collections.abc import Sequence

from pydantic import ValidationError

from mmorient import post_text
from schemas import Post
from worker.errors import InvalidRecordError
from worker.items import Item
from worker.watchdog import Watchdog

_QUOTE_CHARS = 80
# Above this, parsing takes milliseconds (inline pictures): long enough to be felt by the event loop.
_BYTES_FOR_A_THREAD = 256 * 1024


async def decode(items: Sequence[Item], *, max_text_chars: int, watch: Watchdog, beside: bool = False) -> None:
    """Set `post` and `text`, or `rejection`, of every item.

    Args:
        items: of one batch.
        max_text_chars: of a post's text; longer is rejected.
        watch: told what is worked on.
        beside: whether the model reads what media say beside a post's own text.
    """
    if sum(len(item.record.value or b"") for item in items) > _BYTES_FOR_A_THREAD:
        await asyncio.to_thread(_decode_all, items, max_text_chars, watch, beside)
    else:
        _decode_all(items, max_text_chars, watch, beside)


def _decode_all(items: Sequence[Item], max_text_chars: int, watch: Watchdog, beside: bool) -> None:  # noqa: FBT001
    with watch.doing("decode", [item.position for item in items]):
        for item in items:
            try:
                item.post = parse_post(item.record.value, max_text_chars=max_text_chars)
                media = item.post.media or ()
                item.text = post_text(
                    item.post.text,
                    [medium.ocr_text for medium in media],
                    [getattr(medium, "alt_text", None) for medium in media],
                    beside=beside,
                )
            except InvalidRecordError as error:
                item.rejection = error


def parse_post(value: bytes | None, *, max_text_chars: int) -> Post:
    """Return the Post in a record's value.

    Raises:
        InvalidRecordError: the value is empty, is not JSON, is not a Post, or its text is too long.
    """
    if not value:
        said = "the record is empty" if value is not None else "the record has no value"
        raise InvalidRecordError("decode", said, reason="empty")
    try:
        post = Post.model_validate_json(value)
    except ValidationError as error:
        raise InvalidRecordError("decode", _first_reason(error), reason=_code(error)) from error
    for where, text in (
        ("text", post.text),
        *((f"media.{n}.ocr_text", m.ocr_text) for n, m in enumerate(post.media or ())),
    ):
        if text is not None and len(text) > max_text_chars:
            said = f"{where}: {len(text)} characters, at most {max_text_chars} are read"
            raise InvalidRecordError("decode", said, reason="too_long")
    return post


def _code(error: ValidationError) -> str:
    kinds = {first["type"] for first in error.errors(include_url=False, include_input=False)}
    return "no_json" if "json_invalid" in kinds else "no_post"


def _first_reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "record"
    given = repr(first["input"])
    quoted = given if len(given) <= _QUOTE_CHARS else given[:_QUOTE_CHARS] + "…"
    return f"{where}: {first['msg'].removeprefix('Value error, ')} (got {quoted})"
