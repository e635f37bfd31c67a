"""What sealing a cache entry costs: `python -m bench.sealing`."""

import timeit

import numpy as np

from worker.labelling.cache.entries import UNSEALED, Mac, Seal, pack, unpack

_CALLS, _REPEATS = 5000, 9
_KEY = b"mmorient:2:text:" + 48 * b"a"


def _microseconds(seal: Seal, width: int) -> tuple[float, float]:
    embedding = np.linspace(-1, 1, width).astype(np.float16)
    entry = pack(_KEY, embedding, seal)
    packing = timeit.repeat(lambda: pack(_KEY, embedding, seal), number=_CALLS, repeat=_REPEATS)
    reading = timeit.repeat(lambda: unpack(_KEY, entry, width, seal), number=_CALLS, repeat=_REPEATS)
    return 1e6 * min(packing) / _CALLS, 1e6 * min(reading) / _CALLS


def main() -> None:
    """Print the least of nine means, in microseconds an entry."""
    for width in (384, 1280):
        for name, seal in (("checksum", UNSEALED), ("keyed MAC", Mac("a secret of this bench"))):
            packed, unpacked = _microseconds(seal, width)
            print(f"{2 * width} bytes, {name}: packed in {packed:.1f} µs, unpacked in {unpacked:.1f} µs")


if __name__ == "__main__":
    main()
