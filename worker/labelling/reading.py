"""Stage: how much of each post's text the model reads, and in which language it is, for its label to say."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.items import Item, usable
from worker.labelling.cache.recent import Recent
from worker.watchdog import Watchdog

# Importing it loads torch.
if TYPE_CHECKING:
    from mmorient import Moderator, Reading

_READING_BYTES = 200


class ReadingStage:
    """Sets what was read of the texts.

    Args:
        moderator: the model.
        watch: told what is worked on.
        recent_bytes: of the last texts and their readings.
    """

    def __init__(self, moderator: "Moderator", *, watch: Watchdog, recent_bytes: int = 0) -> None:
        self._moderator = moderator
        self._watch = watch
        self._recent: Recent[str, Reading] = Recent(recent_bytes, lambda text, _: 4 * len(text) + _READING_BYTES)

    async def read(self, items: Sequence[Item]) -> None:
        """Set `reading` of every usable item that has a text."""
        texts = {item: item.text for item in usable(items) if item.text is not None}
        known = self._recent.find(texts.values())
        for item, text in texts.items():
            item.reading = known.get(text)
        if unread := {item: text for item, text in texts.items() if item.reading is None}:
            # It takes some 60 microseconds a post. A batch would delay the event loop.
            await asyncio.to_thread(self._read, unread)
            self._recent.keep((text, item.reading) for item, text in unread.items() if item.reading is not None)

    def _read(self, texts: dict[Item, str]) -> None:
        with self._watch.doing("reading", [item.position for item in texts]):
            readings = self._moderator.read_texts(list(texts.values()))
        for item, reading in zip(texts, readings, strict=True):
            item.reading = reading
