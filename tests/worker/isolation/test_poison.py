"""Posts that kill the worker: three deaths at most, one dead letter each, all others labelled.

They do it by a picture, which is decoded in the worker itself here: from the sandbox no picture gets so far.
"""

import asyncio
import base64
import io
import signal
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.worker.system import TASKS, Stream, Worker, headers_of, post

pytestmark = pytest.mark.soak

HOOKS = Path(__file__).parent.parent / "hooks"


def picture(mark: str = "harmless") -> bytes:
    """Return a small PNG with a text chunk."""
    chunk, buffer = PngInfo(), io.BytesIO()
    chunk.add_text("comment", mark)
    Image.new("RGB", (48, 48), (200, 80, 40)).save(buffer, "PNG", pnginfo=chunk)
    return buffer.getvalue()


def pictured(identifier: str, mark: str) -> bytes:
    """Return a post with such a picture."""
    return post(identifier, text="look", media=[{"data": base64.b64encode(picture(mark)).decode()}])


async def run_until_settled(stream: Stream, positions: list[tuple[int, int]], **settings: str) -> list[int]:
    """Start a worker again each time it ends, as Kubernetes does; return the exit codes of those that ended."""
    ends: list[int] = []
    settled = asyncio.create_task(stream.settled(positions, 150))
    while not settled.done():
        worker: Worker = await stream.start(
            f"worker-{len(ends)}", {"PYTHONPATH": str(HOOKS)}, MEDIA__SANDBOX="false", **settings
        )
        ended = asyncio.create_task(worker.process.wait())
        await asyncio.wait({ended, settled}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ends.append(ended.result())
        else:
            assert await worker.end() == 0
    await settled
    return ends


async def check(stream: Stream, positions: list[tuple[int, int]], poison: int) -> None:
    """Check that the poison is one dead letter, with its bytes, and that all others are labelled once."""
    dead = await stream.dead_letters()
    assert list(dead) == [positions[poison]]
    (letter,) = dead[positions[poison]]
    assert headers_of(letter)["__connect.errors.stage"] == b"poison"
    assert b"PoisonError" in headers_of(letter)["__connect.errors.exception.class.name"]
    labels = await stream.labels()
    for task in TASKS:
        of_task = labels.by_topic[stream.label_topic(task)]
        assert set(of_task) == set(positions) - set(dead)
        assert {len(values) for values in of_task.values()} == {1}


async def test_a_post_that_kills_the_process_is_found(stream: Stream) -> None:
    """`os.abort` in the decoder: three deaths at most, one dead letter, all others labelled."""
    await stream.create_topics(2)
    values = [pictured(f"p-{n}", "moderate-test:abort" if n == 25 else f"picture {n}") for n in range(60)]
    positions = await stream.feed(values, 2)
    by_number = sorted(positions, key=lambda at: (at[1], at[0]))
    ends = await run_until_settled(stream, positions)
    assert 1 <= len(ends) <= 3
    assert set(ends) == {-signal.SIGABRT}
    await check(stream, by_number, 25)


async def test_a_hanging_decoder_ends_the_process_by_name(stream: Stream) -> None:
    """What never ends is named in the log, ends the worker with 1 for a restart, and is found as poison, too."""
    await stream.create_topics(1)
    values = [pictured(f"p-{n}", "moderate-test:hang" if n == 3 else f"picture {n}") for n in range(6)]
    positions = await stream.feed(values, 1)
    ends = await run_until_settled(stream, positions, GUARD__MAX_WORK_SECONDS="3", MEDIA__TIMEOUT_SECONDS="1")
    assert set(ends) == {1}
    assert len(ends) <= 3
    await check(stream, positions, 3)
    log = (stream.folder / "worker-0.log").read_text(encoding="utf-8")
    assert '"event": "hung"' in log
    assert f'{stream.posts}[0]@3"' in log


async def test_an_orderly_stop_is_no_death(stream: Stream) -> None:
    """A worker that was stopped in the middle leaves nothing to be careful about; one that was killed does."""
    await stream.create_topics(1)
    values = [pictured(f"p-{n}", f"picture {n}") for n in range(300)]
    positions = await stream.feed(values, 1)
    worker = await (await stream.start("first")).ready()
    assert await worker.end() == 0
    second = await (await stream.start("second")).ready()
    await second.end(signal.SIGKILL)
    third = await stream.start("third")
    await stream.settled(positions, 120)
    assert await third.end() == 0
    logs = {name: (stream.folder / f"{name}.log").read_text(encoding="utf-8") for name in ("second", "third")}
    assert '"careful": false, "event": "lane_open"' in logs["second"]
    assert '"careful": true, "event": "lane_open"' in logs["third"]
    assert not await stream.dead_letters()
