"""What sealing a cache entry costs: `python -m bench.sealing`."""

import argparse
import timeit

import numpy as np

from worker.labelling.cache.entries import UNSEALED, Entry, Mac, Seal, pack, unpack
from worker.labelling.cache.packed_readings import PACKED_BYTES

_CALLS, _REPEATS = 5000, 9
_KEY = b"mmorient:3:text:" + 48 * b"a"


def _microseconds(seal: Seal, width: int) -> tuple[float, float]:
    entry = Entry(np.linspace(-1, 1, width).astype(np.float16), bytes(PACKED_BYTES))
    stored = pack(_KEY, entry, seal)
    packing = timeit.repeat(lambda: pack(_KEY, entry, seal), number=_CALLS, repeat=_REPEATS)
    reading = timeit.repeat(lambda: unpack(_KEY, stored, width, seal), number=_CALLS, repeat=_REPEATS)
    return 1e6 * min(packing) / _CALLS, 1e6 * min(reading) / _CALLS


def main() -> None:
    """Print the least of nine means, in microseconds an entry."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for width in (384, 1280):
        for name, seal in (("checksum", UNSEALED), ("keyed MAC", Mac("a secret of this bench"))):
            packed, unpacked = _microseconds(seal, width)
            print(f"{2 * width} bytes, {name}: packed in {packed:.1f} µs, unpacked in {unpacked:.1f} µs")


if __name__ == "__main__":
    main()
