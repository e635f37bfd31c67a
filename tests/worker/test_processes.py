"""`moderate run --processes` from outside: members of one group, of which one dies."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.worker.system import TASKS, Stream, sample_posts

SAMPLES = Path(__file__).parent.parent.parent / "samples"


@pytest.mark.soak
async def test_one_of_two_processes_is_killed_and_every_post_is_labelled_once(stream: Stream) -> None:
    """It is started again, the other one is left alone, and one signal stops both."""
    await stream.create_topics(4)
    family = await (await stream.start(PROCESSES="2")).ready()
    parent = psutil.Process(family.process.pid)
    values = sample_posts(SAMPLES)
    positions = await stream.feed(values, 4)
    while sum((await stream.labels()).counts(stream.label_topic("sarcasm")).values()) < len(values) // 8:
        await asyncio.sleep(0.1)
    before = {child.pid for child in parent.children()}
    assert len(before) == 2
    killed = min(before)
    psutil.Process(killed).send_signal(signal.SIGKILL)
    await stream.settled(positions, 120)
    labels = await stream.labels()
    for task in TASKS:
        assert labels.counts(stream.label_topic(task)) == Counter({1: len(positions)})
    assert before - {killed} < {child.pid for child in parent.children()}
    assert await family.end(seconds=30) == 0
    assert not [pid for pid in before if psutil.pid_exists(pid)]
