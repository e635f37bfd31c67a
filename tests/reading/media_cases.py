"""The table, continued: media, inline and by address."""

import base64
import json
from typing import Any

from tests.reading.cases import BASE64, CHARACTERS, FIELDS, JSON, PICTURE, URL, Case, post


def picture(medium: Any, **fields: Any) -> bytes:
    """Return a post of one medium and no text."""
    return json.dumps({"id": "a", "media": [medium]} | fields).encode()


MEDIA = (
    Case("media is null", post(media=None), "text", "text"),
    Case("media is an empty list", post(media=[]), "text", "text"),
    Case("media is empty", post(media=""), "dead letter: no_post", "text"),
    Case("a medium is null", post(media=[None]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium is a number", post(media=[7]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium is a list", post(media=[[]]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium is a list of numbers", post(media=[[1, 2]]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium is true", post(media=[True]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium is a word", post(media=["picture"]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium is a file's name", post(media=["a.jpg"]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium is a relative path", post(media=["/uploads/a.jpg"]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium is empty", post(media=[{}]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium's address is empty", post(media=[{"url": ""}]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium's address is null", post(media=[{"url": None}]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium's address is blank", post(media=[{"url": " \n"}]), "text; 0 bad_url", "text; 0 bad_medium"),
    Case("a medium's address is a number", post(media=[{"url": 5}]), "dead letter: no_post", "text; 0 bad_medium"),
    Case(
        "a medium's address is an object",
        post(media=[{"url": {"href": URL}}]),
        "dead letter: no_post",
        "text; 0 bad_medium",
    ),
    Case("a medium's data is empty", post(media=[{"data": ""}]), "dead letter: no_post", "text; 0 bad_medium"),
    Case("a medium's data is a list", post(media=[{"data": [1, 2]}]), "dead letter: no_post", "text; 0 bad_medium"),
    Case(
        "a medium's content_type is a number",
        picture({"url": URL, "content_type": 5}),
        "dead letter: no_post",
        "image",
        {},
        (URL,),
    ),
    Case(
        "a medium's ocr_text is a list",
        picture({"url": URL, "ocr_text": ["A"]}),
        "dead letter: no_post",
        "image",
        {},
        (URL,),
    ),
    Case("a medium is an address", picture(URL), "dead letter: no_post", "image", {}, (URL,)),
    Case("a medium is a data URI", picture(f"data:image/png;base64,{BASE64}"), "dead letter: no_post", "image"),
    Case("a medium is base64", picture(BASE64), "dead letter: no_post", "image"),
    Case("media is one object", post(media={"url": URL}), "dead letter: no_post", "text, image", {}, (URL,)),
    Case("media is an empty object", post(media={}), "dead letter: no_post", "text; 0 bad_medium"),
    Case("media is an address", post(media=URL), "dead letter: no_post", "text, image", {}, (URL,)),
    Case("media is a word", post(media="picture"), "dead letter: no_post", "text; 0 bad_medium"),
    Case("media is a number", post(media=5), "dead letter: no_post", "text; 0 bad_medium"),
    Case("media is false", post(media=False), "dead letter: no_post", "text; 0 bad_medium"),
    Case(
        "media is JSON in a string",
        post(media=json.dumps([{"url": URL}])),
        "dead letter: no_post",
        "text, image",
        {},
        (URL,),
    ),
    Case(
        "media is a list in a list",
        post(media=[[{"url": URL}, None]]),
        "dead letter: no_post",
        "text, image; 1 bad_medium",
        {},
        (URL,),
    ),
    Case(
        "a medium in a list of its own",
        post(media=[None, [{"url": URL}]]),
        "dead letter: no_post",
        "text, image; 0 bad_medium",
        {},
        (URL,),
    ),
    Case(
        "two media in a list of their own",
        post(media=[None, [URL, URL]]),
        "dead letter: no_post",
        "text; 0-1 bad_medium",
    ),
    Case(
        "good media among bad",
        post(media=[None, {"url": URL}, 3]),
        "dead letter: no_post",
        "text, image; 0 bad_medium, 2 bad_medium",
        {},
        (URL,),
    ),
    Case("the address under another name", picture({"src": URL}), "dead letter: no_post", "image", {}, (URL,)),
    Case("only bad media, no text", picture(None), "dead letter: no_post", "dead letter: nothing_usable"),
    Case(
        "many bad media, no text",
        post(text="", media=[None] * 2000),
        "dead letter: no_post",
        "dead letter: nothing_usable",
    ),
    Case(
        "bad media before a good one",
        post(media=[None] * 9 + [URL]),
        "dead letter: no_post",
        "text, image; 0-8 bad_medium",
        {},
        (URL,),
    ),
    Case(
        "more media than are used",
        post(media=[{"data": BASE64}] * 10),
        "text, image; 8-9 too_many_media",
        "text, image; 8-9 too_many_media",
    ),
    Case(
        "thousands of media",
        post(media=[None] * 5000),
        "dead letter: no_post",
        "text; 0-31 bad_medium, 32 not_listed (4968)",
    ),
    Case(
        "more media than are looked at",
        post(media=[None] * 25_000),
        "dead letter: no_post",
        "text; 0-31 bad_medium, 32 not_listed (24968)",
    ),
    Case(
        "drawn text of a medium without a picture",
        picture({"ocr_text": "MONDAYS"}),
        "dead letter: no_post",
        "text; 0 bad_medium",
    ),
)

INLINE = (
    Case(
        "a data URI in data",
        picture({"data": f"data:image/png;base64,{BASE64}"}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case(
        "a data URI in url", picture({"url": f"data:image/png;base64,{BASE64}"}), "dead letter: nothing_usable", "image"
    ),
    Case(
        "a data URI with parameters",
        picture({"data": f"data:image/png;charset=utf-8;name=a.png;base64,{BASE64}"}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case(
        "a data URI in capitals",
        picture({"url": f"DATA:IMAGE/PNG;BASE64,{BASE64}"}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case(
        "a data URI without a type", picture({"url": f"data:;base64,{BASE64}"}), "dead letter: nothing_usable", "image"
    ),
    Case(
        "a data URI behind white space",
        picture({"data": f" \n data:image/png; base64, {BASE64}"}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case(
        "a data URI, percent-encoded",
        picture({"url": "data:image/png," + "".join(f"%{byte:02x}" for byte in PICTURE)}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case(
        "a data URI of percent-encoded base64",
        picture({"url": "data:image/png;base64," + BASE64.replace("/", "%2F").replace("+", "%2B")}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case(
        "a data URI without its first word",
        picture({"data": f"image/png;base64,{BASE64}"}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case(
        "line ends in base64",
        picture({"data": "\r\n".join(BASE64[i : i + 20] for i in range(0, len(BASE64), 20)) + "\n"}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case("spaces in base64", picture({"data": f" {BASE64[:8]} {BASE64[8:]} "}), "dead letter: nothing_usable", "image"),
    Case(
        "base64 for URLs",
        picture({"data": base64.urlsafe_b64encode(PICTURE).decode()}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case("base64 without padding", picture({"data": BASE64.rstrip("=")}), "dead letter: nothing_usable", "image"),
    Case(
        "base64 with too much padding",
        picture({"data": BASE64.rstrip("=") + "===="}),
        "dead letter: nothing_usable",
        "image",
    ),
    Case("no base64", post(media=[{"data": "%%%"}]), "text; 0 bad_base64", "text; 0 bad_base64"),
    Case("base64 of one letter", post(media=[{"data": "A"}]), "text; 0 bad_base64", "text; 0 bad_base64"),
    Case(
        "a data URI of nothing",
        post(media=[{"data": "data:image/png;base64,"}]),
        "text; 0 bad_base64",
        "text; 0 bad_base64",
    ),
    Case("an address in data", picture({"data": URL}), "dead letter: nothing_usable", "image", {}, (URL,)),
)


def _address(name: str, given: str, asked: str = URL, before: str = "") -> Case:
    return Case(name, picture({"url": given}), before, "image", {}, (asked,))


ADDRESSES = (
    _address("white space around an address", f" {URL}\n", before="dead letter: nothing_usable"),
    _address("a zero-width space before an address", f"\u200b{URL}", before="dead letter: nothing_usable"),
    _address("a line end within an address", "https://img.example/\n1.jpg", before="dead letter: nothing_usable"),
    _address("an address without a scheme", "//img.example/1.jpg", before="dead letter: nothing_usable"),
    _address("an address without scheme and slashes", "img.example/1.jpg", before="dead letter: nothing_usable"),
    _address(
        "an address without a scheme, with a port",
        "img.example:8080/1.jpg",
        "https://img.example:8080/1.jpg",
        before="dead letter: nothing_usable",
    ),
    _address("an address in capitals", "HTTPS://img.example/1.jpg", before="image"),
    _address("an address with one slash", "https:/img.example/1.jpg", before="dead letter: nothing_usable"),
    _address(
        "a host of other letters",
        "https://b\u00fccher.example/1.jpg",
        "https://xn--bcher-kva.example/1.jpg",
        before="image",
    ),
    _address(
        "a host of capital other letters",
        "https://B\u00dcCHER.example/1.jpg",
        "https://xn--bcher-kva.example/1.jpg",
        before="image",
    ),
    _address(
        "a host of other letters, without a scheme",
        "b\u00fccher.example/1.jpg",
        "https://xn--bcher-kva.example/1.jpg",
        before="dead letter: nothing_usable",
    ),
    _address(
        "a host of another script",
        "https://\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444/1.jpg",
        "https://xn--e1afmkfd.xn--p1ai/1.jpg",
        before="image",
    ),
    _address(
        "a host with an emoji",
        "https://i\u2764.example/1.jpg",
        "https://xn--i-7iq.example/1.jpg",
        before="dead letter: nothing_usable",
    ),
    _address(
        "a host of other letters, with a port",
        "http://b\u00fccher.example:81/",
        "http://xn--bcher-kva.example:81/",
        before="image",
    ),
    Case(
        "an address of another kind",
        post(media=[{"url": "ftp://img.example/1.jpg"}]),
        "text; 0 bad_url",
        "text; 0 bad_url",
        {},
        ("ftp://img.example/1.jpg",),
    ),
    Case(
        "a word for an address",
        post(media=[{"url": "nonsense"}]),
        "text; 0 bad_url",
        "text; 0 bad_url",
        {},
        ("nonsense",),
    ),
)

PLAIN = (*FIELDS, *CHARACTERS, *JSON, *MEDIA, *INLINE, *ADDRESSES)
