"""The page in a real Chromium, over the real model and a real Kafka: type, drop, explain, filter, judge."""

import asyncio
import json
import statistics
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from schemas import Verdict
from tests.worker.patience import within
from tests.worker.serving.page.served import assert_accessible, assert_fits, hand_over, keys_file, opened, served
from tests.worker.serving.page.test_stream_on_kafka import label_posts
from tests.worker.system import Stream, post

pytestmark = [pytest.mark.model, pytest.mark.soak]

ROOT = Path(__file__).parents[4]
PICTURES = ROOT / "samples" / "pictures"
# From the last input to the labels on the screen, the pause in which the next keystroke is awaited included.
_TIMES = """() => {
  window.times = [];
  const text = document.querySelector("#text"), labels = document.querySelector("#labels");
  text.addEventListener("input", () => { window.typed = performance.now(); });
  new MutationObserver(() => requestAnimationFrame(() => window.times.push(performance.now() - window.typed)))
    .observe(labels, { childList: true });
}"""


async def test_type_drop_and_explain(browser: Browser, tmp_path: Path) -> None:
    """Labels come while one types, reasons when one rests; with a picture and without, by keyboard alone too."""
    async with served(tmp_path, REDIS__URL="") as address, opened(browser, address) as page:
        await assert_accessible(page)
        await page.locator("#text").press_sequentially("what a sesquipedalian disaster, thank you so much", delay=20)
        await expect(page.locator("#status")).to_contain_text("Labels: ")
        await expect(page.locator("#labels .task")).to_have_count(3)
        await expect(page.locator("#reasons")).to_contain_text("What moves the answer")
        assert "sesquipedalian" in await page.locator("#reasons .text").first.inner_text()
        await hand_over(page, PICTURES / "sticker-alpha.png", "drop")
        await expect(page.locator("#preview img")).to_be_visible()
        await expect(page.locator("#labels")).to_contain_text("text and picture")
        seen = page.locator("#reasons .seen .own")
        await expect(seen).to_be_visible()
        assert await seen.evaluate("image => image.naturalWidth") > 0
        assert await page.locator(".veil").evaluate("image => image.naturalWidth") > 0
        await assert_accessible(page)
        await assert_fits(page)
        assert page.url == f"{address}/"
        await page.get_by_role("button", name="Remove the picture").click()
        await expect(page.locator("#labels")).not_to_contain_text("picture")
        await hand_over(page, PICTURES / "sticker-alpha.png", "paste")
        await expect(page.locator("#labels")).to_contain_text("text and picture")
        await page.get_by_role("button", name="Remove the picture").click()
        await page.locator("#text").fill("")
        await expect(page.locator("#labels .task")).to_have_count(0)
        await page.locator("#text").fill("the best day of my life")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#reasons")).to_contain_text("Nearest by text")


async def test_without_a_script(browser: Browser, tmp_path: Path) -> None:
    """The button answers all of it."""
    async with served(tmp_path, REDIS__URL="") as address:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await page.goto(address)
        await page.fill("#text", "oh great, another monday")
        await page.set_input_files("#picture", PICTURES / "sticker-alpha.png")
        await page.click("text=Label and explain")
        await expect(page.locator("#labels .task")).to_have_count(3)
        await expect(page.locator("#reasons")).to_contain_text("Regions")
        await expect(page.locator(".seen .own")).to_be_visible()
        await context.close()


async def test_how_soon_the_first_answer_comes(
    browser: Browser, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """From the last keystroke to labels on the screen, on this machine, whatever it does besides."""
    lines = (ROOT / "samples" / "posts.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines if (text := json.loads(line).get("text"))][:40]
    async with served(tmp_path, REDIS__URL="") as address, opened(browser, address) as page:
        for name, picture in (("text", None), ("picture", PICTURES / "beach.jpg")):
            await page.reload()
            if picture is not None:
                await page.set_input_files("#picture", picture)
            await page.evaluate(_TIMES)
            taken = []
            for text in texts:
                await page.locator("#text").fill(text[:-1])
                await page.wait_for_timeout(400)
                await page.evaluate("window.times.length = 0")
                await page.locator("#text").press("End")
                await page.keyboard.type(text[-1])
                async with within(20):
                    while not (times := await page.evaluate("window.times")):
                        await page.wait_for_timeout(5)
                taken.append(times[0])
            p50, p95 = statistics.median(taken), sorted(taken)[int(0.95 * len(taken))]
            record_property(f"first_answer_{name}_p95_ms", round(p95))
            print(f"\nfirst answer, {name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms over {len(taken)} posts")
            assert p50 < 10_000


async def test_the_stream_is_filtered_explained_and_judged(browser: Browser, stream: Stream, tmp_path: Path) -> None:
    """Posts come, those that do not match do not, a click says why, and a verdict lands on its topic."""
    await stream.create_topics(1)
    texts = {number: f"post number {number}, sesquipedalian" for number in range(100)}
    await stream.feed([post(f"p-{number}", text=text) for number, text in texts.items()], 1)
    settings = {name.removeprefix("MODERATE_"): value for name, value in stream.environment().items()}
    settings |= {
        "KAFKA__ROUTES": json.dumps({task: stream.label_topic(task) for task in ("sentiment", "sarcasm")}),
        "SERVE__KEYS_FILE": keys_file(tmp_path),
        "PAGE__VERDICT_USERS": '["ana"]',
        "PAGE__VERDICTS_TOPIC": f"{stream.name}.verdicts",
    }
    async with served(tmp_path, **settings) as address, opened(browser, f"{address}/stream") as page:
        await expect(page.locator("#figures")).not_to_contain_text("Not connected")
        coming = iter(range(100))

        async def come(count: int) -> None:
            for _ in range(count):
                await label_posts(stream, [next(coming)])

        await come(3)
        await expect(page.locator("#posts li").first).to_be_visible()
        await expect(page.locator("#posts")).to_contain_text("post number")
        await assert_accessible(page)
        await assert_fits(page)

        await page.select_option("#label", "sarcasm:not_sarcastic")
        await expect(page.locator("#posts li")).to_have_count(0)
        await asyncio.sleep(1)
        await come(3)
        await asyncio.sleep(3)
        await expect(page.locator("#posts li")).to_have_count(0)
        await page.get_by_role("button", name="Show all").click()
        await asyncio.sleep(1)
        await come(3)
        await expect(page.locator("#posts li").first).to_be_visible()

        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#status")).to_have_text("Paused.")
        there = await page.locator("#posts li").count()
        await come(2)
        await asyncio.sleep(3)
        assert await page.locator("#posts li").count() == there

        await page.locator("#posts li button").first.focus()
        await page.keyboard.press("Enter")
        more = page.locator("#more")
        await expect(more.locator("#reasons")).to_contain_text("What moves the answer")
        await assert_accessible(page)
        judge = more.locator('.judge[data-task="sarcasm"]')
        await judge.get_by_role("button", name="No: not sarcastic").click()
        await expect(judge.get_by_role("status")).to_have_text("Noted: ana says not sarcastic.")
        await page.keyboard.press("Escape")
        await expect(more).to_be_hidden()
        await page.get_by_role("button", name="Go on").click()
    (record,) = (await stream.read(f"{stream.name}.verdicts"))[f"{stream.name}.verdicts"]
    verdict = Verdict.model_validate_json(record.value)
    assert (verdict.by, verdict.verdict, verdict.says) == ("ana", "disagree", "not_sarcastic")


async def test_a_server_that_stops_ends_the_streams(stream: Stream, tmp_path: Path) -> None:
    """It does not wait for viewers, whose answers have no end."""
    await stream.create_topics(1)
    settings = {name.removeprefix("MODERATE_"): value for name, value in stream.environment().items()}
    async with AsyncExitStack() as stack:
        async with served(tmp_path, **settings) as address:
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
            events = await stack.enter_async_context(client.stream("GET", f"{address}/page/stream/events"))
            lines = events.aiter_lines()
            assert await anext(lines) == "event: figures"
        async for _ in lines:
            pass
