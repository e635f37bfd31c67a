"""What the encoders must make of a batch, cut into calls of bounded size.

Texts of like length go together: windows of one length are computed in one shape. Which call a content is in cannot
change its embedding; it only decides how much of the call is padding. A call has so many windows at most, so that the
longest texts together take the watchdog's time no more than ordinary ones do.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Generic, TypeVar

from mmorient import Picture
from worker.labelling.embed import EmbeddingTable

# Between two calls the torch thread looks whether it should end: about a second of work on two cores.
MAX_TEXTS = 64
MAX_WINDOWS = 64  # of texts; a text alone has no more
MAX_PICTURES = 16  # each frame of an animated one counts

Content = TypeVar("Content", str, Picture)


# No slots: with them Python 3.11 refuses `EncoderCall[str](...)`.
@dataclass(frozen=True)
class EncoderCall(Generic[Content]):
    """Contents to encode together, and the cache keys that their embeddings go under."""

    keys: list[bytes]
    contents: list[Content]


def text_calls(
    table: EmbeddingTable, wanted: Set[bytes], count_windows: Callable[[Sequence[str]], list[int]]
) -> Iterator[EncoderCall[str]]:
    """Yield the calls that make the texts of `wanted` which are not known yet.

    Args:
        table: of the batch.
        wanted: keys.
        count_windows: in how many windows each text is encoded.
    """
    missing = [(key, text) for key, text in table.texts.items() if key in wanted and key not in table.known]
    counts = count_windows([text for _, text in missing])
    call: EncoderCall[str] = EncoderCall([], [])
    windows = 0
    for (key, text), count in sorted(zip(missing, counts, strict=True), key=lambda one: (one[1], len(one[0][1]))):
        if call.keys and (len(call.keys) == MAX_TEXTS or windows + count > MAX_WINDOWS):
            yield call
            call, windows = EncoderCall([], []), 0
        call.keys.append(key)
        call.contents.append(text)
        windows += count
    if call.keys:
        yield call


def picture_calls(table: EmbeddingTable, wanted: Set[bytes]) -> Iterator[EncoderCall[Picture]]:
    """Yield the calls that make the pictures of `wanted` which are not known yet."""
    call = EncoderCall[Picture]([], [])
    frames = 0
    for key, picture in table.pictures.items():
        if key not in wanted or key in table.known:
            continue
        count = 1 + len(picture.later)
        if call.keys and frames + count > MAX_PICTURES:
            yield call
            call, frames = EncoderCall[Picture]([], []), 0
        call.keys.append(key)
        call.contents.append(picture)
        frames += count
    if call.keys:
        yield call
