"""What this process has seen of late: the first place to look, before Redis is asked."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

# Of a key, its place and its value's header, whatever the value's own size is.
_OVERHEAD_BYTES = 200


class Recent(Generic[_Key, _Value]):
    """Keeps the values that were used last, as many as fit.

    Args:
        max_bytes: of all together; 0 keeps nothing.
        size: bytes of a key and its value.
    """

    def __init__(self, max_bytes: int, size: Callable[[_Key, _Value], int]) -> None:
        self._max_bytes = max_bytes
        self._size = size
        self._bytes = 0
        self._entries: OrderedDict[_Key, _Value] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Return what they take."""
        return self._bytes

    def find(self, keys: Iterable[_Key]) -> dict[_Key, _Value]:
        """Return what is kept of `keys`."""
        found = {}
        for key in keys:
            if (value := self._entries.get(key)) is not None:
                self._entries.move_to_end(key)
                found[key] = value
        return found

    def keep(self, entries: Iterable[tuple[_Key, _Value]]) -> None:
        """Keep values; those that were not used for longest make room."""
        for key, value in entries:
            if key in self._entries:
                continue
            self._entries[key] = value
            self._bytes += self._size(key, value) + _OVERHEAD_BYTES
        while self._bytes > self._max_bytes:
            key, value = self._entries.popitem(last=False)
            self._bytes -= self._size(key, value) + _OVERHEAD_BYTES
