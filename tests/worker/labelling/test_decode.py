"""From bytes to posts."""

import json

import pytest

from tests.worker.records import StandInRecord
from worker.errors import InvalidRecordError
from worker.items import Item
from worker.labelling.decode import decode, parse_post
from worker.watchdog import Watchdog


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"", "empty"),
        (b"hello", "Invalid JSON"),
        (b'{"id": "a", "text": "b"', "Invalid JSON"),
        (b"[1, 2]", "object"),
        (b"7", "object"),
        (b'{"text": "x"}', "id: Field required"),
        (b'{"id": 7.0, "text": "x"}', "id: neither a string nor a whole number"),
        (b'{"id": "\xff", "text": "x"}', "Invalid JSON"),
        (b'{"id": "a", "text": ' + b"[" * 5000, "Invalid JSON"),
    ],
)
def test_what_is_no_post_is_rejected_with_its_reason(value: bytes | None, reason: str) -> None:
    """A record that is no post is rejected by `decode`, and the reason names what refused it."""
    with pytest.raises(InvalidRecordError, match=reason) as caught:
        parse_post(value, max_text_chars=100)
    assert caught.value.stage == "decode"


def test_a_text_over_the_limit_is_rejected() -> None:
    """The limit on characters is inclusive."""
    assert parse_post(json.dumps({"id": "a", "text": "x" * 100}).encode(), max_text_chars=100).id == "a"
    with pytest.raises(InvalidRecordError, match="101 characters"):
        parse_post(json.dumps({"id": "a", "text": "x" * 101}).encode(), max_text_chars=100)


def test_a_long_quotation_is_cut() -> None:
    """A reason quotes the offending value, but not all of a huge one."""
    with pytest.raises(InvalidRecordError) as caught:
        parse_post(json.dumps({"id": {"x": "y" * 10_000}, "text": "x"}).encode(), max_text_chars=100)
    assert len(str(caught.value)) < 200


async def test_a_batch_keeps_its_good_records() -> None:
    """A bad record does not touch its neighbours, also where the batch is parsed in a thread."""
    for size in (1, 400_000):
        good = json.dumps({"id": "a", "text": "x", "unknown": "y" * size}).encode()
        items = [Item(StandInRecord(good)), Item(StandInRecord(b"?")), Item(StandInRecord(good))]
        await decode(items, max_text_chars=100, watch=Watchdog(60))
        assert [item.rejection is None for item in items] == [True, False, True]
        assert items[0].post is not None
        assert items[0].post.id == "a"
