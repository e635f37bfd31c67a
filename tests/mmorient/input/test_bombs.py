"""A small file takes bounded time and memory, whatever it asks for."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.mmorient.input.bombs import BOMBS
from tests.mmorient.input.odd_pictures import sample
from tests.tiers import some_slow

SECONDS = 5  # of the processor; the slowest takes 1.5 on the machine that this was written on
MEGABYTES = 150  # the largest takes 77

# One interpreter for all: each picture is decoded in a copy of it, whose peak of memory begins where the copy began.
PROGRAM = r"""
import json, os, re, sys, time, warnings
from pathlib import Path
from mmorient import PictureError, decode_picture

warnings.simplefilter("ignore")

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024

def measured(warm, bomb):
    decode_picture(warm)
    before, started = peak(), time.process_time()
    try:
        code = f"read {1 + len(decode_picture(bomb).later)}"
    except PictureError as error:
        code = error.code
    return [code, time.process_time() - started, peak() - before]

while line := sys.stdin.buffer.readline():
    warm, bomb = (sys.stdin.buffer.read(int(length)) for length in line.split())
    copy = os.fork()
    if copy == 0:
        print(json.dumps(measured(warm, bomb)), flush=True)
        os._exit(0)
    _, status = os.waitpid(copy, 0)
    if status:
        print(json.dumps([f"ended with {status}", 0, 0]), flush=True)
"""
REFUSED = {
    "TIFF of 100,000 large strips": "corrupt",
    "progressive JPEG of 2,000 scans": "too_many_pixels",
    "JPEG of 4.3 gigapixels": "too_many_pixels",
}
ANIMATED = ("frames", "animated")


# More than a second of the processor each.
SLOW = {
    "AVIF of 60 frames",
    "GIF of 40 megapixels, four frames",
    "animated WebP of large frames",
    "bitmap of run lengths of a pixel",
}


@pytest.fixture(scope="module")
def decoder() -> Iterator["subprocess.Popen[bytes]"]:
    """Give the program, running."""
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        yield program


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", some_slow(BOMBS, SLOW))
def test_bombs(name: str, decoder: "subprocess.Popen[bytes]") -> None:
    """It is read, or refused with its reason, in a process that grows by less than a decoded photograph."""
    warm = sample("PNG")
    bomb = BOMBS[name]()
    assert decoder.stdin is not None
    assert decoder.stdout is not None
    decoder.stdin.write(f"{len(warm)} {len(bomb)}\n".encode() + warm + bomb)
    decoder.stdin.flush()
    code, seconds, megabytes = json.loads(decoder.stdout.readline())
    animated = any(word in name for word in ANIMATED)
    assert code == REFUSED.get(name, "read 4" if animated else "read 1")
    assert seconds < SECONDS
    assert megabytes < MEGABYTES
