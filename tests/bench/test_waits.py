"""A standstill lasts as long as some partitions are labelled by nobody."""

from typing import Any

import httpx
import pytest

from bench.growth import waits


class SteppingWorker:
    """Says how many partitions it labels: the next number at each question, the last one for ever.

    Args:
        steps: the numbers; None where it does not answer.
    """

    def __init__(self, *steps: int | None) -> None:
        self._steps = list(steps)

    async def metrics(self) -> dict[str, float]:
        """Return the one sample."""
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if step is None:
            raise httpx.ConnectError("nobody there")
        return {'moderate_lanes{state="open"}': float(step)}


async def test_only_the_time_without_some_partitions_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks with fewer than all count; the time before and after them does not."""
    monkeypatch.setattr(waits, "_LOOK_SECONDS", 0.05)
    first: Any = SteppingWorker(16, 16, 9, 8, 8)
    second: Any = SteppingWorker(None, 0, 0, 4, 8)
    found = await waits.standstill([first, second], 16, lambda lanes: min(lanes) > 0)
    assert found == pytest.approx(0.1, abs=0.06)


async def test_a_worker_that_is_gone_labels_nothing() -> None:
    """Its partitions are missed until the other one has them all."""
    leaving: Any = SteppingWorker(8, None)
    staying: Any = SteppingWorker(8, 8, 16)
    assert await waits.open_lanes([leaving, staying]) == [8, 8]
    assert await waits.standstill([leaving, staying], 16, lambda lanes: lanes[1] == 16) > 0


async def test_a_group_that_never_settles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench goes on to the next number of partitions."""
    monkeypatch.setattr(waits, "_LONGEST_SECONDS", 0.2)
    alone: Any = SteppingWorker(3)
    with pytest.raises(TimeoutError):
        await waits.standstill([alone], 4, lambda lanes: lanes[0] == 4)
