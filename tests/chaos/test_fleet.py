"""Workers that are started, taken away and started again; plain processes that only wait stand in for them."""

import asyncio
import random
import sys
from pathlib import Path

import psutil

from tests.chaos.fleet import Fleet, Subject

_WAITS = "import sys, time; print('joined', flush=True); time.sleep(600)"


async def test_no_worker_outlives_its_fleet(tmp_path: Path) -> None:
    """Nor one whose slot is asked for again while the worker before it is being ended."""
    before = {child.pid for child in psutil.Process().children()}
    fleet = Fleet(Subject((sys.executable, "-c", _WAITS), dict, b"joined"), tmp_path, random.Random(0))
    first, second = fleet.add(), fleet.add()
    assert await fleet.joined(30)
    ending = asyncio.create_task(fleet.terminate(first, for_good=True))
    await asyncio.sleep(0)
    third = fleet.add()
    await ending
    assert third not in (first, second)
    assert await fleet.joined(30)
    started = {child.pid for child in psutil.Process().children()} - before
    assert len(started) == 2
    # Its keeper is done by now, so that its slot serves again.
    assert first.keeper is not None
    await asyncio.wait([first.keeper], timeout=30)
    assert fleet.add() is first
    assert await fleet.joined(30)
    await fleet.stop()
    assert not {child.pid for child in psutil.Process().children()} - before
