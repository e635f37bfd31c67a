"""Shipped rules and dashboard over real workers: quiet and full of data while all is well, loud at each real fault.

One Prometheus scrapes all workers every second; the rules' time is divided by 60, their thresholds are those shipped.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.deploy import tools
from tests.deploy.faults import FAULTS
from tests.deploy.feeding import feed_for_ever
from tests.deploy.lab import Lab, LoopThread, Seat
from tests.deploy.prometheus_server import prometheus_server
from tests.deploy.promql import named
from tests.deploy.test_dashboard import DASHBOARD, filled, targets
from tests.worker.conftest import servers  # noqa: F401 - a fixture
from tests.worker.system import Servers, post, sample_posts
from worker.commands.demo.samples import FOLDER

pytestmark = pytest.mark.soak

_HEALTHY_SECONDS = 35
# Nothing to see over a healthy worker on a CPU, without a shadow, that has labelled fewer than 500 posts.
MAY_BE_EMPTY = {
    "moderate_media_unavailable_total",
    "moderate_lanes_failed_total",
    "moderate_cache_failures_total",
    "moderate_device_memory_bytes",
    "moderate_shadow_posts_total",
    "moderate_audit_offsets_total",
    "moderate_audit_faults_total",
    "moderate_audit_pending_offsets",
    "moderate_audit_rounds_total",
    "moderate_http_requests_total",
    "moderate_http_seconds_bucket",
    "moderate_serving_posts",
    "moderate_serving_bytes",
    "moderate_serving_body_bytes",
    "moderate_serving_refused_total",
    "moderate_serving_dropped_total",
    "moderate_serving_open",
    "moderate_served_posts_total",
    "moderate_units_shared_total",
    "moderate_decisions_total",
    "moderate_shadow_decisions_total",
    "moderate_policy_info",
    "moderate_verdicts_total",
    "moderate_page_viewers",
    "group:moderate_drift_psi:mean",
    "group:moderate_media_unavailable:share15m",
}
FACTOR = 60
_PARTITIONS = 2


@dataclass
class Monitored:
    """The lab, the loop that its work runs on, and what a healthy worker needs."""

    lab: Lab
    loop: LoopThread
    seat: Seat
    feeding: "asyncio.Task[None]"

    async def end_healthy(self) -> None:
        """Leave the machine to others."""
        self.feeding.cancel()
        await self.seat.kill()


@pytest.fixture(scope="module")
def monitored(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:  # noqa: F811
    """Give a lab in which a healthy worker has labelled posts for a while, and still does."""
    binary = tools.prometheus()
    folder = tmp_path_factory.mktemp("monitored")
    loop, stack = LoopThread(), AsyncExitStack()

    async def begin() -> Monitored:
        prometheus = await stack.enter_async_context(prometheus_server(binary, folder / "prometheus", factor=FACTOR))
        lab = Lab(prometheus, servers, folder, stack)
        stream = lab.stream("healthy")
        await stream.create_topics(_PARTITIONS)
        seat = Seat(stream, "worker", {})
        await seat.start()
        await seat.answers("/readyz")
        # A start takes longer than the two minutes of ModerationNoWorkerReady, divided by 60.
        lab.scrape(seat, "healthy")
        texts = [post(f"t-{n}", text=f"a remark of its own, number {n}") for n in range(90)]
        mixed = [*texts, *sample_posts(FOLDER, 20)]
        # One every nine seconds: the dashboard's shortest window is twenty.
        values = [value for start in range(0, len(mixed), 27) for value in (*mixed[start : start + 27], b"no json")]
        feeding = lab.keep_doing(feed_for_ever(servers.kafka, stream.posts, values, _PARTITIONS, rate=3))
        return Monitored(lab, loop, seat, feeding)

    try:
        yield loop.run(begin())
    finally:
        loop.run(stack.aclose())
        loop.close()


def test_a_healthy_worker_raises_no_alert(monitored: Monitored) -> None:
    """A worker under posts at a rate that it can bear: nothing fires, though all windows are a sixtieth of theirs."""
    since = time.monotonic()
    monitored.loop.run(asyncio.sleep(_HEALTHY_SECONDS))
    prometheus = monitored.lab.prometheus
    assert monitored.loop.run(monitored.lab.fired("healthy", since)) == set()
    labelled = monitored.loop.run(
        prometheus.query('sum(increase(moderate_posts_labelled_total{namespace="healthy"}[30s]))')
    )
    assert float(labelled[0]["value"][1]) > 0


def test_a_real_worker_answers_its_queries(monitored: Monitored) -> None:
    """Every query can be run; over a healthy worker it has data, unless it shows failures, a GPU or a shadow."""
    prometheus = monitored.lab.prometheus
    empty = []
    for title, target in targets():
        expression = filled(target["expr"])
        found = monitored.loop.run(prometheus.query(expression))
        values = [one["value"][1] for one in found]
        # A panel that shows what is above nothing shows no faults of a healthy worker.
        if expression.endswith("> 0") or named(expression).metrics & MAY_BE_EMPTY:
            continue
        if not [value for value in values if value != "NaN"]:
            empty.append((title, expression))
    assert not empty, "\n".join(map(str, empty))
    for annotation in DASHBOARD["annotations"]["list"]:
        if "expr" in annotation:
            monitored.loop.run(prometheus.query(filled(annotation["expr"])))


@pytest.fixture(scope="module")
def injected(monitored: Monitored) -> dict[str, str]:
    """Inject all faults side by side; return, of each namespace whose alerts stayed quiet, why."""

    async def inject() -> list[BaseException | None]:
        await monitored.end_healthy()
        works = (fault.inject(monitored.lab) for fault in FAULTS)
        return await asyncio.gather(*works, return_exceptions=True)

    errors = monitored.loop.run(inject())
    return {fault.namespace: repr(error) for fault, error in zip(FAULTS, errors, strict=True) if error is not None}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("namespace", "alert"), [(fault.namespace, alert) for fault in FAULTS for alert in fault.alerts]
)
def test_an_alert_fires_at_its_fault(
    injected: dict[str, str], monitored: Monitored, namespace: str, alert: str
) -> None:
    """A real fault makes the shipped rule fire, its time divided by 60, its thresholds as they are."""
    assert alert in monitored.lab.seen.get(namespace, set()), injected.get(namespace)
