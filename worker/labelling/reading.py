"""Stage: how much of each post's text the model reads, and in which language it is, for its label to say."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from worker.items import Item, usable
from worker.labelling.cache.recent import Recent
from worker.watchdog import Watchdog

# Importing it loads torch.
if TYPE_CHECKING:
    from mmorient import Moderator, Reading

_READING_BYTES = 200
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
            self._recent.keep((text, item.reading) for item, text in unread.items() if item.reading is not None)

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
