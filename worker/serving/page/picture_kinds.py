"""What kind of picture bytes are, where a page shows them again: by what they begin with, whatever anybody says."""

_BEGINNINGS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
}
# Behind the length of its first box, or of its first chunk.
_BRANDS = {b"ftypavif": "image/avif", b"ftypavis": "image/avif"}


def kind_of(content: bytes) -> str | None:
    """Return the media type of a picture that browsers show; None for anything else, such as SVG, which may act."""
    for beginning, kind in _BEGINNINGS.items():
        if content.startswith(beginning):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return _BRANDS.get(content[4:12])
