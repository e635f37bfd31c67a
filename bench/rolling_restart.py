"""What a restart of the workers stops, and for how long: `python -m bench.rolling_restart`.

Two workers label posts that are written evenly to every partition; then something is done to them. The pause of a
partition is the longest time in which a post of it waited and no label of it became visible to a reader with
`read_committed`. Undisturbed it is one post's latency. `all` adds up the pauses of all partitions, those over a second.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from aiokafka import AIOKafkaConsumer

from bench.on_stack import Servers, run_on_own_stack
from bench.stream import make_posts
from worker.broker.range_reader import connected_reader, partitions_of
from worker.broker.ranges import Bound, freeze
from worker.commands.demo.worker_process import WorkerProcess, start_worker
from worker.commands.stack.ports import free_ports

TOPIC = "labels.sarcasm"
Place = tuple[int, int]


@dataclass
class Fleet:
    """The workers of one run.

    Args:
        environment: settings of all of them.
        static: whether each has a name that it keeps.
        folder: for logs.
        stack: ends what still runs.
    """

    environment: Mapping[str, str]
    static: bool
    folder: Path
    stack: AsyncExitStack
    running: dict[str, WorkerProcess] = field(default_factory=dict)
    logs: dict[str, list[Path]] = field(default_factory=dict)

    async def start(self, *names: str) -> None:
        """Start workers and wait until they are ready."""
        for name in names:
            logs = self.logs.setdefault(name, [])
            logs.append(self.folder / f"{name}-{len(logs)}.log")
            static = {"MODERATE_KAFKA__GROUP_INSTANCE_ID": name} if self.static else {}
            worker = start_worker({**self.environment, **static}, port=free_ports(1)[0], log_path=logs[-1])
            self.running[name] = await self.stack.enter_async_context(worker)
        await asyncio.gather(*(self.running[name].wait_until_ready(240) for name in names))

    async def stop(self, name: str) -> None:
        """End a worker in order."""
        if await self.running[name].stop() != 0:
            raise RuntimeError(f"{name} did not stop in order:\n{self.running[name].last_lines()}")

    async def kill(self, name: str) -> None:
        """End a worker at once."""
        process = self.running[name].process
        process.send_signal(signal.SIGKILL)
        await process.wait()

    def moved(self, since: datetime) -> int:
        """Return how many partitions had another owner after a moment than at it, for good or for a while."""
        opened = []
        for name, logs in self.logs.items():
            for log in logs:
                entries = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
                opened += [
                    (datetime.fromisoformat(entry["timestamp"]), entry["partition"], name)
                    for entry in entries
                    if entry["event"] == "lane_open"
                ]
        owners: dict[int, list[str]] = {}
        for at, partition, name in sorted(opened):
            owners[partition] = [name] if at < since else [*owners.get(partition, ()), name]
        return sum(len(set(names)) > 1 for names in owners.values())


async def nothing(fleet: Fleet) -> None:
    """Disturb nobody."""
    del fleet
    await asyncio.sleep(10)


async def roll(fleet: Fleet) -> None:
    """Restart one after the other."""
    for name in ("w-0", "w-1"):
        await fleet.stop(name)
        await fleet.start(name)
        await asyncio.sleep(3)


async def surge(fleet: Fleet) -> None:
    """Put a new worker beside each old one, and end the old one when the new one is ready."""
    for old, new in (("w-0", "w-2"), ("w-1", "w-3")):
        await fleet.start(new)
        await fleet.stop(old)
        await asyncio.sleep(3)


async def scale_down(fleet: Fleet) -> None:
    """End one for good."""
    await fleet.stop("w-1")


async def crash(fleet: Fleet) -> None:
    """Kill one, and start it again at once as a supervisor would."""
    await fleet.kill("w-1")
    await fleet.start("w-1")


@dataclass(frozen=True)
class Scenario:
    """What is done, to which kind of workers."""

    act: Callable[[Fleet], Awaitable[None]]
    static: bool
    leave_on_stop: bool = False


SCENARIOS = {
    "undisturbed": Scenario(nothing, static=False),
    "rolling, static": Scenario(roll, static=True),
    "rolling, no names": Scenario(roll, static=False),
    "new before old, no names": Scenario(surge, static=False),
    "scale down, static": Scenario(scale_down, static=True),
    "scale down, leave_on_stop": Scenario(scale_down, static=True, leave_on_stop=True),
    "scale down, no names": Scenario(scale_down, static=False),
    "kill -9, static": Scenario(crash, static=True),
    "kill -9, no names": Scenario(crash, static=False),
}


@dataclass(frozen=True)
class Outcome:
    """What readers saw of one run.

    Args:
        pauses: the longest of each partition, in seconds.
        still: seconds that all partitions together stood still, in pauses of over a second.
        moved: partitions that another worker had in between or in the end.
        p99: seconds from a post's writing to its label's arrival.
        lost, doubled: posts.
        posts: written.
    """

    pauses: tuple[float, ...]
    still: float
    moved: int
    p99: float
    lost: int
    doubled: int
    posts: int


@dataclass
class Traffic:
    """What was written and what arrived, by place in the posts topic, in monotonic seconds."""

    written: dict[Place, float] = field(default_factory=dict)
    arrived: dict[Place, list[float]] = field(default_factory=dict)

    def waits(self, partition: int) -> list[float]:
        """Return each time in which a post of a partition waited and no label came."""
        oldest: dict[float, float] = {}
        for place, times in self.arrived.items():
            if place[0] == partition:
                # What becomes visible at once was waited for since its oldest post.
                oldest[times[0]] = min(oldest.get(times[0], times[0]), self.written[place])
        waits, before = [], float("-inf")
        for at in sorted(oldest):
            waits.append(at - max(before, oldest[at]))
            before = at
        return waits


async def feed(servers: Servers, rate: float, partitions: int, run: int, traffic: Traffic) -> None:
    """Write text posts evenly, partition after partition, until cancelled."""
    texts = make_posts(20_000, 0.0, run=run)
    async with servers.producer() as producer:
        started, number = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            partition = number % partitions
            at = time.monotonic()
            sent = await asyncio.shield(
                asyncio.ensure_future(
                    producer.send_and_wait(servers.kafka.posts_topic, texts[number % len(texts)], partition=partition)
                )
            )
            traffic.written[partition, sent.offset] = at
            number += 1


async def watch(reader: AIOKafkaConsumer, traffic: Traffic) -> None:
    """Note when labels become visible, until cancelled."""
    while True:
        fetched = await reader.getmany(timeout_ms=50)
        now = time.monotonic()
        for records in fetched.values():
            for record in records:
                source = json.loads(record.value)["source"]
                traffic.arrived.setdefault((source["partition"], source["offset"]), []).append(now)


async def run_one(args: argparse.Namespace, servers: Servers, name: str, *, folder: Path, run: int) -> Outcome:
    """Run a scenario over topics and a group of its own."""
    scenario = SCENARIOS[name]
    own = servers.named(group_id=f"rolling-{run}", posts_topic=f"posts-{run}")
    await own.create_topics(args.partitions)
    settings = own.environment(
        MODERATE_KAFKA__GROUP_ID=own.kafka.group_id,
        MODERATE_KAFKA__POSTS_TOPIC=own.kafka.posts_topic,
        MODERATE_KAFKA__LEAVE_ON_STOP=str(scenario.leave_on_stop).lower(),
        MODERATE_KAFKA__SESSION_TIMEOUT_SECONDS=str(args.session if scenario.static else args.session_without),
    )
    traffic = Traffic()
    async with AsyncExitStack() as stack, connected_reader(own.links) as reader:
        sources = await partitions_of(own.links, TOPIC)
        begin = await freeze(reader, sources, Bound("latest"), Bound("latest"))
        reader.assign(sources)
        for source, part in begin.items():
            reader.seek(source, part.until)
        fleet = Fleet(settings, scenario.static, folder, stack)
        await fleet.start("w-0", "w-1")
        watching = asyncio.create_task(watch(reader, traffic))
        feeding = asyncio.create_task(feed(own, args.rate, args.partitions, run, traffic))
        try:
            await asyncio.sleep(5)
            begun = datetime.now(UTC)
            await scenario.act(fleet)
            await asyncio.sleep(5)
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            async with asyncio.timeout(args.session + 120):
                while len(traffic.arrived) < len(traffic.written):
                    await asyncio.sleep(0.1)
            # What is doubled would come now.
            await asyncio.sleep(1)
        finally:
            feeding.cancel()
            watching.cancel()
            await asyncio.gather(feeding, watching, return_exceptions=True)
        moved = fleet.moved(begun)
    waits = sorted(times[0] - traffic.written[place] for place, times in traffic.arrived.items())
    pauses = [traffic.waits(partition) for partition in range(args.partitions)]
    return Outcome(
        tuple(round(max(of_partition), 2) for of_partition in pauses),
        sum(wait for of_partition in pauses for wait in of_partition if wait > 1),
        moved,
        waits[int(len(waits) * 0.99)],
        len(traffic.written.keys() - traffic.arrived.keys()),
        sum(len(times) > 1 for times in traffic.arrived.values()),
        len(traffic.written),
    )


async def measure(args: argparse.Namespace, servers: Servers) -> None:
    """Run all scenarios by turns and print the table."""
    chosen = args.only or list(SCENARIOS)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in chosen}
    for repeat in range(args.repeat):
        for name in chosen:
            run = 100 * repeat + list(SCENARIOS).index(name)
            logs = servers.folder / f"run-{run}"
            logs.mkdir(parents=True, exist_ok=True)
            outcomes[name].append(await run_one(args, servers, name, folder=logs, run=run))
            print(f"  {name}: {outcomes[name][-1]}", flush=True)
    print(
        f"2 workers, {args.partitions} partitions, {args.rate:.0f} posts a second, a post a partition every "
        f"{args.partitions / args.rate:.2f} s; session {args.session:.0f} s with static names, "
        f"{args.session_without:.0f} s without; {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}, "
        f"medians of {args.repeat}"
    )
    head = f"{'seconds':<28}{'longest pause':>14}  {'(each run)':<18}{'median pause':>14}{'all':>7}"
    print(f"{head}{'moved':>7}{'p99':>8}  lost doubled")
    for name, done in outcomes.items():
        worst = [max(outcome.pauses) for outcome in done]
        print(
            f"{name:<28}{median(worst):>14.1f}  {'(' + ' '.join(f'{pause:.1f}' for pause in worst) + ')':<18}"
            f"{median(median(outcome.pauses) for outcome in done):>14.1f}"
            f"{median(outcome.still for outcome in done):>7.0f}"
            f"{median(outcome.moved for outcome in done):>7.0f}{median(outcome.p99 for outcome in done):>8.2f}"
            f"  {sum(outcome.lost for outcome in done):>4} {sum(outcome.doubled for outcome in done):>7}"
        )


def main() -> None:
    """Start a stack, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=12.0, help="posts a second")
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--session", type=float, default=45.0, help="session time-out with static names, in seconds")
    parser.add_argument("--session-without", type=float, default=10.0, help="the same without them")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, metavar="SCENARIO", help=", ".join(SCENARIOS))
    run_on_own_stack(measure, parser.parse_args())


if __name__ == "__main__":
    main()
