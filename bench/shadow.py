"""What a shadow costs the live path: `python -m bench.shadow`.

Workers without a shadow, and with one that takes a tenth of the posts and all of them, by turns in one run: posts a
second flat out, and the latency of live labels at half of that load. The shadow's checkpoint has the shipped one's
weights under another digest, so that it finds nothing in the cache and encodes everything again.
"""

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.on_stack import Servers, run_on_own_stack
from bench.stream import PARTITIONS, make_posts, stream_rate
from worker.broker.range_reader import connected_reader, partitions_of, read_ranges
from worker.broker.ranges import Bound, OffsetRange, freeze
from worker.commands.demo.worker_process import WorkerProcess

SHIPPED = Path(__file__).parent.parent / "mmorient" / "checkpoints" / "compact"
TOPIC = "labels.sarcasm"
NONE = "no shadow"
SUBJECTS: Mapping[str, dict[str, str]] = {
    NONE: {},
    "share 0.1": {"MODERATE_SHADOW__SHARE": "0.1"},
    "share 1.0": {"MODERATE_SHADOW__SHARE": "1"},
    "1.0, however late": {"MODERATE_SHADOW__SHARE": "1", "MODERATE_SHADOW__MAX_LAG_SECONDS": "3600"},
}


def other_encoders(folder: Path) -> Path:
    """Fill a folder with the shipped checkpoint, of which the cache knows nothing; return it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SHIPPED, folder)
    weights, config = folder / "embedding.safetensors", folder / "config.json"
    content = weights.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    # Spaces behind the header of a safetensors file change its digest and nothing else.
    weights.write_bytes(struct.pack("<Q", length + 8) + content[8 : 8 + length] + b" " * 8 + content[8 + length :])
    entry = json.loads(config.read_text(encoding="utf-8"))
    entry["files"][weights.name] = f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()}"
    config.write_text(json.dumps(entry), encoding="utf-8")
    return folder


async def latencies(servers: Servers, values: Sequence[bytes], rate: float) -> list[float]:
    """Write posts at a rate; return the seconds from each post's timestamp to its label's, sorted."""
    sources = await partitions_of(servers.links, TOPIC)
    topic = servers.kafka.posts_topic
    loop = asyncio.get_running_loop()
    started, written = loop.time(), {}
    async with connected_reader(servers.links) as reader, servers.producer() as producer:
        begin = await freeze(reader, sources, Bound("latest"), Bound("latest"))
        for number, value in enumerate(values):
            await asyncio.sleep(max(0.0, started + number / rate - loop.time()))
            sent = await producer.send_and_wait(topic, value, partition=number % PARTITIONS)
            written[sent.partition, sent.offset] = sent.timestamp
        found: dict[tuple[int, int], float] = {}
        async with asyncio.timeout(120):
            while len(found) < len(written):
                await asyncio.sleep(0.5)
                until = await freeze(reader, sources, Bound("earliest"), Bound("latest"))
                ranges = {source: OffsetRange(begin[source].until, part.until) for source, part in until.items()}
                async for records in read_ranges(reader, ranges):
                    for record in records:
                        at = json.loads(record.value)["source"]
                        position = at["partition"], at["offset"]
                        if position in written:
                            found[position] = (record.timestamp - written[position]) / 1000
    return sorted(found.values())


async def shadow_posts(worker: WorkerProcess) -> tuple[int, int]:
    """Return how many posts the shadow has labelled, and how many were chosen for it, those included that wait."""
    metrics = await worker.metrics()
    found = {name: int(value) for name, value in metrics.items() if "shadow_posts_total" in name}
    waiting = int(metrics.get("moderate_shadow_waiting_posts", 0))
    return sum(value for name, value in found.items() if 'result="labelled"' in name), sum(found.values()) + waiting


@dataclass(frozen=True)
class Run:
    """What one worker did.

    Args:
        rate: posts a second, flat out.
        p50, p99: seconds to a live label, at half load.
        flat, half: what became of the shadow's posts, in either part.
    """

    rate: float
    p50: float
    p99: float
    flat: str
    half: str


async def run_one(
    args: argparse.Namespace, servers: Servers, settings: Mapping[str, str], *, number: int, half: float
) -> Run:
    """Start a worker, measure it flat out and at half load; half of its own, where `half` is 0."""
    shadow = "MODERATE_SHADOW__CHECKPOINT" in settings
    async with servers.worker(f"worker-{number}", **settings) as worker:
        while shadow and not (await worker.metrics()).get("moderate_shadow_ready"):
            await asyncio.sleep(0.2)
        await stream_rate(servers, make_posts(64, 0.3, run=number))
        rate = await stream_rate(servers, make_posts(args.posts, 0.3, run=number + 1))
        before = await shadow_posts(worker)
        half = half or rate / 2
        found = await latencies(servers, make_posts(round(args.seconds * half), 0.3, run=number + 2), half)
        after = await shadow_posts(worker)
    said = [f"{labelled} of {chosen}" for labelled, chosen in (before, (after[0] - before[0], after[1] - before[1]))]
    return Run(rate, found[len(found) // 2], found[int(len(found) * 0.99)], *(said if shadow else ("", "")))


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run all by turns and print the table."""
    await servers.create_topics(PARTITIONS)
    checkpoint = other_encoders(servers.folder / "second")
    runs: dict[str, list[Run]] = {name: [] for name in SUBJECTS}
    half = 0.0
    for repeat in range(args.repeat):
        for subject, (name, settings) in enumerate(SUBJECTS.items()):
            shadow = {"MODERATE_SHADOW__CHECKPOINT": str(checkpoint), **settings} if settings else {}
            number = 1000 * repeat + 10 * subject
            run = await run_one(args, servers, shadow, number=number, half=half)
            runs[name].append(run)
            half = half or run.rate / 2
            print(f"  {name}: {run}", flush=True)
    print(
        f"{args.posts} posts flat out, then {args.seconds:.0f} s at {half:.1f} a second; "
        f"{os.cpu_count()} cores, medians of {args.repeat}"
    )
    print(
        f"{'':<22}{'posts/s':>9}{'ratio':>7}{'p50':>8}{'p99':>8}{'ratio':>7}"
        "  shadow labelled, last run: flat out; half load"
    )
    for name, done in runs.items():
        rates = [run.rate / alone.rate for run, alone in zip(done, runs[NONE], strict=True)]
        waits = [run.p99 / alone.p99 for run, alone in zip(done, runs[NONE], strict=True)]
        print(
            f"{name:<22}{median(run.rate for run in done):>9.1f}{median(rates):>7.2f}"
            f"{median(run.p50 for run in done):>8.3f}{median(run.p99 for run in done):>8.3f}{median(waits):>7.2f}"
            f"  {done[-1].flat}; {done[-1].half}"
        )


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--repeat", type=int, default=3)
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
