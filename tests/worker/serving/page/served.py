"""`moderate serve` as a process, and a page of it in a browser."""

import asyncio
import base64
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests.worker.forked import Forked
from tests.worker.serving.processes import started
from tests.worker.system import http_client

KEY = "the-key-of-ana-that-nobody-guesses"


@asynccontextmanager
async def served(folder: Path, **settings: str) -> AsyncIterator[str]:
    """Give the address of a server of the shipped checkpoint, whose settings are written `SERVE__PORT`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {f"MODERATE_{name}": value for name, value in {"SERVE__PORT": str(port), **settings}.items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATE_")}
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = await started({**environment, **variables}, Path.cwd(), output)
    try:
        await _ready(process, f"http://127.0.0.1:{port}/readyz", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0, log.read_text(encoding="utf-8")
        said = log.read_text(encoding="utf-8")
        assert "Traceback" not in said
        assert "sesquipedalian" not in said


async def _ready(process: asyncio.subprocess.Process | Forked, address: str, log: Path) -> None:
    async with http_client() as client, asyncio.timeout(180):
        while True:
            assert process.returncode is None, log.read_text(encoding="utf-8")  # noqa: ASYNC240
            try:
                if (await client.get(address)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.2)


def keys_file(folder: Path) -> str:
    """Write the file in which ana has a key, and return its path."""
    path = folder / "keys"
    path.write_text(f"ana sha256:{hashlib.sha256(KEY.encode()).hexdigest()}\n", encoding="utf-8")
    return str(path)


@asynccontextmanager
async def opened(browser: Browser, address: str, *, tolerated: tuple[str, ...] = ()) -> AsyncIterator[Page]:
    """Give a page of a person who has ana's key; whatever its console says of a fault fails the test.

    Args:
        browser: opens it.
        address: of the page.
        tolerated: what a fault may say.
    """
    context = await browser.new_context(
        viewport={"width": 1200, "height": 900}, http_credentials={"username": "any", "password": KEY}
    )
    page, faults = await context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: faults.append(request.url) if "sesquipedalian" in request.url else None)
    await page.goto(address)
    yield page
    await context.close()
    assert [fault for fault in faults if not any(one in fault for one in tolerated)] == []


async def assert_accessible(page: Page) -> None:
    """Check that axe finds nothing that a person with a screen reader would trip over, in the light and in the dark."""
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    await page.emulate_media(color_scheme="light")


async def assert_fits(page: Page, widths: tuple[int, ...] = (1200, 420)) -> None:
    """Check that nobody has to scroll sideways."""
    for width in widths:
        await page.set_viewport_size({"width": width, "height": 900})
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} pixels wide at {width}"
    await page.set_viewport_size({"width": 1200, "height": 900})


async def hand_over(page: Page, file: Path, event: str) -> None:
    """Drop or paste a picture."""
    data = base64.b64encode(file.read_bytes()).decode()  # noqa: ASYNC240
    await page.evaluate(
        """([data, name, event]) => {
          const transfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          transfer.items.add(new File([bytes], name, { type: "image/png" }));
          const how = { bubbles: true, cancelable: true };
          const text = document.querySelector("#text");
          if (event === "drop") text.dispatchEvent(new DragEvent("drop", { ...how, dataTransfer: transfer }));
          else text.dispatchEvent(new ClipboardEvent("paste", { ...how, clipboardData: transfer }));
        }""",
        [data, file.name, event],
    )
