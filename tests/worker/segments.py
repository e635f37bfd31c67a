"""A partition's first segment file on a broker's disk, and damage to it."""

import struct
import time
from pathlib import Path

_POLL_SECONDS = 0.02
# A fetch that waits at the broker for records is answered without any after 0.1 s.
_FETCHES_END_SECONDS = 0.3


def byte_of(path: Path, offset: int) -> int:
    """Return where in a segment file the last byte of the batch stands that holds an offset."""
    for first, last, end in _batches(path.read_bytes(), 0):
        if first <= offset <= last:
            return end - 1
    raise AssertionError(f"offset {offset} is not in {path}")


def flip(path: Path, place: int) -> None:
    """Change one byte of a file; a second time changes it back."""
    with path.open("r+b") as file:
        file.seek(place)
        found = file.read(1)
        file.seek(place)
        file.write(bytes([found[0] ^ 0x55]))


def damage_next_batch(path: Path, seconds: float) -> int:
    """Wait for the next batch of records, and damage it; return where.

    Raises:
        LookupError: none came in time.
    """
    deadline = time.monotonic() + seconds
    time.sleep(_FETCHES_END_SECONDS)
    known = path.stat().st_size
    while time.monotonic() < deadline:
        data = path.read_bytes()
        for _, _, end in _batches(data, known):
            if end <= len(data):
                flip(path, end - 1)
                return end - 1
        time.sleep(_POLL_SECONDS)
    raise LookupError(f"no batch came to {path.parent.name} within {seconds:g} s")


def _batches(data: bytes, position: int) -> list[tuple[int, int, int]]:
    """Return the first and last offset, and the end in the file, of each batch that begins behind `position`."""
    found = []
    while position + 27 <= len(data):
        first, length = struct.unpack_from(">qi", data, position)
        (delta,) = struct.unpack_from(">i", data, position + 23)
        position += 12 + length
        found.append((first, first + delta, position))
    return found
