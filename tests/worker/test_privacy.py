"""Nothing that a person wrote is in what the worker emits, but labels and the bytes of dead letters."""

import base64
import json
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from tests.worker.labelling.test_drawn_text import drawn_picture
from tests.worker.otlp import collecting
from tests.worker.system import Stream, post
from worker.errors import InvalidRecordError
from worker.labelling.cache.covering import cover, secret_of, uncover
from worker.labelling.decode import parse_post

# In texts, ids, names of authors and communities, addresses, and in what is no post.
WORDS = ("quizzacious", "borborygmus", "xylophage", "zyzzyva", "wamblecropt", "kakorrhaphia")
DRAWN = "HELLO WORLD"
GOOD = (
    post(
        "quizzacious-1",
        text="a borborygmus of a day",
        author_id="zyzzyva",
        community="kakorrhaphia",
        media=[{"url": "https://wamblecropt.invalid/xylophage.png"}, {"data": "Ym9yYm9yeWdtdXM="}],
    ),
    post(
        "xylophage", media=[{"data": base64.b64encode(drawn_picture(DRAWN)).decode()}], language="zyzzyva borborygmus"
    ),
)
BAD = (
    b'{"id": "quizzacious", "text": "borborygmus',
    b"borborygmus and quizzacious, no JSON at all",
    b'"borborygmus"',
    b'["quizzacious"]',
    b'{"text": "borborygmus"}',
    b'{"id": {"quizzacious": 1}, "text": "borborygmus"}',
    b'{"id": ["quizzacious"], "text": "borborygmus"}',
    b'{"id": "quizzacious\xff", "text": "borborygmus"}',
    json.dumps({"id": "quizzacious " * 60, "text": "x"}).encode(),
    b'{"id": "quizzacious", "text": {"borborygmus": 1}}',
    b'{"id": "quizzacious", "author_id": "zyzzyva"}',
    b'{"id": "quizzacious", "text": "", "media": []}',
    b'{"op": "c", "after": "borborygmus", "before": null}',
    b'{"op": "c", "after": {"quizzacious": "borborygmus"}, "before": null}',
    b'{"specversion": "1.0", "type": "zyzzyva", "id": "1", "source": "/", "data": "borborygmus"}',
    b'{"specversion": "1.0", "type": "zyzzyva", "id": "1", "source": "/", "data_base64": "quizzacious"}',
)


def said_in(where: str, text: str) -> Iterator[str]:
    """Yield the words that stand somewhere."""
    yield from (f"{word} in {where}" for word in WORDS if word in text.lower())


@pytest.mark.parametrize("value", BAD)
def test_a_rejection_names_the_field_and_the_kind_and_quotes_nothing(value: bytes) -> None:
    """What goes into logs, headers and traces holds no word of the record."""
    with pytest.raises(InvalidRecordError) as caught:
        parse_post(value, max_text_chars=100)
    assert not list(said_in("the reason", str(caught.value)))
    assert len(str(caught.value)) > 10


def test_a_read_text_lies_covered_in_the_cache() -> None:
    """Without the picture it cannot be read; with it, it is what it was, and under no other key."""
    secret, other = secret_of(b"picture"), secret_of(b"another")
    for text in ("", DRAWN, "é\U0001f600" * 300):
        covered = cover(text, b"key", secret)
        assert not text or text not in covered
        assert uncover(covered, b"key", secret) == text
        assert not text or uncover(covered, b"key", other) != text
        assert not text or uncover(covered, b"other", secret) != text
    assert uncover("no base 64", b"key", secret) is None


@pytest.mark.soak
async def test_no_word_of_a_post_is_in_what_a_run_emits(stream: Stream) -> None:
    """Log at info, metrics, traces, headers of dead letters and labels, keys and values in Redis."""
    await stream.create_topics(1)
    redis = Redis.from_url(stream.servers.redis)
    await redis.flushdb()
    with collecting() as collector:
        worker = await (
            await stream.start(TRACE__ENDPOINT=collector.address, TRACE__SHARE="1", LOG__LEVEL="info")
        ).ready(300)
        positions = await stream.feed([*GOOD, *BAD, None], 1)
        await stream.settled(positions, 120)
        metrics = (await worker.get("/metrics")).text
        pages = (await worker.get("/readyz")).text + (await worker.get("/livez")).text
        assert await worker.end() == 0
        spans = repr(collector.spans)
    letters = await stream.dead_letters()
    assert len(letters) == len(BAD)
    said = [*said_in("the log", worker.log_path.read_text(errors="replace"))]
    said += [*said_in("the metrics", metrics), *said_in("the pages", pages), *said_in("the traces", spans)]
    outputs = [*(one for found in letters.values() for one in found)]
    for records in (await stream.read(*map(stream.label_topic, ("sentiment", "sarcasm")))).values():
        outputs += records
    for record in outputs:
        said += said_in("headers", repr(record.headers))
    entries = 0
    async for key in redis.scan_iter():
        value = await redis.get(key)
        entries += 1
        said += [*said_in("a key in Redis", repr(key)), *said_in("a value in Redis", repr(value))]
        assert b"hello" not in (value or b"").lower()
    await redis.aclose()
    assert said == []
    assert entries >= 2
    assert "dead_letter" in worker.log_path.read_text()
    assert "process " in spans
