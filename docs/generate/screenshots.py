"""`python -m docs.generate.screenshots`: photograph the pages that commands write and serve, into docs/assets/.

It runs the commands, opens each page in Chromium (Debian: `apt install chromium`; or name one by CHROMIUM) at 1,200
and at 420 pixels, in the light and in the dark, and writes PNG files of few colours. Look at them before you commit.
"""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import click
from PIL import Image

from docs.generate.views import HEADERS, View, demo, views

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = ROOT / "mmorient" / "checkpoints" / "compact"
ASSETS = ROOT / "docs" / "assets"
WIDTHS = (1200, 420)
SCHEMES = ("light", "dark")
_BYTES = 150_000
_TALLEST = 3000
_POST = "s-0071"  # says the opposite of its picture

Make = Callable[[Path], Path]


def explain(folder: Path) -> Path:
    """Explain a sample post with a picture, one task held against an operator's threshold."""
    lines = (ROOT / "samples" / "posts.jsonl").read_text(encoding="utf-8").splitlines()
    post = next(line for line in lines if json.loads(line)["id"] == _POST)
    shutil.copytree(ROOT / "samples" / "pictures", folder / "pictures")
    (folder / "post.json").write_text(post, encoding="utf-8")
    _run(folder, "mmorient", "explain", "post.json", "--threshold", "sarcasm=0.4", "--html", "page.html")
    return folder / "page.html"


def evaluate(folder: Path) -> Path:
    """Evaluate the shipped checkpoint on the few posts that the guide to own posts makes."""
    _make_own_posts(folder)
    _run(folder, "mmorient", "evaluate", "DATA", "--html", "page.html")
    return folder / "page.html"


def diff(folder: Path) -> Path:
    """Compare the shipped checkpoint with one that is less sure of everything, over the sample posts."""
    from tests.worker.checkpoints import recalibrated

    recalibrated(folder / "less-sure", 1.6)
    posts = str(ROOT / "samples" / "posts.jsonl")
    _run(folder, "mmorient", "label", posts, "--output", "old.jsonl")
    _run(folder, "mmorient", "label", posts, "--checkpoint", "less-sure", "--output", "new.jsonl")
    _run(folder, "worker", "diff", "old.jsonl", "new.jsonl", "--posts", posts, "--html", "page.html")
    return folder / "page.html"


def curves(folder: Path) -> Path:
    """Train the shipped checkpoint further on these posts, and return the picture of it."""
    _make_own_posts(folder)
    (folder / "ours.toml").write_text('name = "ours"\nepochs = 1\n', encoding="utf-8")
    _run(folder, "mmorient", "train", "DATA", "--out", "ours", "--config", "ours.toml", "--start", str(SHIPPED))
    return folder / ".work" / "train" / "curves.png"


PAGES: dict[str, Make] = {"explain": explain, "evaluate": evaluate, "diff": diff, "curves": curves}


def _make_own_posts(folder: Path) -> None:
    from tests.docs.pages import blocks

    guide = next(one for one in blocks("docs/how-to/own-posts.md") if one.commands[0].startswith("python - <<"))
    script = guide.commands[0].partition("\n")[2].rpartition("\n")[0]
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)


def _run(folder: Path, module: str, *words: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATE_")}
    command = [sys.executable, "-m", module, *words]
    subprocess.run(command, cwd=folder, check=True, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True)


_LOADED = "new Promise(done => document.readyState == 'complete' ? done(1) : addEventListener('load', done))"
_SIZES = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"


class Tab:
    """A tab of a browser, by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._count = socket, 0

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Ask and wait for the answer."""
        self._count += 1
        await self._socket.send_json({"id": self._count, "method": method, "params": parameters})
        async for message in self._socket:
            answer = message.json()
            if answer.get("id") == self._count:
                return dict(answer["result"])
        raise ConnectionError(method)

    async def photograph(
        self, address: str, width: int, scheme: str, *, script: str = _LOADED, tallest: int = _TALLEST
    ) -> Image.Image:
        """Return a page as a reader sees it, from its top.

        Args:
            address: of the page.
            width: of the window, in pixels.
            scheme: light or dark.
            script: a promise that is kept when the page is to be photographed.
            tallest: pixels of it that are shown.
        """
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.call("Page.navigate", url=address)
        await self.call("Runtime.evaluate", expression=_LOADED, awaitPromise=True)
        done = await self.call("Runtime.evaluate", expression=script, awaitPromise=True)
        if "exceptionDetails" in done:
            raise click.ClickException(f"{address}: {done['exceptionDetails']}")
        sizes = await self.call("Runtime.evaluate", expression=_SIZES, returnByValue=True)
        wide, tall = sizes["result"]["value"]
        if wide > width:
            click.echo(f"{address} at {width} pixels is {wide} wide", err=True)
        clip = {"x": 0, "y": 0, "width": width, "height": min(tall, tallest), "scale": 1}
        shot = await self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return Image.open(BytesIO(base64.b64decode(shot["data"]))).convert("RGB")


@asynccontextmanager
async def tab(folder: Path) -> AsyncIterator[Tab]:
    """Give a tab of a browser of its own."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise click.ClickException("no Chromium on the PATH; name one by CHROMIUM")
    process = await asyncio.create_subprocess_exec(
        *(browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--remote-debugging-port=0"),
        *("--disable-gpu", f"--user-data-dir={folder}", "about:blank"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = (await _written(folder / "DevToolsActivePort")).split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                tabs = await answer.json()
            address = next(one["webSocketDebuggerUrl"] for one in tabs if one["type"] == "page")
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        process.terminate()
        await process.wait()


async def _written(file: Path) -> str:
    for _ in range(300):
        if await asyncio.to_thread(file.exists) and (text := await asyncio.to_thread(file.read_text)):
            return text
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{file}: the browser did not start")


def saved(picture: Image.Image, out: Path) -> int:
    """Write a picture with as many colours as its bytes allow; return the bytes."""
    colours = 256
    while True:
        few = picture.quantize(colours, dither=Image.Dither.NONE)
        few.save(out, "PNG", optimize=True)
        if out.stat().st_size <= _BYTES or colours <= 16:
            return out.stat().st_size
        colours //= 2


async def _photograph(chosen: Sequence[str], keep: Path | None) -> None:
    wanted = {name: view for name, view in views().items() if name in chosen}
    with tempfile.TemporaryDirectory() as folder:
        pages = {}
        for name in (one for one in chosen if one in PAGES):
            pages[name] = _made(name, Path(folder), keep)
            if pages[name].suffix == ".png":
                _say(out := ASSETS / f"{name}.png", saved(Image.open(pages.pop(name)).convert("RGB"), out))
        async with tab(Path(folder) / "profile") as one:
            for name, page in pages.items():
                for width in WIDTHS:
                    for scheme in SCHEMES:
                        out = ASSETS / f"{name}-{width}-{scheme}.png"
                        _say(out, saved(await one.photograph(page.as_uri(), width, scheme), out))
            if wanted:
                with demo(Path(folder)) as address:
                    await _photograph_views(one, address, wanted)


async def _photograph_views(one: Tab, address: str, wanted: Mapping[str, View]) -> None:
    await one.call("Network.enable")
    await one.call("Network.setExtraHTTPHeaders", headers=HEADERS)
    for name, view in wanted.items():
        if view.lead_seconds:
            await one.call("Page.navigate", url=f"{address}{view.path}")
            await asyncio.sleep(view.lead_seconds)
        for width in WIDTHS:
            for scheme in SCHEMES:
                out = ASSETS / f"{name}-{width}-{scheme}.png"
                picture = await one.photograph(
                    f"{address}{view.path}", width, scheme, script=view.expression, tallest=view.tallest
                )
                _say(out, saved(picture, out))


def _made(name: str, folder: Path, keep: Path | None) -> Path:
    """Return what a command writes; a copy of before where there is one."""
    kept = list(keep.glob(f"{name}.*")) if keep else []
    if kept:
        return kept[0].resolve()
    (folder / name).mkdir()
    made = PAGES[name](folder / name)
    if keep:
        shutil.copy(made, keep / f"{name}{made.suffix}")
    return made


def _say(out: Path, size: int) -> None:
    click.echo(f"{out.relative_to(ROOT)}: {size // 1000} kB")


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice([*PAGES, *views()]))
@click.option("--keep", type=click.Path(path_type=Path), help="a folder for the pages, used again where it has them")
def main(*, names: tuple[str, ...], keep: Path | None) -> None:
    """Photograph pages."""
    asyncio.run(_photograph(names or [*PAGES, *views()], keep))


if __name__ == "__main__":
    main()
