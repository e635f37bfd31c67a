"""Pictures inside a post (base64, data URIs), and the addresses of others, as people and programs write them."""

from __future__ import annotations

import base64
import binascii
import re

import idna

from mmorient.errors import PictureError

# Around an address or within one, a browser drops these.
_AROUND = "".join(map(chr, range(33))) + "\x7f\u00a0\u200b\u200e\u200f\u2028\u2029\ufeff"
_WITHIN = str.maketrans("", "", "\t\r\n")
_PLAIN = re.compile(r"https?://[!-.0-~][!-~]*")
_WEB = re.compile(r"(https?):/*", re.IGNORECASE)
# A name with a dot and a top-level domain of letters, maybe a port.
_HOST = re.compile(r"(?:[\w-]+\.)+(?:xn--[a-z0-9-]+|[^\W\d_]{2,})(?::[0-9]{1,5})?", re.IGNORECASE)
_HOST_CHARS = 260
_HOST_ENDS = re.compile(r"[/?#\\]")
_HEAD_CHARS = 256
_BLANK = re.compile(r"\s+")
_URL_SAFE = str.maketrans("-_", "+/")
# How base64 of a PNG, JPEG, GIF or WebP begins.
_BARE = ("iVBORw0KGgo", "/9j/", "R0lGODlh", "R0lGODdh", "UklGR")
_BARE_CHARS = 40


def web_address(text: str) -> str | None:
    """Return the http or https address that a string plainly means; None where it means none.

    White space around it goes, a missing scheme is https, a host of other letters becomes its ASCII form.
    """
    if is_plain_address(text):
        return text
    text = text.strip(_AROUND).translate(_WITHIN)
    if web := _WEB.match(text):
        scheme, rest = web[1].lower(), text[web.end() :]
    elif text.startswith("//"):
        scheme, rest = "https", text[2:]
    else:
        host, slash, _ = text.partition("/")
        if not slash or len(host) > _HOST_CHARS or not _HOST.fullmatch(host):
            return None
        scheme, rest = "https", text
    host = _HOST_ENDS.split(rest, 1)[0]
    if not host:
        return None
    return f"{scheme}://{_ascii_host(host)}{rest[len(host) :]}"


def is_plain_address(text: str) -> bool:
    """Whether an address needs nothing done to it."""
    return _PLAIN.fullmatch(text) is not None


def _ascii_host(host: str) -> str:
    if host.isascii() or len(host) > _HOST_CHARS:
        return host
    user, at, name = host.rpartition("@")
    name, colon, port = name.partition(":")
    try:
        name = idna.encode(name, uts46=True).decode()
    except UnicodeError:
        try:
            # The older rules, by which emoji are names as well.
            name = name.encode("idna").decode()
        except UnicodeError:
            return host
    return f"{user}{at}{name}{colon}{port}"


def is_inline(text: str) -> bool:
    """Whether a string is a picture itself: a data URI, or base64 that begins as a picture's does."""
    head = text[:_HEAD_CHARS].lstrip(_AROUND)
    return head[:5].lower() == "data:" or (head.startswith(_BARE) and len(text) >= _BARE_CHARS)


def inline_bytes(data: str, max_bytes: int | None = None) -> bytes:
    """Return the bytes of a picture that stands in its post.

    Args:
        data: Base64 or a data URI; white space, the alphabet for URLs and missing padding are harmless.
        max_bytes: That a picture may have.

    Raises:
        PictureError: `bad_base64` or `too_many_bytes`.
    """
    if _could_exceed(data, max_bytes) and _could_exceed(data := _BLANK.sub("", data), max_bytes):
        raise PictureError("too_many_bytes", f"{len(data)} characters")
    content = _decoded(data)
    if not content:
        raise PictureError("bad_base64", "no bytes")
    if max_bytes is not None and len(content) > max_bytes:
        raise PictureError("too_many_bytes", f"{len(content)} bytes")
    return content


def _could_exceed(data: str, max_bytes: int | None) -> bool:
    return max_bytes is not None and len(data) * 3 // 4 > max_bytes + _HEAD_CHARS


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:
        pass
    head, comma, rest = data[:_HEAD_CHARS].partition(",")
    if comma:
        payload = rest + data[_HEAD_CHARS:]
        head = head.strip(_AROUND).lower()
        if not head.endswith("base64"):
            if not head.startswith("data:"):
                raise PictureError("bad_base64", "a comma within")
            return _without_percents(payload)
        data = _without_percents(payload).decode("latin-1") if "%" in payload else payload
    data = _BLANK.sub("", data).translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureError("bad_base64", str(error)) from error


def _without_percents(text: str) -> bytes:
    # Quoted-printable is the same with another sign, and read without a loop of Python's.
    return binascii.a2b_qp(text.encode(errors="replace").replace(b"=", b"=3D").replace(b"%", b"="))
