"""A real Chromium for the page."""

import os
import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest.fixture
async def browser() -> AsyncIterator["Browser"]:
    """Give the Chromium that is installed; the test is skipped where there is none."""
    from playwright.async_api import async_playwright  # A second, which tests of this folder without it need not take.

    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on the PATH; name one by CHROMIUM")
    async with async_playwright() as playwright:
        one = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield one
        await one.close()
