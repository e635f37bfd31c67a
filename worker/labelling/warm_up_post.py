"""A harmless post. Where even this one cannot be labelled, the fault is not in the posts."""

import io
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mmorient import Picture, PostEmbeddings, decode_picture

if TYPE_CHECKING:
    from mmorient import Moderator

_TEXT = "good morning"
_SIDE = 64  # pixels
# As long as most posts are.
_SAMPLE = "a post that nobody wrote, of twenty words or so, to see how long it takes to make one of these"


class WarmUpPost:
    """Goes through all that a post with a text and a picture goes through.

    Args:
        moderator: the model.
    """

    def __init__(self, moderator: "Moderator") -> None:
        self._moderator = moderator

    def check(self) -> None:
        """Return if the model works.

        Raises:
            Exception: whatever the model raises.
            ValueError: the model answers with what is no number.
        """
        # Reading loads the table of languages: not while the first posts wait.
        self._moderator.read_texts([_TEXT])
        [text] = self._moderator.embed_texts([_TEXT])
        [picture] = self._moderator.embed_pictures([self._picture])
        if not (np.isfinite(text).all() and np.isfinite(picture).all()):
            raise ValueError("an embedding that is not finite")
        [_] = self._moderator.classify([PostEmbeddings(text, (picture,))])

    @property
    def tokens_a_text(self) -> int:
        """Tokens of a sample text, padding included."""
        [(_, tokens)] = self._moderator.text_shapes([_SAMPLE])
        return tokens

    def embed_texts(self, count: int) -> None:
        """Encode so many sample texts in one call."""
        self._moderator.embed_texts([_SAMPLE] * count)

    def embed_pictures(self, count: int) -> None:
        """Encode so many sample pictures in one call."""
        self._moderator.embed_pictures([self._picture] * count)

    @cached_property
    def _picture(self) -> Picture:
        """Grey, and looked at for drawn text where the checkpoint wants that."""
        content = io.BytesIO()
        Image.new("RGB", (_SIDE, _SIDE), "grey").save(content, "PNG")
        return decode_picture(
            content.getvalue(),
            max_pixels=_SIDE * _SIDE,
            drawn_text=self._moderator.drawn_text,
            frame=self._moderator.picture_frame,
        )
