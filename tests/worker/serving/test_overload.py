"""Ten times what can be labelled: memory is bounded, and who was accepted is answered in time."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest

from bench.serving import ask
from tests.worker.hurrying import hurry
from tests.worker.serving.conftest import Serving
from tests.worker.serving.processes import serving_process
from tests.worker.serving.stages import WaitingStages, labeller_of, post
from worker.serving.errors import DeadlineError, OverloadedError

_CAPACITY = 250.0  # posts a second
# Of the posts of each round.
STARTS = (20_000, 40_000, 60_000, 80_000)


def test_at_ten_times_its_capacity_a_labeller_answers_in_time_and_holds_no_more() -> None:
    """Whoever is refused is refused at once; the model has work all the time. The clock is the test's own."""
    hurry(_at_ten_times_its_capacity())


async def _at_ten_times_its_capacity() -> None:
    now = asyncio.get_running_loop().time
    stages = WaitingStages(1 / _CAPACITY)
    deadline = 0.5
    labeller = labeller_of(
        stages, max_waiting_posts=400, max_waiting_bytes=10**6, deadline_seconds=deadline, max_posts=16, clock=now
    )
    run = asyncio.create_task(labeller.run())
    accepted: list[float] = []
    refused: list[float] = []
    impatient: list[bool] = []
    most_held = late = 0

    async def ask(number: int) -> None:
        nonlocal late
        started = now()
        try:
            await labeller.label([post(number)])
        except OverloadedError as error:
            impatient.append(error.retry_after_seconds < 1)
            refused.append(now() - started)
        except DeadlineError:
            late += 1
        else:
            accepted.append(now() - started)

    asked = []
    started = now()
    for number in range(round(_CAPACITY * 10 * 2)):
        asked.append(asyncio.create_task(ask(number)))
        most_held = max(most_held, len(stages.held))
        await asyncio.sleep(max(0.0, started + number / (_CAPACITY * 10) - now()))
    await asyncio.gather(*asked)
    seconds = now() - started
    run.cancel()
    await asyncio.wait({run})
    assert max(accepted) <= deadline
    assert late == 0
    assert len(accepted) >= 0.9 * _CAPACITY * seconds
    assert len(refused) >= 0.8 * len(asked)
    assert max(refused) == 0
    assert not any(impatient)
    assert most_held <= 400
    assert not stages.held


async def test_a_client_that_goes_away_takes_its_posts_along(serving: Serving, stages: WaitingStages) -> None:
    """Over HTTP, too: what it asked for never reaches the model."""
    stages.may.clear()
    async with serving() as client:
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        first = []
        for number in (1, 2):
            first.append(asyncio.create_task(client.post("/v1/label", content=post(number))))
            # Until a batch has it: one is in the model, and one waits for it.
            await asyncio.sleep(0.02)
        told = asyncio.Event()
        sent = []

        async def receive() -> dict[str, object]:
            if not sent:
                sent.append(True)
                return {"type": "http.request", "body": post(3), "more_body": False}
            await told.wait()
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/label",
            "query_string": b"",
            "scheme": "http",
            "headers": [(b"host", b"localhost")],
        }
        gone = asyncio.create_task(transport.app(scope, receive, send))  # type: ignore[arg-type]
        while len(stages.held) < 3:
            await asyncio.sleep(0)
        told.set()
        await gone
        assert len(stages.held) == 2
        stages.may.set()
        await asyncio.gather(*first)
    assert [name for batch in stages.batches for name in batch] == ["p-1", "p-2"]


@pytest.mark.soak
async def test_a_server_at_ten_times_its_capacity_does_not_grow(tmp_path: Path) -> None:
    """Resident memory at the end is what it was after the first seconds; accepted requests keep the deadline.

    Few may wait, and for longer than any quiet machine takes: how soon a request can be answered beside 300 clients
    is the machine's. The test above holds the deadline itself.
    """
    deadline = 10.0
    settings = {"SERVE__DEADLINE_SECONDS": str(deadline), "SERVE__MAX_WAITING_POSTS": "40"}
    settings |= {"SERVE__MAX_REQUEST_POSTS": "1"}
    async with serving_process(tmp_path, **settings) as served:
        process, port = psutil.Process(served.process.pid), int(served.address.rpartition(":")[2])
        texts = [
            json.dumps({"id": "p", "text": f"a remark of its own, number {n} " * 3}).encode() for n in range(10**5)
        ]
        # In these the speed of the machine changes: nobody asked before.
        await ask(port, texts[:20_000], 300, 0.1, at_most=6)
        before = process.memory_info().rss
        rounds = [await ask(port, texts[start : start + 20_000], 300, 0.1, at_most=5) for start in STARTS]
        after = process.memory_info().rss
    answers = sum((codes for _, _, codes in rounds), Counter[int]())
    assert answers.keys() <= {200, 429, 504}, served.log()
    assert answers[429] > answers[200] > 0
    # A machine with other work may be slower than it was when it accepted a post. What is wrong here is so every time.
    # None on a quiet machine.
    assert min(codes[504] / max(1, codes[200]) for _, _, codes in rounds) <= 0.05, rounds_said(rounds)
    # A little more than the deadline: this process measures, too.
    assert min(late_one(seconds) for _, seconds, _ in rounds if seconds) <= deadline * 1.25, rounds_said(rounds)
    assert after - before < 60e6


def late_one(seconds: list[float]) -> float:
    """Return what 99 of 100 requests took at most."""
    return seconds[int(len(seconds) * 0.99)]


def rounds_said(rounds: list[tuple[float, list[float], Counter[int]]]) -> str:
    """Return how each round went."""
    return "; ".join(f"{dict(codes)}, p99 {late_one(seconds):.2f} s" for _, seconds, codes in rounds if seconds)
