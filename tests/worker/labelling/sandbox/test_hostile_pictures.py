"""A hundred hostile pictures: no death of the worker, no wrong neighbour, and no more memory than is allowed."""

import asyncio
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.mmorient.input.odd_pictures import sample
from tests.worker.labelling.sandbox.hostile_pictures import hostile_pictures
from tests.worker.labelling.sandbox.test_sandbox import outcome
from worker.labelling.sandbox.decoders import Sandbox, Terms
from worker.telemetry.metrics import total

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc"),
    pytest.mark.filterwarnings("ignore"),
]
MEGABYTE = 1024 * 1024
CODES = {"not_a_picture", "unsupported_format", "too_many_pixels", "truncated", "corrupt", "decoder_failed"}


def peak(pid: int) -> int:
    """The largest resident memory that a process had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+)", status)
    assert found is not None
    return 1024 * int(found[1])


def test_there_are_a_hundred() -> None:
    """And more."""
    assert len(hostile_pictures()) >= 100


@pytest.mark.soak
async def test_a_hundred_hostile_pictures() -> None:
    """Each has its pixels or its code; pictures beside them stay the same; memory stays within the setting."""
    memory_bytes = 512 * MEGABYTE
    made = Sandbox(children=2, max_bytes=16 * MEGABYTE, side=224, terms=Terms(memory_bytes, 10, 24))
    assert made.start()
    children = [child._process.pid for child in made._children]
    before = max(map(peak, children))
    ends = total("moderate_decoder_ends_total")
    neighbour = sample("JPEG")
    expected = outcome(made.decode_picture, neighbour)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(2) as threads:
        for name, make in hostile_pictures().items():
            data = make()
            if len(data) > 16 * MEGABYTE:
                continue
            hostile, beside = await asyncio.gather(
                loop.run_in_executor(threads, outcome, made.decode_picture, data),
                loop.run_in_executor(threads, outcome, made.decode_picture, neighbour),
            )
            assert isinstance(hostile, tuple) or hostile in CODES, name
            assert beside == expected, name
    # None of them is known to end a decoder.
    assert total("moderate_decoder_ends_total") == ends
    assert max(map(peak, children)) - before < memory_bytes
    made.close()


@pytest.mark.soak
def test_a_tight_setting_costs_pictures_and_nothing_else() -> None:
    """With 100 MB the largest are refused; the children stay below it, and ordinary pictures are decoded.

    What parent and child share is theirs from the start, and touched only by what is large.
    """
    memory_bytes = 100 * MEGABYTE
    made = Sandbox(children=1, max_bytes=16 * MEGABYTE, side=224, terms=Terms(memory_bytes, 10, 24))
    assert made.start()
    before, shared = peak(made._children[0]._process.pid), made._children[0]._layout.bytes
    for make in hostile_pictures().values():
        data = make()
        if len(data) < 16 * MEGABYTE:
            became = outcome(made.decode_picture, data)
            assert isinstance(became, tuple) or became in CODES
        process = made._children[0]._process
        assert process is None or process.poll() is not None or peak(process.pid) - before < memory_bytes + shared
    assert made.decode_picture(sample("JPEG")).width
    made.close()
