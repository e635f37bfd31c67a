"""A real Chromium for the page."""

import os
import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser

# For what is to appear: a machine with other work takes many times what a quiet one takes.
_WAIT_SECONDS = 60


@pytest.fixture
async def browser() -> AsyncIterator["Browser"]:
    """Give the Chromium that is installed; the test is skipped where there is none."""
    from playwright.async_api import async_playwright, expect  # A second, which tests without it need not take.

    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on the PATH; name one by CHROMIUM")
    expect.set_options(timeout=_WAIT_SECONDS * 1000)
    async with async_playwright() as playwright:
        one = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield one
        await one.close()
