"""Whose turn it is to fetch: hosts share what there is, and nothing is lost when a post is dropped."""

import asyncio
from collections import Counter
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.labelling.fetching.turns import Turns, host_of


async def test_a_host_that_takes_all_turns_gives_the_next_one_to_another() -> None:
    turns = Turns(4)
    for _ in range(4):
        await turns.take("slow")
    waiting = [asyncio.create_task(turns.take("slow")) for _ in range(10)]
    await asyncio.sleep(0)
    other = asyncio.create_task(turns.take("quick"))
    await asyncio.sleep(0)
    turns.give_back("slow")
    await asyncio.wait_for(other, 1)
    assert not any(one.done() for one in waiting)
    for one in waiting:
        one.cancel()


async def test_a_host_alone_may_have_all_turns() -> None:
    turns = Turns(8)
    await asyncio.wait_for(asyncio.gather(*(turns.take("cdn") for _ in range(8))), 1)


async def test_a_turn_that_comes_too_late_goes_on() -> None:
    """Its post was dropped in the moment in which it was given."""
    turns = Turns(1)
    await turns.take("a")
    late = asyncio.create_task(turns.take("b"))
    await asyncio.sleep(0)
    turns.give_back("a")
    late.cancel()
    with suppress(asyncio.CancelledError):
        await late
    await asyncio.wait_for(turns.take("c"), 1)


class Play:
    """Hosts that take turns, give them back, and drop posts that wait."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._turns = Turns(count)
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, list[asyncio.Task[None]]] = {host: [] for host in "abc"}

    async def run(self, steps: list[tuple[str, str]]) -> None:
        """Take the steps, and look after each."""
        for host, step in steps:
            if step == "take":
                self._waiting[host].append(asyncio.create_task(self._turns.take(host)))
            elif step == "give back" and self._held[host]:
                self._held[host] -= 1
                self._turns.give_back(host)
            elif step == "cancel" and self._waiting[host]:
                self._waiting[host][0].cancel()
            await self._look()
        for one in [one for tasks in self._waiting.values() for one in tasks]:
            one.cancel()

    async def _look(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        for host, tasks in self._waiting.items():
            self._held[host] += sum(one.done() and not one.cancelled() for one in tasks)
            self._waiting[host] = [one for one in tasks if not one.done()]
        assert self._held.total() <= self._count
        # Nobody waits beside a turn that nobody has.
        assert self._held.total() == self._count or not any(self._waiting.values())


@settings(deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["take", "give back", "cancel"])), max_size=60),
)
def test_there_are_never_more_than_so_many_and_none_is_lost(count: int, steps: list[tuple[str, str]]) -> None:
    async def play() -> None:
        await Play(count).run(steps)

    asyncio.run(play())


def test_the_host_of_an_address() -> None:
    assert host_of("https://Img.Example:8443/a.jpg") == "img.example"
    assert host_of("no address") == ""
