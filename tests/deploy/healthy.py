"""`python -m tests.deploy.healthy --minutes 10`: a worker under the demo's posts, and the alerts that it raises.

The shipped rules, untouched, in a real Prometheus. Says what was pending and what fired; exit code 1 where any fired.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.deploy import tools
from tests.deploy.feeding import feed_for_ever, values_of
from tests.deploy.prometheus_server import Prometheus, prometheus_server
from worker.broker.clients import KafkaLinks
from worker.broker.topics import create_topics
from worker.commands.demo.pictures import serve_pictures
from worker.commands.demo.samples import FOLDER, read_samples
from worker.commands.demo.worker_process import start_worker
from worker.commands.stack.ports import free_ports
from worker.commands.stack.stack import Stack
from worker.settings import KafkaSettings

_PARTITIONS = 4
_SCRAPE_SECONDS = 5
_READY_SECONDS = 180
# Recording rules with an hour's window need no hour of data, but some.
_FIGURES = {
    "posts labelled": "sum(moderate_posts_labelled_total)",
    "dead letters": "sum(moderate_dead_letters_total)",
    "share of dead letters, 15 min": "max(group:moderate_dead_letters:share15m)",
    "share of pictures unavailable, 15 min": "max(group:moderate_media_unavailable:share15m)",
    "latency p50, 5 min (s)": "max(group:moderate_latency_seconds:p50_5m)",
    "latency p99, 5 min (s)": "max(group:moderate_latency_seconds:p99_5m)",
    "share of posts later than 10 s, 1 h": "max(group:moderate_late_posts:share1h)",
    "largest lag in the run (s)": "max(max_over_time(group:moderate_lag_seconds:max[1h]))",
    "longest standstill in the run (s)": "max(max_over_time(moderate_stalled_seconds[1h]))",
    "latest event loop in the run (s)": "max(max_over_time(moderate_loop_lag_max_seconds[1h]))",
    "device busy": "max(instance:moderate_model_busy:share5m)",
    "cache hits, texts": 'max(group:moderate_cache_hits:share15m{content="text"})',
    "largest PSI": "max(group:moderate_drift_psi:mean)",
}


async def watch(prometheus: Prometheus, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the alerts that were pending and those that fired within a time, with the seconds until each first was."""
    pending: dict[str, float] = {}
    firing: dict[str, float] = {}
    started = time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        for state, found in (("pending", pending), ("firing", firing)):
            for _, alert, severity in await prometheus.alerts(state):
                if f"{alert} ({severity})" not in found:
                    found[f"{alert} ({severity})"] = passed
                    click.echo(f"{passed:6.0f} s  {state}: {alert} ({severity})", err=True)
        await asyncio.sleep(_SCRAPE_SECONDS)
    return pending, firing


async def run(folder: Path, minutes: float, rate: float) -> bool:
    """Run it; return whether nothing fired."""
    stack = Stack(folder)
    there = await asyncio.to_thread(stack.up)
    kafka_address, redis_url = there.kafka or "", there.redis or ""
    try:
        kafka = KafkaSettings(bootstrap_servers=kafka_address)
        links = KafkaLinks(kafka_address, kafka)
        async with links.connected_admin() as admin:
            await create_topics(admin, kafka, partitions=_PARTITIONS, replication_factor=1)
        (port,) = free_ports(1)
        async with serve_pictures(FOLDER / "pictures") as pictures:
            values = values_of(read_samples(pictures))
            environment = {
                "MODERATE_KAFKA__BOOTSTRAP_SERVERS": kafka_address,
                "MODERATE_REDIS__URL": redis_url,
                "MODERATE_MEDIA__ALLOWED_PRIVATE_HOSTS": json.dumps([pictures.removeprefix("http://").rstrip("/")]),
            }
            rules = prometheus_server(tools.prometheus(), folder / "prometheus", seconds=_SCRAPE_SECONDS)
            async with (
                start_worker(environment, port=port, log_path=folder / "worker.log") as worker,
                rules as prometheus,
            ):
                prometheus.watch({f"127.0.0.1:{port}": {}})
                await worker.wait_until_ready(_READY_SECONDS)
                feeding = asyncio.create_task(
                    feed_for_ever(kafka_address, kafka.posts_topic, values, _PARTITIONS, rate)
                )
                pending, firing = await watch(prometheus, minutes * 60)
                figures = {name: await prometheus.query(query) for name, query in _FIGURES.items()}
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
    finally:
        await asyncio.to_thread(stack.down, keep_logs=True)
    for name, series in figures.items():
        click.echo(f"{name:40}{float(series[0]['value'][1]):.3f}" if series else f"{name:40}no data")
    click.echo(f"{'load of the machine, 15 min':40}{os.getloadavg()[2]:.1f} on {os.cpu_count()} processors")
    click.echo(f"{'pending':40}{', '.join(sorted(pending)) or 'none'}")
    click.echo(f"{'fired':40}{', '.join(sorted(firing)) or 'none'}")
    return not firing


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True, help="posts a second"
)
def main(minutes: float, rate: float) -> None:
    """Run a healthy worker and say which alerts were pending and which fired."""
    folder = Path(tempfile.mkdtemp(prefix="healthy-"))
    try:
        quiet = asyncio.run(run(folder, minutes, rate))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if quiet else 1)


if __name__ == "__main__":
    main()
