"""Tiles: the fixed shapes in which everything is computed, so that a number never tells what was computed beside it.

A tile is ``(kind, bucket, rows)``: texts of one padded length, pictures, or posts. A checkpoint names the rows for each
kind of device. Load and memory decide how many tiles are computed, never their shape. On a CPU tiles run side by side,
each in one thread: a matrix product that several threads share adds up in another order for another number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")

_STACKS = (8, 4, 2)


class TileThreads:
    """The threads that compute tiles: one a tile on a CPU, the caller's own on any other device.

    Args:
        device: Where tiles are computed.
        count: Tiles side by side on a CPU; None takes as many as torch has threads (``OMP_NUM_THREADS``).

    Attributes:
        count: Tiles side by side.
    """

    def __init__(self, device: torch.device, count: int | None = None) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self.count = 1
        if device.type == "cpu":
            self.count = torch.get_num_threads() if count is None else count
            self._pool = _pool(self.count)

    def run(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """Do ``work`` on each part, side by side where there are threads.

        Returns:
            The results, in the order of the parts.

        Raises:
            Exception: What the first part that failed raised; the other parts are done by then.
        """
        if self._pool is None:
            return [_inferring(work, part) for part in parts]
        waiting = [self._pool.submit(_inferring, work, part) for part in parts]
        # All of them, even where one fails: no tile may still be under way when the caller tries again.
        errors = [error for error in [future.exception() for future in waiting] if error is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in waiting]

    def on_each(self, work: Callable[[], Result]) -> list[Result]:
        """Do ``work`` once on every thread."""
        if self._pool is None:
            return [_inferring(lambda _: work(), None)]
        together = threading.Barrier(self.count)

        def meet(_: int) -> Result:
            together.wait()
            return work()

        return self.run(meet, range(self.count))


class Stacks:
    """How many tiles one call may hold: where a stack has the bits of its tiles alone, it is the faster way.

    Whether it has, depends on the processor's kernels and the shape, not on the numbers. So it is tried out before the
    first stack of a shape, and where a bit differs the tiles stay single: the answer is the same, a little later.

    Args:
        allowed: Whether stacks are tried at all.
    """

    def __init__(self, *, allowed: bool) -> None:
        self._allowed = allowed
        self._equal: dict[Hashable, tuple[int, ...]] = {}

    def sizes(self, shape: Hashable, most: int, equal: Callable[[int], bool]) -> tuple[int, ...]:
        """The sizes of stacks that may be used, the largest first, 1 always among them.

        Args:
            shape: What is stacked.
            most: Tiles of the largest stack that is worth a try.
            equal: Tries whether so many tiles in one call have the bits that they have alone.
        """
        if not self._allowed or most < min(_STACKS):
            return (1,)
        if shape not in self._equal:
            self._equal[shape] = (*(size for size in _STACKS if size <= most and equal(size)), 1)
        return self._equal[shape]


def stack_up(tiles: int, sizes: Sequence[int], threads: int) -> list[int]:
    """Share tiles out over calls: stacks as large as allowed, yet enough of them for every thread.

    Args:
        tiles: How many there are.
        sizes: Of stacks, the largest first, 1 the last.
        threads: Calls that run side by side.

    Returns:
        Tiles of each call.
    """
    share = -(-tiles // threads)
    calls: list[int] = []
    for size in sizes:
        if size > share and size > 1:
            continue
        count, tiles = divmod(tiles, size)
        calls += [size] * count
    return calls


def _inferring(work: Callable[[Part], Result], part: Part) -> Result:
    # Each thread has an inference mode of its own.
    with torch.inference_mode():
        return work(part)


def _pool(count: int) -> ThreadPoolExecutor:
    """Threads in which every operation of torch computes in that one thread."""
    before = torch.get_num_threads()
    together = threading.Barrier(count)

    def begin() -> None:
        torch.get_num_threads()  # torch sets a thread's number when it first asks: before ours, not after it
        torch.set_num_threads(1)
        together.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="tile", initializer=begin)
    for future in [pool.submit(lambda: None) for _ in range(count)]:
        future.result()
    # What a thread sets becomes the default of threads to come: those of our caller keep theirs.
    torch.set_num_threads(before)
    return pool
