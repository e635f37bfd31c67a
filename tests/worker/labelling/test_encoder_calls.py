"""A batch is cut into encoder calls of bounded size."""

from collections.abc import Sequence

import numpy as np
import pytest

from mmorient import Picture
from worker.labelling.embed import EmbeddingTable
from worker.labelling.encoder_calls import MAX_PICTURES, MAX_TEXTS, picture_calls, text_calls

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


@pytest.mark.xfail(reason="calls count windows and pictures since the merge of text/2")
def test_frames_count_as_pictures() -> None:
    """An animated picture takes up to four times an encoder's time."""
    assert sizes([1] * 40) == [MAX_PICTURES, MAX_PICTURES, 8]
    assert sizes([4] * 5) == [MAX_PICTURES, 4]
    assert sizes([1, 4, 4, 4, 4, 1]) == [13, 5]
    assert sizes([]) == []


@pytest.mark.xfail(reason="calls count windows and pictures since the merge of text/2")
def test_texts_count_one_each() -> None:
    """And what is known or not wanted is in no call."""
    made = EmbeddingTable(texts={bytes([index]): "x" * index for index in range(100)})
    made.known[bytes([3])] = np.zeros(2, np.float16)
    calls = list(text_calls(made, {bytes([index]) for index in range(90)}))
    assert [len(call.keys) for call in calls] == [MAX_TEXTS, 89 - MAX_TEXTS]
