"""The proof finds whatever lets a row's bits depend on more than the row."""

import threading
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from mmorient.arithmetic.exactness import Probe, differences, fingerprint
from mmorient.arithmetic.tiles import TileThreads

CPU = torch.device("cpu")
TINY = 1e-7


def plain(rows: Sequence[float]) -> Tensor:
    """A row's result is its own."""
    return torch.tensor(rows)[:, None].expand(-1, 3).sin().contiguous()


def by_place(rows: Sequence[float]) -> Tensor:
    """The last row is computed another way, as at the end of a block."""
    found = plain(rows)
    found[-1] *= 1 + TINY
    return found


def by_company(rows: Sequence[float]) -> Tensor:
    """A row's last bits follow what stands beside it."""
    return plain(rows) * (1 + TINY * float(len(set(rows)) > 1 and max(rows) > 2.9))


def by_thread(rows: Sequence[float]) -> Tensor:
    """One of the threads computes another way."""
    return plain(rows) * (1 + TINY * (threading.current_thread().name.endswith("_1")))


def minus_zero(rows: Sequence[float]) -> Tensor:
    """Equal by value, and not by bits."""
    found = plain(rows) * 0
    found[-1] *= -1
    return found


def probe(compute: Callable[[Sequence[float]], Tensor], rows: int = 4) -> Probe[float]:
    """Rows 1, 1.5, … of a tile and as many strangers."""
    return Probe("rows", rows, [1 + index / 2 for index in range(2 * rows)], compute)


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        (plain, []),
        (by_place, ["rows: the bits of 4 of 4 rows tell at which place they stand"]),
        (by_company, ["rows: the bits of 4 of 4 rows tell what stands beside them"]),
        (minus_zero, ["rows: the bits of 4 of 4 rows tell at which place they stand"]),
    ],
)
def test_place_and_company(compute: Callable[[Sequence[float]], Tensor], said: list[str]) -> None:
    """Each kind is named, and a sound tile is not."""
    assert differences([probe(compute)], TileThreads(CPU, 1)) == said


def test_threads() -> None:
    """A thread that computes another way is found, though the tile went through others first."""
    [line, *_] = differences([probe(by_thread)], TileThreads(CPU, 2))
    assert "of 2 threads" in line


def test_a_tile_of_one_row() -> None:
    """Has neither place nor company."""
    assert differences([probe(plain, 1)], TileThreads(CPU, 2)) == []


def test_a_stack_is_held_against_its_tiles() -> None:
    """A sum that is the call's, and not the tile's, shows."""
    threads = TileThreads(CPU, 1)
    assert probe(plain).stack_is_equal(4, threads)
    assert not probe(lambda rows: plain(rows) * (1 + TINY * (len(rows) > 4))).stack_is_equal(2, threads)


def test_a_fingerprint_follows_every_bit() -> None:
    """And nothing else: not the threads, not the time."""
    one = fingerprint([probe(plain)], TileThreads(CPU, 1))
    assert one == fingerprint([probe(plain)], TileThreads(CPU, 3))
    assert len({one, fingerprint([probe(by_place)], TileThreads(CPU, 1))}) == 2
