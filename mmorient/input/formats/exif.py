"""How the camera was held: the one number that is read from metadata.

Pillow reads all of an EXIF block, every entry of which may name the same megabytes: a file of 100 kB takes gigabytes.
"""

from __future__ import annotations

import re
import struct

_TAG = 0x0112
_MAX_ENTRIES = 1000
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def orientation(exif: bytes | None, xmp: bytes | None = None) -> int:
    """EXIF's orientation, 1 to 8; else XMP's; else 1.

    Args:
        exif: A TIFF header and what follows, with or without ``Exif\\0\\0`` in front.
        xmp: XML.
    """
    number = _from_exif(exif) if exif else None
    if number is None and xmp and (found := _XMP.search(xmp)):
        number = int(found[1])
    return number if number is not None and 1 <= number <= 8 else 1


def _from_exif(exif: bytes) -> int | None:
    while exif.startswith(b"Exif\x00\x00"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None:
            return None
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * min(count, _MAX_ENTRIES), 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", exif, entry)
            if tag == _TAG:
                if values != 1 or kind not in _TYPES:
                    return None
                return int(struct.unpack_from(f"{order}{_TYPES[kind]}", exif, entry + 8)[0])
    except struct.error:
        pass  # damaged metadata is no reason to refuse a picture that decodes
    return None
