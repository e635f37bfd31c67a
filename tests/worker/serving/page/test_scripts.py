"""The page's scripts in a real Chromium, over a labeller that says what it is told: each promise once, in seconds."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, expect
from starlette.applications import Starlette

from tests.worker.serving.page.parts import ToldLabeller, explanation, page_of
from tests.worker.serving.page.served import assert_accessible, assert_fits, hand_over, opened
from tests.worker.serving.page.test_stream import page_with_stream, records
from worker.serving.page.outside import BusyError
from worker.serving.page.routes import Page
from worker.serving.page.stream.filters import Filter
from worker.serving.page.stream.hub import Hub

pytestmark = pytest.mark.slow

PICTURE = Path(__file__).parents[4] / "samples" / "pictures" / "sticker-alpha.png"


@asynccontextmanager
async def listening(page: Page) -> AsyncIterator[str]:
    """Give the address of a page."""
    config = uvicorn.Config(
        Starlette(routes=page.routes), lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await page.close()
        server.should_exit = True
        await serving


async def asked_anew(hub: Hub, wanted: Filter) -> None:
    """Wait until the only viewer is one who wants this."""
    async with asyncio.timeout(60):
        while [viewer._wanted for viewer in hub._viewers] != [wanted]:
            await asyncio.sleep(0.02)


async def test_labels_and_reasons_come_by_themselves(browser: Browser) -> None:
    """Of what is typed, dropped and pasted; a busy server is asked again; nothing is left of what was taken away."""
    told = ToldLabeller(why=explanation(["sesquipedalian", "words"], pictures=1))
    async with listening(page_of(told)) as address, opened(browser, address, tolerated=("429",)) as page:
        await page.locator("#text").press_sequentially("sesquipedalian words")
        await expect(page.locator("#labels .task")).to_have_count(2)
        await expect(page.locator("#status")).to_contain_text("Labels: negative 81 %, sarcastic 87 %.")
        await expect(page.locator("#reasons")).to_contain_text("What moves the answer")
        await hand_over(page, PICTURE, "drop")
        seen = page.locator('.seen .own[src^="blob:"]')
        await expect(seen).to_be_visible()
        assert await seen.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        assert "media" in json.loads(told.posts[-1])
        await assert_accessible(page)
        await assert_fits(page)
        await page.get_by_role("button", name="Remove the picture").click()
        await expect(page.locator("#preview")).to_be_hidden()
        told.busy = BusyError(1)
        await page.locator("#text").fill("another")
        await expect(page.locator("#status")).to_have_text("The server is busy. Asking again.")
        told.busy = None
        await expect(page.locator("#status")).to_contain_text("Answered in")
        assert json.loads(told.posts[-1]) == {"id": "try-it", "text": "another"}
        await page.locator("#text").fill("")
        await expect(page.locator("#labels .task")).to_have_count(0)
        await expect(page.locator("#reasons .card")).to_have_count(0)
        assert page.url == f"{address}/"


async def test_the_stream_is_filtered_paused_and_explained(browser: Browser) -> None:
    """By hand and by keyboard."""
    value = json.dumps({"id": "a", "text": "sesquipedalian post"}).encode()
    page_parts, hub, reader, _ = page_with_stream(dict.fromkeys(range(100), value))
    async with listening(page_parts) as address, opened(browser, f"{address}/stream") as page:
        await expect(page.locator("#figures")).to_contain_text("posts/s")
        reader.given.put_nowait(records(1))
        posts = page.locator("#posts li")
        await expect(posts).to_have_count(1)
        await expect(posts.first).to_contain_text("sesquipedalian post")
        await assert_accessible(page)
        await assert_fits(page)
        await page.select_option("#label", "sarcasm:not_sarcastic")
        await expect(posts).to_have_count(0)
        await asked_anew(hub, Filter("sarcasm", "not_sarcastic"))
        reader.given.put_nowait(records(2))
        await expect(page.locator("#figures")).to_contain_text("None that match")
        await page.get_by_role("button", name="Show all").click()
        await asked_anew(hub, Filter())
        reader.given.put_nowait(records(3))
        await expect(posts).to_have_count(1)
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#status")).to_have_text("Paused.")
        await posts.first.locator("button").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#more")).to_contain_text("What moves the answer")
        await assert_accessible(page)
        await page.keyboard.press("Escape")
        await expect(page.locator("#more")).to_be_hidden()
