"""A cache in this process, for tests of what asks one."""

from collections.abc import Mapping

from worker.labelling.cache.entries import Entry


class MemoryCache:
    """Keeps embeddings in a dict and counts what it was asked."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.asked = 0

    async def find(self, keys: Mapping[bytes, int]) -> dict[bytes, Entry]:
        """Return what is there."""
        self.asked += len(keys)
        return {key: self.entries[key] for key in keys if key in self.entries}

    async def store(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all."""
        self.entries.update(entries)
