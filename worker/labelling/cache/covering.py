"""Texts in the cache that nobody can read who does not have the picture that they were read off.

The key stream comes from a digest of the picture, which the cache does not hold: an entry's own key is another digest
of it. Whoever has the picture can read what is drawn on it anyway. One key covers one text: it is made of the entry's
key too, which names the reader.
"""

import base64
from hashlib import blake2b, shake_256

_PERSON = b"moderate-cover"


def secret_of(content: bytes) -> bytes:
    """Return what covers the texts of a picture."""
    return blake2b(content, digest_size=32, person=_PERSON).digest()


def cover(text: str, key: bytes, secret: bytes) -> str:
    """Return a text as it may lie in the cache.

    Args:
        text: that was read.
        key: of its entry.
        secret: of its picture.
    """
    return base64.b64encode(_crossed(text.encode(errors="replace"), key, secret)).decode()


def uncover(covered: str, key: bytes, secret: bytes) -> str | None:
    """Return a text that `cover` covered; None where it did not."""
    try:
        return _crossed(base64.b64decode(covered, validate=True), key, secret).decode()
    except ValueError:  # of base64 and of UTF-8, and what is not even ASCII
        return None


def _crossed(data: bytes, key: bytes, secret: bytes) -> bytes:
    stream = shake_256(secret + key).digest(len(data))
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))
