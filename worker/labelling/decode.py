"""Stage: bytes to a post. What is no post is rejected here, with the field and the kind of what refuses it.

How a record is read is `mmorient.PostReader`'s: the commands read posts by the same rules.
"""

import asyncio
from collections.abc import Mapping, Sequence

from mmorient import ParsedPost, PassedOver, PostError, PostReader, post_text
from mmorient.input.reading.framing import REGISTRY_HEADER_BYTES, registered_schema
from worker.errors import InvalidRecordError
from worker.items import Item
from worker.labelling.registry.client import Found, SchemaRegistry
from worker.watchdog import Watchdog

# Above this, parsing takes milliseconds (inline pictures): long enough to be felt by the event loop.
_BYTES_FOR_A_THREAD = 256 * 1024


_by_itself = PostReader()
_NO_SCHEMAS: Mapping[int, Found] = {}


async def decode(
    items: Sequence[Item],
    *,
    max_text_chars: int,
    watch: Watchdog,
    reader: PostReader = _by_itself,
    registry: SchemaRegistry | None = None,
    beside: bool = False,
) -> None:
    """Set `post` and `text`, `passed_over` or `rejection` of every item.

    A deletion in an envelope (Debezium, Jetstream, ActivityPub) is one just as a record without a value is: its
    reason is `DELETION`.

    Args:
        items: of one batch.
        max_text_chars: of a post's text; longer is rejected.
        watch: told what is worked on.
        reader: of the records.
        registry: of the schemas that records name; it is waited for.
        beside: whether the model reads what media say beside a post's own text.

    Raises:
        FatalError: the registry refuses the log-in.
    """
    schemas = await schemas_of(items, registry) if registry is not None else _NO_SCHEMAS
    if sum(len(item.record.value or b"") for item in items) > _BYTES_FOR_A_THREAD:
        await asyncio.to_thread(_decode_all, items, max_text_chars, watch, reader, schemas, beside=beside)
    else:
        _decode_all(items, max_text_chars, watch, reader, schemas, beside=beside)


async def schemas_of(items: Sequence[Item], registry: SchemaRegistry) -> Mapping[int, Found]:
    """Return the schemas that records name; wait for the registry where it does not answer.

    Raises:
        FatalError: the registry refuses the log-in.
    """
    numbers = [registered_schema(item.record.value or b"") for item in items]
    return await registry.schemas(one for one in numbers if one is not None)


def _decode_all(
    items: Sequence[Item],
    max_text_chars: int,
    watch: Watchdog,
    reader: PostReader,
    schemas: Mapping[int, Found],
    *,
    beside: bool,
) -> None:
    with watch.doing("decode", [item.position for item in items]):
        for item in items:
            try:
                found = parse_post(item.record.value, max_text_chars=max_text_chars, reader=reader, schemas=schemas)
            except InvalidRecordError as error:
                item.rejection = error
                continue
            if isinstance(found, PassedOver):
                item.passed_over = found.reason
            else:
                item.post = found
                media = found.media
                ocr_texts, alt_texts = [one.ocr_text for one in media], [one.alt_text for one in media]
                item.text = post_text(found.text, ocr_texts, alt_texts, beside=beside)
                item.media_left_out = found.media_left_out


def parse_post(
    value: bytes | None,
    *,
    max_text_chars: int,
    reader: PostReader = _by_itself,
    schemas: Mapping[int, Found] = _NO_SCHEMAS,
) -> ParsedPost | PassedOver:
    """Return what a record's value holds.

    Raises:
        InvalidRecordError: it is empty, no JSON, no post, of a format that is not read, or its text is too long.
    """
    if not value:
        said = "the record is empty" if value is not None else "the record has no value"
        raise InvalidRecordError("decode", said, reason="empty")
    try:
        number = registered_schema(value) if schemas else None
        found = reader.read(value) if number is None else reader.read_record(_said(value, schemas[number]))
    except PostError as error:
        raise InvalidRecordError("decode", error.plain, reason=error.code) from error
    if isinstance(found, ParsedPost):
        _check_lengths(found, max_text_chars)
    return found


def _said(value: bytes, schema: Found) -> object:
    if isinstance(schema, InvalidRecordError):
        raise InvalidRecordError(schema.stage, str(schema), reason=schema.reason)
    return schema.read(value[REGISTRY_HEADER_BYTES:])


def _check_lengths(post: ParsedPost, max_text_chars: int) -> None:
    _check_length("text", post.text, max_text_chars)
    for index, medium in enumerate(post.media):
        _check_length(f"media.{index}.ocr_text", medium.ocr_text, max_text_chars)
        _check_length(f"media.{index}.alt_text", medium.alt_text, max_text_chars)


def _check_length(where: str, text: str | None, max_text_chars: int) -> None:
    if text is not None and len(text) > max_text_chars:
        said = f"{where}: {len(text)} characters, at most {max_text_chars} are read"
        raise InvalidRecordError("decode", said, reason="too_long")
