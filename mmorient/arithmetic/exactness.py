"""Is a row's result its own? Found out by computing sample tiles on the machine at hand, and comparing bits.

A tile is computed again on every thread, with its rows at other places, and beside other rows. What is found holds for
any numbers: which kernel a library takes depends on the processor, the shape and the threads, not on the values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from mmorient.arithmetic.tiles import TileThreads

Row = TypeVar("Row")

_TURNS = (1, 2, 3, 5, 8, 13)
_DIGITS = 12  # of a fingerprint, 4 bits each


@dataclass(frozen=True, slots=True)
class Probe(Generic[Row]):
    """A sample tile, and how it is computed.

    Attributes:
        what: The shape in words, such as ``texts of 32 tokens``.
        rows: Of one tile.
        samples: Rows to fill tiles with: those of two tiles at least.
        compute: Rows of whole tiles to their results, fp32 ``[rows, d]`` on the CPU; called in a thread of tiles.
    """

    what: str
    rows: int
    samples: Sequence[Row]
    compute: Callable[[Sequence[Row]], Tensor]

    def tile(self) -> list[Row]:
        """The first tile's rows."""
        return list(self.samples[: self.rows])

    def stack_is_equal(self, tiles: int, threads: TileThreads) -> bool:
        """Whether so many tiles in one call have the bits that they have alone."""
        chosen = tuple(index % len(self.samples) for index in range(tiles * self.rows))
        single = [chosen[start : start + self.rows] for start in range(0, len(chosen), self.rows)]
        # There are few samples, so that most tiles of a stack are alike: each is computed once.
        parts = [chosen, *dict.fromkeys(single)]
        found = threads.run(lambda part: self.compute([self.samples[index] for index in part]), parts)
        alone = dict(zip(parts[1:], found[1:], strict=True))
        return _same(found[0], torch.cat([alone[part] for part in single]))


def fingerprint(probes: Iterable[Probe[Any]], threads: TileThreads) -> str:
    """A short digest of the bits that sample tiles have here: equal where the arithmetic is equal.

    It differs between processors, libraries and devices whose sums come out otherwise in any bit.
    """
    digest = hashlib.sha256()
    for bits in threads.run(lambda probe: probe.compute(probe.tile()), list(probes)):
        digest.update(bits.contiguous().numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]


def joined(*fingerprints: str) -> str:
    """One fingerprint of several."""
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()[:_DIGITS]


def differences(probes: Iterable[Probe[Any]], threads: TileThreads) -> list[str]:
    """Every way in which a row's bits depend on more than the row, a line each; none where all is well."""
    return [line for probe in probes for line in _differences(probe, threads)]


def _differences(probe: Probe[Any], threads: TileThreads) -> list[str]:
    tile, others = probe.tile(), list(probe.samples[-probe.rows :])
    turns = sorted({turn for turn in (*_TURNS, probe.rows // 2, probe.rows - 1) if 0 < turn < probe.rows})
    turned = [tile[turn:] + tile[:turn] for turn in turns]
    # Every other row is a stranger, then the rest. A tile of one row has no company.
    mixed = [[own if index % 2 == odd else other for index, (own, other) in enumerate(zip(tile, others, strict=True))]
             for odd in (0, 1) if probe.rows > 1]  # fmt: skip
    reference, *found = threads.run(probe.compute, [tile, *turned, *mixed])
    lines = []
    on_threads = threads.on_each(lambda: probe.compute(tile))
    if bad := sum(not _same(result, reference) for result in on_threads):
        lines.append(f"{probe.what}: the bits differ on {bad} of {len(on_threads)} threads")
    places = {
        index
        for turn, result in zip(turns, found, strict=False)
        for index, row in enumerate(torch.roll(result, turn, 0))
        if not _same(row, reference[index])
    }
    if places:
        lines.append(f"{probe.what}: the bits of {len(places)} of {probe.rows} rows tell at which place they stand")
    company = {
        index
        for odd, result in enumerate(found[len(turns) :])
        for index in range(odd, probe.rows, 2)
        if not _same(result[index], reference[index])
    }
    if company:
        lines.append(f"{probe.what}: the bits of {len(company)} of {probe.rows} rows tell what stands beside them")
    return lines


def _same(one: Tensor, other: Tensor) -> bool:
    """Bit for bit: unlike ``==``, 0 is not -0, and NaN is itself."""
    return one.shape == other.shape and torch.equal(one.view(torch.int32), other.view(torch.int32))
