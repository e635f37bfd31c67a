"""A record without a broker, for tests of single stages."""

import json
from dataclasses import dataclass, field
from typing import Any

from mmorient import ParsedPost, PostReader
from worker.items import Item


@dataclass
class StandInRecord:
    """What the stages use of a Kafka record."""

    value: bytes | None
    key: bytes | None = b"k"
    topic: str = "posts"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def item_of(offset: int = 0, **post: Any) -> Item:
    """Return a decoded item."""
    value = json.dumps({"id": f"p-{offset}", **post}).encode()
    item = Item(StandInRecord(value, offset=offset))
    post = PostReader().read(value)
    assert isinstance(post, ParsedPost)
    item.post, item.text = post, post.text
    return item
