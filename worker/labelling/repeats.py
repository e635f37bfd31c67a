"""The labels of what this process labelled last: a post that repeats all of another's contents has its labels, too.

A label is a function of the embeddings alone, and these are functions of the contents. So nothing is computed twice
while a text spreads.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.items import Item
from worker.labelling.cache.recent import Recent
from worker.telemetry.metrics import POSTS_REPEATED

# Importing it loads torch.
if TYPE_CHECKING:
    from mmorient import PostLabels

_LABELS_BYTES = 3_000  # of five tasks, three of them with degrees

Contents = tuple[bytes | None, ...]


class Repeats:
    """Keeps labels by contents.

    Args:
        max_bytes: of all together; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._recent: Recent[Contents, PostLabels] = Recent(max_bytes, lambda contents, _: _size(contents))

    def answer(self, items: Sequence[Item]) -> list[Item]:
        """Set `labels` of the items whose contents are known; return these items.

        Args:
            items: their keys are set.
        """
        contents = {item: contents_of(item) for item in items}
        known = self._recent.find(contents.values())
        answered = []
        for item, own in contents.items():
            if (labels := known.get(own)) is not None:
                item.labels = labels
                answered.append(item)
        POSTS_REPEATED.inc(len(answered))
        return answered

    def keep(self, items: Sequence[Item]) -> None:
        """Keep the labels of items that the model has labelled."""
        self._recent.keep((contents_of(item), item.labels) for item in items if item.labels is not None)


def contents_of(item: Item) -> Contents:
    """Return the keys of all that an item's labels depend on: of its text, and of its pictures in their order."""
    if not item.picture_keys:
        return (item.text_key,)
    return (item.text_key, *(key for _, key in sorted(item.picture_keys.items())))


def _size(contents: Contents) -> int:
    return _LABELS_BYTES + sum(len(key or b"") for key in contents)
