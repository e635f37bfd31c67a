"""Bytes of pictures: never more than so many, none lost, and a slow host does not get all of them."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.labelling.held_bytes import HeldBytes


async def test_a_host_that_holds_all_gives_every_other_grant_to_who_holds_least() -> None:
    """The posts of a quick host need not wait for all those of a slow one that came before them."""
    held, order = HeldBytes(4), list[str]()

    async def take(host: str) -> None:
        await held.reserve(1, host)
        order.append(host)

    for _ in range(4):
        await held.reserve(1, "slow")
    waiting = [asyncio.create_task(take(host)) for host in ("slow",) * 10 + ("quick",) * 2]
    await asyncio.sleep(0)
    for _ in range(4):
        held.free(1, "slow")
        await asyncio.sleep(0)
    assert order == ["quick", "slow", "quick", "slow"]
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_any_number_of_hosts_does_not_keep_out_one_that_is_there() -> None:
    """A stranger who names a new host in each post holds nothing of any of them: every other grant goes by age."""
    held, order = HeldBytes(2), list[str]()

    async def take(host: str) -> None:
        await held.reserve(1, host)
        order.append(host)

    for _ in range(2):
        await held.reserve(1, "cdn")
    waiting = [asyncio.create_task(take("cdn")) for _ in range(5)]
    await asyncio.sleep(0)
    waiting += [asyncio.create_task(take(f"h{number}")) for number in range(100)]
    await asyncio.sleep(0)
    for _ in range(10):
        held.free(1, "cdn" if _ < 2 else order[_ - 2])
        await asyncio.sleep(0)
    assert order.count("cdn") == 5
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


class Play:
    """Posts that reserve bytes, give them back, and are dropped while they wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = HeldBytes(most)
        self._holders: list[tuple[str, int]] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, steps: list[tuple[str, int, str]]) -> None:
        """Take the steps, and look after each; in the end everybody who has something gives it back."""
        for host, count, step in steps:
            if step == "take":
                self._tasks.append(asyncio.create_task(self._take(host, count)))
            elif step == "free":
                self._free()
            elif pending := [one for one in self._tasks if not one.done()]:
                pending[0].cancel()
            await self._look()
        while self._holders:
            self._free()
            await self._look()
        assert all(one.done() for one in self._tasks)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, host: str, count: int) -> None:
        await self._held.reserve(count, host)
        self._holders.append((host, count))

    def _free(self) -> None:
        if self._holders:
            host, count = self._holders.pop(0)
            self._held.free(count, host)

    async def _look(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        assert sum(count for _, count in self._holders) <= self._most or len(self._holders) == 1


@settings(deadline=None)
@given(
    st.integers(1, 6),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 8), st.sampled_from(["take", "take", "free", "cancel"])),
        max_size=50,
    ),
)
def test_never_more_than_so_many_and_all_get_theirs(most: int, steps: list[tuple[str, int, str]]) -> None:
    """One that is larger than all passes alone; when the others end, everybody who waits has its turn."""
    asyncio.run(Play(most).run(steps))
