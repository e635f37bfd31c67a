"""The views of the page of `moderate serve`, to be photographed: over the demo, whose posts pass by."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_TEXT = "Oh how awful, another day at the sea. Pray for me."
_PICTURE = ROOT / "samples" / "pictures" / "beach.jpg"
_HEADER, _NAME = "X-Forwarded-User", "ana"
HEADERS = {_HEADER: _NAME}
_READY = re.compile(r"(http://[0-9.]+:[0-9]+)/stream")

_UNTIL = """const until = (what) => new Promise((done, fail) => {
  const started = Date.now();
  const look = () => what() ? done(1) : Date.now() - started > 120000 ? fail(String(what)) : setTimeout(look, 100);
  look();
});
const there = (selector) => document.querySelector(selector);
const settle = () => new Promise((done) => setTimeout(done, 400));"""


@dataclass(frozen=True)
class View:
    """A view, and what a person does on it before it is photographed.

    Args:
        path: of the address.
        script: JavaScript that does it, within an async function.
        tallest: pixels of it that are shown.
        lead_seconds: for which it is open before, so that it has something to plot.
    """

    path: str
    script: str
    tallest: int
    lead_seconds: float = 0.0

    @property
    def expression(self) -> str:
        """The script as an expression that is a promise."""
        return f"(async () => {{ {_UNTIL} {self.script} }})()"


def _typed() -> str:
    data = base64.b64encode(_PICTURE.read_bytes()).decode()
    return f"""
      const bytes = Uint8Array.from(atob({json.dumps(data)}), (one) => one.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "beach.jpg", {{ type: "image/jpeg" }}));
      const how = {{ dataTransfer: transfer, bubbles: true, cancelable: true }};
      there("#drop").dispatchEvent(new DragEvent("drop", how));
      const text = there("#text");
      text.value = {json.dumps(_TEXT)};
      text.dispatchEvent(new InputEvent("input"));
      const answered = () => there("#reasons .veil")?.complete && !there("[aria-busy]");
      await until(answered);
      // Once more: whoever came first has waited for what others find ready.
      there("#reasons").replaceChildren();
      text.dispatchEvent(new InputEvent("input"));
      await until(answered);
      await settle();"""


def views() -> dict[str, View]:
    """Return the views by name."""
    passing = "await until(() => document.querySelectorAll('#posts li').length >= 12);"
    return {
        "try-it": View("/", _typed(), 3000),
        "stream": View("/stream", f"{passing} await settle();", 1150, lead_seconds=150.0),
        "stream-why": View(
            "/stream",
            f"""{passing}
            there("#posts li button").click();
            await until(() => there("#more #reasons .card"));
            await settle();""",
            900,
        ),
    }


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """Run `moderate demo --page` within the block, and give the address of its page."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATE_")}
    # Whoever photographs may judge labels.
    environment |= {"MODERATE_PAGE__USER_HEADER": _HEADER, "MODERATE_PAGE__VERDICT_USERS": json.dumps([_NAME])}
    command = [sys.executable, "-m", "worker", "demo", "--page", "--folder", str(folder / "demo")]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        said = []
        for line in process.stdout or ():
            said.append(line)
            if found := _READY.search(line):
                yield found[1]
                break
        else:
            raise RuntimeError("".join(said[-20:]))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=180)
