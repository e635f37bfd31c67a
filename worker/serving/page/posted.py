"""A form to the bytes of a post: multipart from a browser, held in memory and never on the disk."""

import base64
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

ID = "try-it"
_MAX_FIELDS = 8
# Around a picture: boundaries and the names of fields.
_ROOM_BYTES = 64 * 1024


class FormError(Exception):
    """A form that is none; the message is for whoever sent it.

    Args:
        status: of the answer.
        said: what is wrong.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True)
class Posted:
    """What a person typed, and the picture beside it."""

    text: str
    community: str
    picture: bytes

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to label."""
        return not self.text.strip() and not self.picture

    @property
    def post(self) -> bytes:
        """The post, as a producer would write it."""
        fields: dict[str, object] = {"id": ID}
        if self.text.strip():
            fields["text"] = self.text
        if self.community.strip():
            fields["community"] = self.community.strip()
        if self.picture:
            fields["media"] = [{"data": base64.b64encode(self.picture).decode()}]
        return json.dumps(fields).encode()


class _InMemory(MultiPartParser):
    # A larger file would be laid down on the disk.
    spool_max_size = 1 << 30


async def read_form(request: Request, *, max_picture_bytes: int, max_text_chars: int) -> Posted:
    """Read what a person sent.

    Args:
        request: a form, with a file or without.
        max_picture_bytes, max_text_chars: the largest that the stream takes, too.

    Raises:
        FormError: it is none, or too large.
    """
    # A character may take four bytes, and each of them three in a form without a file.
    limit = max_picture_bytes + 12 * max_text_chars + _ROOM_BYTES
    if int(request.headers.get("content-length") or 0) > limit:
        raise FormError(413, f"More than {limit // 1_000_000} MB cannot be sent.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = _bounded(request, limit)
    try:
        if kind == "multipart/form-data":
            form = await _InMemory(
                request.headers, body, max_files=1, max_fields=_MAX_FIELDS, max_part_size=4 * max_text_chars
            ).parse()
        elif kind == "application/x-www-form-urlencoded":
            form = await FormParser(Headers(request.headers), body).parse()
        else:
            raise FormError(415, "This is not a form.")
    except (MultiPartException, ValueError) as error:
        raise FormError(400, "This form cannot be read.") from error
    try:
        file = form.get("picture")
        picture = await file.read() if isinstance(file, UploadFile) else b""
        text, community = (str(form.get(name) or "") for name in ("text", "community"))
    finally:
        await form.close()
    if len(picture) > max_picture_bytes:
        raise FormError(413, f"A picture has at most {max_picture_bytes // 1_000_000} MB.")
    if len(text) > max_text_chars:
        raise FormError(413, f"A text has at most {max_text_chars:,} characters.")
    # Browsers send line ends as CR LF, and a text area counts one.
    return Posted(text.replace("\r\n", "\n"), community, picture)


async def _bounded(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > limit:
            raise FormError(413, f"More than {limit // 1_000_000} MB cannot be sent.")
        yield chunk


async def read_fields(request: Request, *, limit: int = 8 * 1024) -> dict[str, str]:
    """Read a small form without a file.

    Raises:
        FormError: it is none, or too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise FormError(415, "This is not a form.")
    body = b"".join([chunk async for chunk in _bounded(request, limit)])
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise FormError(400, "This form cannot be read.") from error
    return {name: values[0] for name, values in fields.items()}
