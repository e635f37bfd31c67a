"""Hosts that give nothing are skipped for a while, by name; times are passed in."""

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from worker.labelling.breakers import BreakerFetcher
from worker.labelling.media import MediumError
from worker.telemetry.metrics import HOSTS_SKIPPED, total

ENOUGH = 20


class TroubledFetcher:
    """Fails as it is told, and counts who came through."""

    def __init__(self) -> None:
        self.error: MediumError | None = None
        self.asked: list[str] = []
        self.slow: asyncio.Event | None = None

    async def fetch(self, url: str) -> bytes:
        """Fail, or give a picture."""
        self.asked.append(url)
        if self.slow is not None:
            await self.slow.wait()
        if self.error is not None:
            raise self.error
        return b"picture"


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def behind() -> TroubledFetcher:
    """Give what the breaker asks."""
    return TroubledFetcher()


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def breaker(behind: TroubledFetcher, clock: Clock) -> Iterator[BreakerFetcher]:
    """Give a breaker; afterwards no host is named."""
    yield BreakerFetcher(behind, clock=clock)
    HOSTS_SKIPPED.clear()


def unreachable() -> MediumError:
    """Return how a host fails at which nobody answers."""
    return MediumError("fetch_timeout", outage=True)


async def failed(breaker: BreakerFetcher, url: str, times: int = 1) -> MediumError:
    """Fetch in vain; return the last error."""
    for _ in range(times):
        with pytest.raises(MediumError) as caught:
            await breaker.fetch(url)
    return caught.value


async def test_a_host_that_gave_nothing_many_times_is_skipped_by_name(
    breaker: BreakerFetcher, behind: TroubledFetcher, clock: Clock
) -> None:
    """Its pictures end at once with the reason of the others; the log and the metric name it."""
    behind.error = unreachable()
    skipped = total("moderate_skipped_media_total")
    with capture_logs() as logs:
        await failed(breaker, "http://tar.example/1", ENOUGH)
        error = await failed(breaker, "http://tar.example/2", 5)
    assert (error.reason, error.outage) == ("fetch_timeout", True)
    assert len(behind.asked) == ENOUGH
    assert [(line["event"], line["host"]) for line in logs] == [("picture_host_is_skipped", "tar.example")]
    assert total("moderate_picture_hosts_skipped", host="tar.example") == 1
    assert total("moderate_skipped_media_total") == skipped + 5
    behind.error = None
    assert await breaker.fetch("http://other.example/1") == b"picture"
    clock.now += 1.0
    with capture_logs() as logs:
        assert await breaker.fetch("http://tar.example/3") == b"picture"
    assert [line["event"] for line in logs] == ["picture_host_answers_again"]
    assert total("moderate_picture_hosts_skipped", host="tar.example") == 0
    assert await breaker.fetch("http://tar.example/4") == b"picture"


async def test_one_picture_is_asked_for_now_and_then(
    breaker: BreakerFetcher, behind: TroubledFetcher, clock: Clock
) -> None:
    """One at a time, after a pause that doubles up to ten seconds."""
    behind.error = unreachable()
    await failed(breaker, "http://tar.example/1", ENOUGH)
    asked_at = []
    for _ in range(400):
        before = len(behind.asked)
        await failed(breaker, "http://tar.example/1", 2)
        if len(behind.asked) > before:
            assert len(behind.asked) == before + 1
            asked_at.append(clock.now - 100.0)
        clock.now += 0.1
    assert asked_at == pytest.approx([1, 3, 7, 15, 25, 35], abs=0.7)
    clock.now += 10
    behind.slow = asyncio.Event()
    probe = asyncio.create_task(breaker.fetch("http://tar.example/1"))
    await asyncio.sleep(0)
    await failed(breaker, "http://tar.example/2")
    behind.error = None
    behind.slow.set()
    assert await probe == b"picture"


async def test_failures_between_answers_skip_nobody(breaker: BreakerFetcher, behind: TroubledFetcher) -> None:
    """Links that lead nowhere do not keep out the pictures of others; a picture that is not there is an answer."""
    for error in (None, MediumError("http_status"), MediumError("too_many_bytes")):
        for _ in range(3):
            behind.error = unreachable()
            await failed(breaker, "http://cdn.example/gone", ENOUGH - 1)
            behind.error = error
            if error is None:
                assert await breaker.fetch("http://cdn.example/1") == b"picture"
            else:
                await failed(breaker, "http://cdn.example/2")
    assert total("moderate_picture_hosts_skipped", host="cdn.example") == 0


async def test_what_may_not_be_asked_for_is_skipped_as_what_cannot_be_reached(
    breaker: BreakerFetcher, behind: TroubledFetcher
) -> None:
    """The time that a picture takes tells nobody which of the two it was."""
    for host, outage in (("refused", False), ("unreachable", True)):
        behind.error = MediumError("fetch_failed", outage=outage)
        behind.asked.clear()
        error = await failed(breaker, f"http://{host}.example/1", ENOUGH + 10)
        assert (error.reason, len(behind.asked)) == ("fetch_failed", ENOUGH)


async def test_a_fetch_that_is_given_up_says_nothing_of_its_host(
    breaker: BreakerFetcher, behind: TroubledFetcher, clock: Clock
) -> None:
    """Its post was dropped; the next one may ask."""
    behind.error = unreachable()
    await failed(breaker, "http://tar.example/1", ENOUGH)
    clock.now += 5
    behind.slow = asyncio.Event()
    probe = asyncio.create_task(breaker.fetch("http://tar.example/1"))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    behind.slow, behind.error = None, None
    assert await breaker.fetch("http://tar.example/1") == b"picture"


async def test_few_hosts_are_named_however_many_strangers_name(
    breaker: BreakerFetcher, behind: TroubledFetcher, clock: Clock
) -> None:
    """Sixteen by name, the others as a number; and no more than a thousand are remembered."""
    behind.error = unreachable()
    for number in range(1100):
        await failed(breaker, f"http://h{number}.example/1", ENOUGH)
    named = [sample for sample in HOSTS_SKIPPED.collect()[0].samples if sample.labels["host"] != "others"]
    assert len(named) <= 16
    assert sum(sample.value for sample in HOSTS_SKIPPED.collect()[0].samples) == 1024
    behind.error = None
    clock.now += 60
    for number in range(1100):
        assert await breaker.fetch(f"http://h{number}.example/1") == b"picture"
    assert sum(sample.value for sample in HOSTS_SKIPPED.collect()[0].samples) == 0
