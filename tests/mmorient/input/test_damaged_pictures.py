"""Whatever becomes of a file on its way: a picture or a `PictureError`, in bounded time.

`FUZZ_EXAMPLES` says how many files are damaged, `FUZZ_SEED` which.
"""

import os
import time
import warnings
from functools import cache
from random import Random

import pytest

from mmorient import PictureError, decode_picture
from tests.mmorient.input.odd_pictures import everything
from tests.tiers import some_slow

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000"))
SEED = os.environ.get("FUZZ_SEED", "0")
PARTS = 8
SECONDS = 20  # for one file; with a pause of a busy machine in it
MAX_PIXELS = 4_000_000


@cache
def samples() -> dict[str, bytes]:
    """Files of all formats, small enough to be damaged thousands of times."""
    return {name: data for name, data in everything() if len(data) < 200_000}


def damaged(data: bytes, random: Random) -> bytes:
    """A file with flipped bits, a piece cut out, doubled or moved, other lengths, or another end."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        place = random.randrange(max(1, len(changed)))
        end = min(len(changed), place + random.choice((1, 2, 4, 16, 256)))
        other = random.randrange(max(1, len(changed)))
        match random.randrange(8):
            case 0:
                changed[place:end] = bytes(value ^ 1 << random.randrange(8) for value in changed[place:end][:3])
            case 1:
                del changed[place:end]
            case 2:
                del changed[place:]
            case 3:
                changed[other:other] = changed[place:end]
            case 4:
                changed[place:end], changed[other:other] = b"", changed[place:end]
            case 5:
                changed[place : place + 4] = random.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x00\x01"))
            case 6:
                changed[place:end] = random.randbytes(end - place)
            case _:
                early = random.randrange(min(64, max(1, len(changed))))  # where the sizes stand
                changed[early : early + 1] = random.randbytes(1)
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(60 + EXAMPLES)  # at most 300 s as it stands; more where more examples are asked for
@pytest.mark.parametrize("part", some_slow(range(PARTS), set(map(str, range(1, PARTS)))))
def test_no_damage_raises_anything_else(part: int) -> None:
    """And none takes long."""
    files = list(samples().items())
    slowest: tuple[float, str] = (0.0, "")
    refused: set[str] = set()
    for number in range(part, EXAMPLES, PARTS):
        random = Random(f"{SEED} {number}")
        name, data = files[number % len(files)]
        content = damaged(data, random)
        started = time.process_time()
        try:
            with warnings.catch_warnings(action="ignore"):
                decode_picture(content, max_pixels=MAX_PIXELS)
        except PictureError as error:
            refused.add(error.code)
        except Exception as error:
            raise AssertionError(f"FUZZ_SEED={SEED!r}, number {number}, {name}: {error!r}") from error
        slowest = max(slowest, (time.process_time() - started, f"number {number}, {name}"))
    assert slowest[0] < SECONDS, slowest
    assert refused <= {"not_a_picture", "unsupported_format", "too_many_pixels", "truncated", "corrupt"}
    assert len(refused) > 2
