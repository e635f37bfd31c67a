"""What the encoders must make of a batch, cut into calls of bounded size.

Texts of like length go together, because an encoder pads a call's rows to one shape. Which call a content is in
cannot change its embedding; it only decides how much of the call is padding.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import Generic, TypeVar

from mmorient import Picture
from worker.labelling.embed import EmbeddingTable

# Between two calls the torch thread looks whether it should end: about a second of work on two cores.
MAX_TEXTS = 64
MAX_PICTURES = 16  # frames of an animated one each

Content = TypeVar("Content", str, Picture)


@dataclass(frozen=True, slots=True)
class EncoderCall(Generic[Content]):
    """Contents to encode together, and the cache keys that their embeddings go under."""

    keys: list[bytes]
    contents: list[Content]


def text_calls(table: EmbeddingTable, wanted: Set[bytes]) -> Iterator[EncoderCall[str]]:
    """Yield the calls that make the texts of `wanted` which are not known yet."""
    missing = {key: text for key, text in table.texts.items() if key in wanted and key not in table.known}
    return _calls(dict(sorted(missing.items(), key=lambda entry: len(entry[1]))), MAX_TEXTS)


def picture_calls(table: EmbeddingTable, wanted: Set[bytes]) -> Iterator[EncoderCall[Picture]]:
    """Yield the calls that make the pictures of `wanted` which are not known yet."""
    missing = {key: picture for key, picture in table.pictures.items() if key in wanted and key not in table.known}
    return _calls(missing, MAX_PICTURES, lambda picture: 1 + len(picture.later))


def _calls(
    contents: dict[bytes, Content], size: int, rows: Callable[[Content], int] = lambda _: 1
) -> Iterator[EncoderCall[Content]]:
    keys: list[bytes] = []
    taken = 0
    for key, content in contents.items():
        if keys and taken + rows(content) > size:
            yield EncoderCall(keys, [contents[one] for one in keys])
            keys, taken = [], 0
        keys.append(key)
        taken += rows(content)
    if keys:
        yield EncoderCall(keys, [contents[one] for one in keys])
