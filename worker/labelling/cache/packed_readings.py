"""What was read of a text, packed to stand behind the text's embedding in the cache: to read takes longer than to pack.

Windows and tokens are part of what an embedding's key depends on; languages are not, so their version is packed too.
"""

import struct
from hashlib import blake2b
from typing import Protocol

from mmorient import Reading

_FORM = struct.Struct("<4s2sBB")  # digest of the version, language, unread percent, 1 where it was truncated
PACKED_BYTES = _FORM.size
_NO_LANGUAGE = b"\0\0"


class Reader(Protocol):
    """What of a model decides how a text is read."""

    @property
    def reading_version(self) -> str:
        """Of what tells a text's language."""
        ...

    def supports(self, language: str | None, /) -> bool:
        """Return whether the model was made for a language."""
        ...


class PackedReadings:
    """Packs readings, and unpacks those of the same version.

    Args:
        reader: the model.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._version = blake2b(reader.reading_version.encode(), digest_size=4).digest()

    def pack(self, reading: Reading) -> bytes:
        """Return a reading as `PACKED_BYTES` bytes."""
        language = _NO_LANGUAGE if reading.language is None else reading.language.encode("ascii")
        return _FORM.pack(self._version, language, round(100 * reading.unread), reading.truncated_text)

    def unpack(self, packed: bytes) -> Reading | None:
        """Return a reading; None where nothing is packed, or another version's."""
        if len(packed) != PACKED_BYTES:
            return None
        version, two_letters, percent, truncated = _FORM.unpack(packed)
        if version != self._version:
            return None
        language = None if two_letters == _NO_LANGUAGE else two_letters.decode("ascii")
        return Reading(language, self._reader.supports(language), percent / 100, bool(truncated))
