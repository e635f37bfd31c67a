"""The view at `/`: what is shown, what is escaped, what every answer carries, and where words of a post never stand."""

import base64
import json
import logging
import re
import tempfile
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

import worker.serving.page as package
from tests.worker.serving.conftest import Serving
from tests.worker.serving.page.parts import LIMITS, ToldLabeller, browser_of, explanation, labels, page_of
from worker.serving.page.headers import POLICY
from worker.serving.page.outside import BusyError, Labelled, Refused

FOLDER = Path(package.__file__).parent
HOSTILE = "<img src=x onerror=alert(1)> \u202etxet \x07 ' \" & {{ 7*7 }}"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def ask(
    path: str, labeller: ToldLabeller, text: str = "oh great", picture: bytes = b"", **fields: str
) -> httpx.Response:
    """Send a form as a browser does."""
    files = {"picture": ("a.png", picture, "image/png")}
    async with browser_of(page_of(labeller)) as client:
        return await client.post(path, data={"text": text, **fields}, files=files)


async def test_a_text_becomes_a_post_and_its_labels_are_shown() -> None:
    """All probabilities stand there, and a sentence for whoever hears the page."""
    labeller = ToldLabeller()
    answer = await ask("/page/labels", labeller, "oh great", community="gardening")
    assert answer.status_code == 200
    assert json.loads(labeller.posts[0]) == {"id": "try-it", "text": "oh great", "community": "gardening"}
    for said in ("0.8100", "0.1300", "0.0600", "0.8688", "How much: general", "0.5120", "English"):
        assert said in answer.text
    assert unquote(answer.headers["x-page-status"]) == "Labels: negative 81 %, sarcastic 87 %."


async def test_what_policies_decide_is_shown() -> None:
    """With the rule, what it looked at and its threshold; and where nothing is decided, that."""
    decision = {"decision": HOSTILE, "rule": "strict", "task": "sarcasm", "label": "sarcastic"}
    decision |= {"probability": 0.8688, "threshold": 0.45}
    answer = await ask("/page/labels", ToldLabeller(Labelled(labels(), [decision])), community="parenting")
    assert "by rule strict: sarcastic\n  86.9 % reaches 45.0 %" in answer.text
    assert "<img src=x" not in answer.text
    assert "Decided: <img" in unquote(answer.headers["x-page-status"])
    nothing = await ask("/page/labels", ToldLabeller(Labelled(labels(), [])))
    assert "no rule of the policies is reached" in nothing.text
    assert "Decided" not in (await ask("/page/labels", ToldLabeller())).text


async def test_a_picture_goes_with_the_post_and_never_to_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are those that were sent, however many there are."""

    def refuse(_: object) -> None:
        raise AssertionError("a picture was laid down on the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    labeller, picture = ToldLabeller(), PNG + bytes(3_000_000)
    assert (await ask("/page/labels", labeller, "", picture)).status_code == 200
    post = json.loads(labeller.posts[0])
    assert "text" not in post
    assert base64.b64decode(post["media"][0]["data"]) == picture


async def test_reasons_are_shown() -> None:
    """Tinted words, regions, what moves the answer, the nearest posts, and what was read."""
    why = explanation(["GREAT", "monday"], pictures=1, unavailable=[{"index": 1, "reason": "truncated"}])
    answer = await ask("/page/reasons", ToldLabeller(why=why), "GREAT monday", PNG)
    assert answer.status_code == 200
    for said in (
        '<span class="h3" title="66.7 %, read as “great”">GREAT</span>',
        "great monday",
        "Picture 2 was not used: it is cut off.",
        "data:image/png;base64,",
        "Seen in 2 by 2 regions",
        "\u221231.0",
        "neutral",
        "1 of 1531 are neighbours",
        "0.9100",
    ):
        assert said in answer.text, said
    assert 'src=""' not in answer.text


async def test_a_form_without_a_script_has_all_of_it() -> None:
    """One answer holds the page, labels, reasons and the picture."""
    why = explanation(["oh", "great"], pictures=1)
    answer = await ask("/", ToldLabeller(why=why), "oh great", PNG)
    assert answer.status_code == 200
    assert "What moves the answer" in answer.text
    assert "Labels: negative 81 %" in answer.text
    assert f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in answer.text
    assert ">oh great</textarea>" in answer.text
    assert "location" not in answer.headers


async def test_what_may_act_is_not_shown_as_a_picture() -> None:
    """An SVG holds scripts, whatever the browser says that it is."""
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    answer = await ask("/", ToldLabeller(why=explanation(["a", "b"], pictures=1)), "a b", svg)
    assert base64.b64encode(svg).decode() not in answer.text


async def test_hostile_words_are_escaped_everywhere() -> None:
    """In words, communities, names, reasons and labels; what turns a line around is named."""
    named = labels(reading={"language": HOSTILE, "supported": False, "unread": 0.5, "truncated_text": True})
    why = explanation([HOSTILE, "b"], unavailable=[{"index": 0, "reason": HOSTILE}])
    told = ToldLabeller(Labelled(named), why)
    refused = ToldLabeller(Refused(HOSTILE, HOSTILE, HOSTILE), why)
    for answer in (
        await ask("/", told, HOSTILE, community=HOSTILE),
        await ask("/page/labels", told, HOSTILE),
        await ask("/page/reasons", told, HOSTILE),
        await ask("/page/labels", refused, HOSTILE),
    ):
        assert "<img src=x" not in answer.text
        assert "{{ 7*7 }}" in answer.text
        # What a person typed stands in its field again as it was.
        shown = re.sub(r"(?s)<textarea.*?</textarea>|value=\"[^\"]*\"", "", answer.text)
        assert "\x07" not in shown
        assert "\u202e" not in shown


async def test_every_answer_forbids_what_is_not_from_here(serving: Serving) -> None:
    """Pages, parts, files, refusals and what is not there, of the whole application."""
    async with serving() as client:
        answers = [
            await client.get("/"),
            await client.get("/page/static/page.css"),
            await client.get("/page/static/try-it.js"),
            await client.post("/page/labels", content=b"x"),
            await client.post("/page/labels", data={"text": "a"}),
            await client.post("/page/labels", data={"text": "a"}, headers={"sec-fetch-site": "cross-site"}),
        ]
        others = [
            await client.get("/nowhere"),
            await client.get("/page/static/nothing"),
            await client.get("/page/static/../routes.py"),
            await client.put("/"),
        ]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
    assert [answer.status_code for answer in answers] == [200, 200, 200, 415, 200, 403]
    assert [answer.status_code for answer in others] == [404, 404, 404, 405]
    assert all("default-src 'none'" in answer.headers["content-security-policy"] for answer in others)


def test_the_templates_need_nothing_that_the_policy_forbids() -> None:
    """No style and no script within a page, nothing from another host."""
    for template in (FOLDER / "templates").iterdir():
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:|https?://", text), template
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), template
    for file in (FOLDER / "static").glob("*.[cj]s*"):
        assert not re.search(r"https?://|@import|\beval\(|localStorage|sessionStorage|history\.", file.read_text()), (
            file
        )


async def test_words_stand_in_no_address_and_in_no_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """They go in bodies, and nothing that is answered leads to an address that holds them."""
    caplog.set_level(logging.DEBUG)
    told = ToldLabeller()
    for path in ("/", "/page/labels", "/page/reasons"):
        answer = await ask(path, told, "sesquipedalian words")
        assert "sesquipedalian" not in " ".join(answer.headers.values())
    told.busy = BusyError(2)
    await ask("/page/labels", told, "sesquipedalian words")
    assert "sesquipedalian" not in caplog.text
    assert "sesquipedalian" not in "".join(capfd.readouterr())
    async with browser_of(page_of(told)) as client:
        page = (await client.get("/?text=sesquipedalian")).text
    assert 'method="post"' in page
    assert "sesquipedalian" not in page


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ({"data": {"text": "  "}}, 422, "Type a text or choose a picture."),
        ({"data": {"text": "a" * (LIMITS.text_chars + 1)}}, 413, "A text has at most 10,000 characters."),
        ({"files": {"picture": ("a", bytes(LIMITS.picture_bytes + 1))}}, 413, "A picture has at most 4 MB."),
        ({"files": {"picture": ("a", bytes(9_000_000))}}, 413, "More than 4 MB cannot be sent."),
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, 415, "This is not a form."),
        (
            {"content": b"--a", "headers": {"content-type": "multipart/form-data; boundary=a"}},
            422,
            "Type a text or choose a picture.",
        ),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "This form cannot be read."),
        ({"files": [("picture", ("a", b"1")), ("picture", ("b", b"2"))]}, 400, "This form cannot be read."),
    ],
    ids=["empty", "long", "large picture", "large body", "json", "cut off", "no boundary", "two pictures"],
)
async def test_what_cannot_be_used_is_said(content: dict[str, object], status: int, said: str) -> None:
    """The labeller never hears of it."""
    told = ToldLabeller()
    async with browser_of(page_of(told)) as client:
        answer = await client.post("/page/labels", **content)
    assert (answer.status_code, unquote(answer.headers["x-page-status"])) == (status, said)
    assert told.posts == []


async def test_a_body_of_unsaid_length_is_cut_off_where_it_is_too_long() -> None:
    """Memory does not grow with what somebody sends in pieces."""

    async def pieces():  # type: ignore[no-untyped-def]
        yield b'--a\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
        for _ in range(100):
            yield bytes(1_000_000)

    async with browser_of(page_of(ToldLabeller())) as client:
        headers = {"content-type": "multipart/form-data; boundary=a"}
        answer = await client.post("/page/labels", content=pieces(), headers=headers)
    assert answer.status_code in {400, 413}


async def test_overload_is_said_with_when_to_ask_again() -> None:
    """The browser asks again; without a script a person does."""
    told = ToldLabeller()
    told.busy = BusyError(3)
    answer = await ask("/page/labels", told)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    whole = await ask("/", told)
    assert whole.status_code == 429
    assert "Try again in 3 s." in whole.text


async def test_what_would_be_a_dead_letter_is_said_to_be_one() -> None:
    """With its stage and its reason."""
    refused = Refused("media", "nothing_left", "no picture of it can be used")
    answer = await ask("/page/labels", ToldLabeller(refused, refused))
    assert answer.status_code == 422
    for said in ("No labels.", "no picture of it can be used", "stage media", "reason nothing_left"):
        assert said in answer.text
    assert (await ask("/page/reasons", ToldLabeller(refused, refused))).status_code == 422
