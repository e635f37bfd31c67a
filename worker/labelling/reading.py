"""Stage: how much of each post's text the model reads, and in which language it is, for its label to say."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from worker.items import Item, usable
from worker.labelling.cache.packed_readings import PackedReadings
from worker.labelling.embed import EmbeddingTable
from worker.watchdog import Watchdog

# Importing it loads torch.
if TYPE_CHECKING:
    from mmorient import Moderator

# Of as many, reading takes some two milliseconds, and ten at most. A thread would wait longer than that for its turns:
# threads and event loop share one interpreter.
_CHARACTERS = 4_000
# A text takes as long as so many characters, however short it is.
_LEAST_CHARACTERS = 64
# Signs of other scripts take longer.
_FOREIGN = 4
# What takes longer than that in all is worth a thread's wait.
_BATCH_CHARACTERS = 4 * _CHARACTERS


class ReadingStage:
    """Sets what was read of the texts.

    Args:
        moderator: the model.
        watch: told what is worked on.
    """

    def __init__(self, moderator: "Moderator", *, watch: Watchdog) -> None:
        self._moderator = moderator
        self._watch = watch
        self._packed = PackedReadings(moderator)

    async def read(self, items: Sequence[Item], table: EmbeddingTable) -> None:
        """Set `reading` of every usable item that has a text.

        Args:
            items: their keys are set.
            table: has what was read before, and takes what is read now.
        """
        texts = {item: item.text for item in usable(items) if item.text is not None}
        for item in texts:
            if item.text_key is not None:
                item.reading = self._packed.unpack(table.readings.get(item.text_key, b""))
        if unread := {item: text for item, text in texts.items() if item.reading is None}:
            parts = list(_parts(unread))
            if (together := sum(size for size, _ in parts)) > _BATCH_CHARACTERS:
                parts = [(together, unread)]
            for size, part in parts:
                if size > _CHARACTERS:
                    await asyncio.to_thread(self._read, part)
                else:
                    self._read(part)
                    # Others have their turn.
                    await asyncio.sleep(0)
            for item in unread:
                if item.text_key is not None and item.reading is not None:
                    table.readings[item.text_key] = self._packed.pack(item.reading)

    def _read(self, texts: dict[Item, str]) -> None:
        with self._watch.doing("reading", [item.position for item in texts]):
            readings = self._moderator.read_texts(list(texts.values()))
        for item, reading in zip(texts, readings, strict=True):
            item.reading = reading


def _parts(texts: dict[Item, str]) -> Iterator[tuple[int, dict[Item, str]]]:
    """Share texts out: so many together that the event loop can wait for them, or one alone that is longer.

    Returns:
        How many characters each part counts for, and the part.
    """
    part: dict[Item, str] = {}
    size = 0
    for item, text in texts.items():
        own = max(len(text) if text.isascii() else _FOREIGN * len(text), _LEAST_CHARACTERS)
        if part and size + own > _CHARACTERS:
            yield size, part
            part, size = {}, 0
        part[item] = text
        size += own
    if part:
        yield size, part
