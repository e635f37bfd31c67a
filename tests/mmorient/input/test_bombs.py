"""A small file takes bounded time and memory, whatever it asks for."""

import json
import subprocess
import sys

import pytest

from tests.mmorient.input.bombs import BOMBS
from tests.mmorient.input.odd_pictures import sample

SECONDS = 5  # of the processor; the slowest takes 1.5 on the machine that this was written on
MEGABYTES = 150  # the largest takes 77

CHILD = r"""
import json, re, sys, time
from pathlib import Path
from mmorient import PictureError, decode_picture

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024

length = int(sys.argv[1])
content = sys.stdin.buffer.read()
decode_picture(content[:length])
before, started = peak(), time.process_time()
try:
    code = f"read {1 + len(decode_picture(content[length:]).later)}"
except PictureError as error:
    code = error.code
print(json.dumps([code, time.process_time() - started, peak() - before]))
"""
REFUSED = {
    "TIFF of 100,000 large strips": "corrupt",
    "progressive JPEG of 2,000 scans": "too_many_pixels",
    "JPEG of 4.3 gigapixels": "too_many_pixels",
}
ANIMATED = ("frames", "animated")


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    """It is read, or refused with its reason, in a process that grows by less than a decoded photograph."""
    warm = sample("PNG")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(len(warm))],
        input=warm + BOMBS[name](),
        capture_output=True,
        check=True,
    )
    code, seconds, megabytes = json.loads(ran.stdout)
    animated = any(word in name for word in ANIMATED)
    assert code == REFUSED.get(name, "read 4" if animated else "read 1")
    assert seconds < SECONDS
    assert megabytes < MEGABYTES
