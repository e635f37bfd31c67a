"""Tiles run side by side, each in one thread; stacks only where they are equal."""

import threading

import pytest
import torch

from mmorient.arithmetic.tiles import Stacks, TileThreads, stack_up

CPU = torch.device("cpu")


def test_a_tile_computes_in_one_thread_and_its_caller_in_as_many_as_before() -> None:
    """What the pool sets is its own affair: neither this thread nor a later one computes with another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        threads = TileThreads(CPU, 4)
        assert threads.on_each(torch.get_num_threads) == [1] * 4
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert (torch.get_num_threads(), later) == (3, [3])
    finally:
        torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_parts() -> None:
    """Whichever is done first; without gradients."""
    threads = TileThreads(CPU, 3)
    assert threads.run(lambda part: part * 2, list(range(20))) == list(range(0, 40, 2))
    assert threads.run(lambda _: torch.is_inference_mode_enabled(), [None] * 3) == [True] * 3
    assert threads.run(str, []) == []


def test_a_tile_that_fails_leaves_no_other_under_way() -> None:
    """The caller may free memory and try again at once."""
    done: list[int] = []

    def work(part: int) -> None:
        if part == 1:
            raise MemoryError
        done.append(part)

    with pytest.raises(MemoryError):
        TileThreads(CPU, 2).run(work, [0, 1, 2, 3])
    assert sorted(done) == [0, 2, 3]


def test_another_device_computes_in_the_callers_thread() -> None:
    """A GPU has its own way of doing things side by side."""
    threads = TileThreads(torch.device("meta"), 4)
    assert threads.count == 1
    assert threads.run(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]
    assert threads.on_each(threading.current_thread) == [threading.current_thread()]


@pytest.mark.parametrize(
    ("tiles", "sizes", "threads", "calls"),
    [
        (0, (4, 2, 1), 2, []),
        (1, (4, 2, 1), 2, [1]),
        (2, (4, 2, 1), 2, [1, 1]),
        (3, (4, 2, 1), 2, [2, 1]),
        (5, (4, 2, 1), 1, [4, 1]),
        (32, (8, 4, 2, 1), 2, [8, 8, 8, 8]),
        (7, (1,), 2, [1] * 7),
        (9, (8, 1), 1, [8, 1]),
    ],
)
def test_tiles_are_shared_out(tiles: int, sizes: tuple[int, ...], threads: int, calls: list[int]) -> None:
    """Large stacks where there is much to do, work for every thread where there is little."""
    assert stack_up(tiles, sizes, threads) == calls
    assert sum(calls) == tiles


def test_a_stack_is_used_where_it_is_equal_alone() -> None:
    """Each size is tried once a shape; none beyond what is worth it, none where stacks are off."""
    tried: list[int] = []

    def equal(size: int) -> bool:
        tried.append(size)
        return size != 4

    stacks = Stacks(allowed=True)
    assert [stacks.sizes("a", 8, equal) for _ in range(2)] == [(8, 2, 1)] * 2
    assert tried == [8, 4, 2]
    assert stacks.sizes("b", 3, equal) == (2, 1)
    assert stacks.sizes("c", 1, equal) == (1,)
    assert Stacks(allowed=False).sizes("a", 8, equal) == (1,)
    assert tried == [8, 4, 2, 2]
