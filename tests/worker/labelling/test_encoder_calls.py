"""A batch is cut into encoder calls of bounded size."""

from collections.abc import Sequence

import numpy as np

from mmorient import Picture
from worker.labelling.embed import EmbeddingTable
from worker.labelling.encoder_calls import MAX_PICTURES, picture_calls

PIXELS = np.zeros((2, 2, 3), np.uint8)


def table(frames: Sequence[int]) -> EmbeddingTable:
    """Give pictures of so many frames each."""
    pictures = {
        bytes([index]): Picture(PIXELS, 2, 2, later=(PIXELS,) * (count - 1)) for index, count in enumerate(frames)
    }
    return EmbeddingTable(pictures=pictures)


def sizes(frames: Sequence[int]) -> list[int]:
    """Return the frames of each call."""
    made = table(frames)
    calls = list(picture_calls(made, made.pictures.keys()))
    assert [key for call in calls for key in call.keys] == list(made.pictures)
    return [sum(1 + len(picture.later) for picture in call.contents) for call in calls]


def test_frames_count_as_pictures() -> None:
    """An animated picture takes up to four times an encoder's time."""
    assert sizes([1] * 40) == [MAX_PICTURES, MAX_PICTURES, 8]
    assert sizes([4] * 5) == [MAX_PICTURES, 4]
    assert sizes([1, 4, 4, 4, 4, 1]) == [13, 5]
    assert sizes([]) == []


def test_what_is_known_or_not_wanted_is_in_no_call() -> None:
    """Of a batch that is labelled in parts."""
    made = table([1] * 10)
    made.known[bytes([3])] = np.zeros(2, np.float16)
    [call] = picture_calls(made, {bytes([index]) for index in range(6)})
    assert call.keys == [bytes([index]) for index in (0, 1, 2, 4, 5)]
