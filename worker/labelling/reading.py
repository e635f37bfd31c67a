"""Stage: how much of each post's text the model reads, and in which language it is, for its label to say."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.items import Item, usable
from worker.watchdog import Watchdog

# Importing it loads torch.
if TYPE_CHECKING:
    from mmorient import Moderator


class ReadingStage:
    """Sets what was read of the texts.

    Args:
        moderator: the model.
        watch: told what is worked on.
    """

    def __init__(self, moderator: "Moderator", *, watch: Watchdog) -> None:
        self._moderator = moderator
        self._watch = watch

    async def read(self, items: Sequence[Item]) -> None:
        """Set `reading` of every usable item that has a text."""
        texts = {item: item.text for item in usable(items) if item.text is not None}
        if texts:
            # It takes a tenth of a millisecond a post. A batch would delay the event loop.
            await asyncio.to_thread(self._read, texts)

    def _read(self, texts: dict[Item, str]) -> None:
        with self._watch.doing("reading", [item.position for item in texts]):
            readings = self._moderator.read_texts(list(texts.values()))
        for item, reading in zip(texts, readings, strict=True):
            item.reading = reading
