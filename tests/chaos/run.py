"""One run from start to end: stack, topics, workers, feed, rounds of faults, the count, the quiet run."""

import asyncio
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.audit import Fed, Found, Outcome, Position, compare, count, read_found, read_posts
from tests.chaos.cluster_faults import CLUSTER_INJECTIONS
from tests.chaos.faults import INJECTION_ERRORS, INJECTIONS
from tests.chaos.feed import Feed
from tests.chaos.fleet import Death, Fleet
from tests.chaos.pictures import PictureHost, picture_host
from tests.chaos.plan import Round, Step, make_plan
from tests.chaos.posts import Entry, entries, plain_entries, poison
from tests.chaos.progress import Progress, Sample, Span, recovered_at, stall_after
from tests.chaos.quiet import quiet_stream, run_quietly
from tests.chaos.settings import Settings
from tests.chaos.site import Site
from tests.chaos.subjects import CONTROLS, SUBJECTS, subject
from tests.worker import absent_broker
from tests.worker.system import TASKS, Servers, Stream
from worker.commands.stack.stack import Stack

# After kill -9 the broker waits this long for its own registration, and a longer pause would fence it: just above the
# pause of 10 s, so that both come back by themselves and neither takes the run's time.
BROKER_SESSION_SECONDS = 12.0
# Of several: Kafka's own, after which the others take over.
CLUSTER_SESSION_SECONDS = 9.0
# Only as long as it takes: on a machine with other work a model loads for minutes.
_JOIN_SECONDS = 300.0
_RECOVERY_SECONDS = 45.0
_SOME, _SOME_JOINED_SECONDS = 2, 15.0
_SETTLE_SECONDS = dict.fromkeys(SUBJECTS, 180.0) | dict.fromkeys(CONTROLS, 45.0)
_QUIET_SECONDS = 600.0
_POLL_SECONDS = 0.2
_BETWEEN_ROUNDS_SECONDS = (0.2, 1.0)
# Of the run's time: early, for such a post takes its partition some deaths of a worker.
_POISON_SPAN = (0.08, 0.5)
# Far from any seed of another run.
_MORE = 1_000_003
# A run whose rounds take this many times as long as planned is cut short.
_MOST_TIMES = 3
_MOST_REPLICAS = 3
_INJECTIONS = INJECTIONS | CLUSTER_INJECTIONS


@dataclass
class Injected:
    """A fault that was injected, with times in seconds since the start of the first round."""

    kind: str
    target: str
    round: int
    begin: float
    end: float
    stall: float | None = None
    failed: str = ""


@dataclass
class Result:
    """What a run has shown."""

    settings: Settings
    outcome: Outcome
    faults: list[Injected]
    deaths: list[Death]
    poison_stalls: list[float | None]
    settled: bool
    notes: list[str]
    peak_rss_bytes: int
    seconds: float
    progress: Progress
    feed: Feed
    started: float


@dataclass
class Run:
    """The run.

    Args:
        settings: what it is made of.
        folder: for data and logs.
        say: told what happens.
    """

    settings: Settings
    folder: Path
    say: Callable[[str], None]
    faults: list[Injected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _started: float = 0.0

    async def run(self) -> Result:
        """Run to the end; all that was started is stopped, also where SIGTERM cuts it short."""
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        brokers = self.settings.brokers
        session = BROKER_SESSION_SECONDS if brokers == 1 else CLUSTER_SESSION_SECONDS
        stack = Stack(self.folder / "stack", say=self.say, broker_session_seconds=session, brokers=brokers)
        try:
            # One by one, and not `Stack.up`: servers that the settings name are none of ours to break.
            await asyncio.to_thread(stack.redis.up, self.say)
            servers = Servers(await asyncio.to_thread(stack.brokers_up), stack.redis.address or "")
            if brokers == 1:
                await absent_broker.register(stack.kafka.folder)
            async with AsyncExitStack() as exits, picture_host() as pictures:
                stream = Stream(servers, "chaos", self.folder, exits, replicas=min(brokers, _MOST_REPLICAS))
                return await self._run(stack, stream, pictures)
        finally:
            await asyncio.to_thread(stack.down, keep_logs=True)

    async def _run(self, stack: Stack, stream: Stream, pictures: PictureHost) -> Result:
        settings = self.settings
        await stream.create_topics(settings.partitions)
        chance = random.Random(f"run/{settings.seed}")
        feed = self._feed(stream, chance, pictures)
        fleet = Fleet(subject(settings.subject, stream, pictures.name_server), self.folder, chance)
        progress = Progress(stream.servers.kafka, stream.name, stream.posts, lambda: feed.next_offsets)
        labels = tuple(stream.label_topic(task) for task in TASKS)
        site = Site(
            stack, fleet, feed, pictures, stream.servers.kafka, stream.servers.redis, (stream.posts,),
            (*labels, stream.dead), chance,
        )  # fmt: skip
        feeding: asyncio.Task[None] | None = None
        watching = [asyncio.create_task(progress.watch()), asyncio.create_task(self._watch(fleet, feed, progress))]
        try:
            for _ in range(settings.workers):
                fleet.add()
            if not await fleet.joined(_JOIN_SECONDS):
                self._note("not all workers had partitions before the first fault")
            self._started = time.monotonic()
            feeding = asyncio.create_task(feed.run())
            await asyncio.sleep(2.0)
            await self._break_things(site, progress)
            feed.stop()
            await feeding
            settled = await self._settle(stream, feed)
            ended = time.monotonic()
            await fleet.stop()
        finally:
            for task in (*watching, *([feeding] if feeding else [])):
                task.cancel()
            fleet.abandon()
        self._measure(fleet, feed, progress)
        outcome = await self._count(stream, feed, pictures)
        return Result(
            settings, outcome, self.faults, fleet.deaths,
            [None if post.passed_at is None else post.passed_at - post.fed_at for post in feed.poison_posts],
            settled, self.notes, fleet.peak_rss_bytes, ended - self._started, progress, feed, self._started,
        )  # fmt: skip

    def _feed(self, stream: Stream, chance: random.Random, pictures: PictureHost) -> Feed:
        settings = self.settings
        is_worker = settings.subject == "worker"
        posts = entries(settings.seed, pictures.url) if is_worker else plain_entries(settings.seed)
        count = settings.poison if settings.subject == "worker" else 0
        low, high = (share * settings.minutes * 60 for share in _POISON_SPAN)
        partitions = chance.sample(range(settings.partitions), min(count, settings.partitions))
        planned: list[tuple[float, int, Entry]] = [
            (low + (high - low) * number / max(1, count - 1), partition, poison(number))
            for number, partition in enumerate(partitions)
        ]
        return Feed(stream.servers.kafka, stream.posts, posts, settings.partitions, settings.rate, planned)

    async def _break_things(self, site: Site, progress: Progress) -> None:
        """Deal the whole deck, and more of it while there is time."""
        settings = self.settings
        kinds = settings.kinds
        rounds = make_plan(settings.seed, settings.minutes, kinds)
        until = self._started + settings.minutes * 60
        dealt = {step.kind for steps in rounds for step in steps}
        more = make_plan(settings.seed + _MORE, settings.minutes, kinds - (dealt & {"partitions-added"}))
        for number, steps in enumerate([*rounds, *more]):
            if number >= len(rounds) and time.monotonic() > until - 10:
                break
            if time.monotonic() > self._started + _MOST_TIMES * settings.minutes * 60 + _RECOVERY_SECONDS:
                self._note(f"{len(rounds) - number} of {len(rounds)} rounds were left out: recovery took too long")
                break
            await self._deal(number, steps, site)
            await self._recover(site.feed, progress, max(fault.end for fault in self.faults))
            # Or the next fault would often hit the only worker while the others load their model.
            await site.fleet.joined(_SOME_JOINED_SECONDS, at_least=_SOME)
            await asyncio.sleep(site.chance.uniform(*_BETWEEN_ROUNDS_SECONDS))

    async def _deal(self, number: int, steps: Round, site: Site) -> None:
        await asyncio.gather(*(self._inject(number, step, site) for step in steps))

    async def _inject(self, number: int, step: Step, site: Site) -> None:
        await asyncio.sleep(step.delay)
        begin, target, failed = self._now(), "", ""
        self.say(f"{begin:6.1f} s  {step.kind}")
        try:
            target = await _INJECTIONS[step.kind](site, step)
        except INJECTION_ERRORS as error:
            failed = f"{type(error).__name__}: {error}"
            self.say(f"{self._now():6.1f} s  {step.kind} failed: {failed}")
        self.faults.append(Injected(step.kind, target, number, begin, self._now(), failed=failed))

    async def _recover(self, feed: Feed, progress: Progress, since: float) -> None:
        """Wait until all partitions have moved on."""
        deadline = time.monotonic() + _RECOVERY_SECONDS
        while time.monotonic() < deadline:
            aside = _poisoned(feed, self._started + since, time.monotonic())
            if progress.samples:
                aside |= self._unassigned(progress.samples[-1])
            if recovered_at(progress.samples, self._started + since, aside) is not None:
                return
            await asyncio.sleep(_POLL_SECONDS)
        last = progress.samples[-1] if progress.samples else None
        behind = {one: end - last.done.get(one, 0) for one, end in last.fed.items()} if last else {}
        self._note(f"{self._now():.1f} s: not recovered after {_RECOVERY_SECONDS:.0f} s; posts behind: {behind}")

    async def _watch(self, fleet: Fleet, feed: Feed, progress: Progress) -> None:
        """Follow the memory of the workers, and when the group has passed posts that kill."""
        while True:
            await asyncio.to_thread(fleet.watch_memory)
            for post in feed.poison_posts:
                if post.passed_at is None and progress.samples:
                    last = progress.samples[-1]
                    if last.done.get(post.partition, 0) > post.offset:
                        post.passed_at = last.at
            await asyncio.sleep(_POLL_SECONDS)

    async def _settle(self, stream: Stream, feed: Feed) -> bool:
        self.say(f"{self._now():6.1f} s  no more faults; waiting for the last posts")
        ends = [(partition, offset - 1) for partition, offset in feed.next_offsets.items()]
        try:
            await stream.settled(ends, _SETTLE_SECONDS[self.settings.subject])
        except TimeoutError:
            self._note("the group did not reach the last posts, or left transactions open")
            return False
        return True

    async def _count(self, stream: Stream, feed: Feed, pictures: PictureHost) -> Outcome:
        stub = self.settings.subject != "worker"
        topics = [stream.label_topic(task) for task in TASKS]
        posts, found = await self._read(stream, stream, stub=stub)
        outcome = count(posts, found, topics)
        acknowledged = sum(feed.next_offsets.values())
        self.say(f"{len(posts)} posts ({acknowledged} acknowledged), {outcome.lost} lost, {outcome.duplicated} doubled")
        self.notes += [f"the feed met {number} x {name}" for name, number in sorted(feed.failures.items())]
        if stub:
            return outcome
        self.say("the quiet run …")
        quiet = quiet_stream(stream)
        try:
            folder = _made(self.folder / "quiet")
            await run_quietly(
                quiet, list(posts), feed.partitions, folder, seconds=_QUIET_SECONDS, name_server=pictures.name_server
            )
        except TimeoutError:
            self._note("the quiet run was not done in time")
        _, undisturbed = await self._read(stream, quiet, stub=False, posts=posts)
        pairs = {stream.label_topic(task): quiet.label_topic(task) for task in TASKS}
        compare(outcome, posts, found, undisturbed, pairs)
        return outcome

    async def _read(
        self, source: Stream, outputs: Stream, *, stub: bool, posts: dict[Position, Fed] | None = None
    ) -> tuple[dict[Position, Fed], Found]:
        topics = [outputs.label_topic(task) for task in TASKS]
        records = await outputs.read(*topics, outputs.dead)
        if posts is None:
            posts = read_posts((await source.read(source.posts))[source.posts])
        labels = {topic: records[topic] for topic in topics}
        return posts, read_found(labels, records[outputs.dead], posts, stub=stub)

    def _measure(self, fleet: Fleet, feed: Feed, progress: Progress) -> None:
        """Set the stall of every fault; a worker that ended by itself is a fault too."""
        for death in fleet.deaths:
            if "by itself" in death.said:
                at = death.at - self._started
                self.faults.append(Injected("death", f"worker {death.worker}, exit code {death.code}", -1, at, at))
        self.faults.sort(key=lambda fault: fault.begin)
        for fault in self.faults:
            others = [other for other in self.faults if other is not fault and _may_have_met(fault, other)]
            begin, end = self._started + fault.begin, self._started + fault.end
            aside = _poisoned(feed, begin, end + _RECOVERY_SECONDS)
            if fault.kind == "partitions-added":
                others = []
            else:
                aside |= self._unassigned(next((one for one in progress.samples if one.at > end), progress.samples[-1]))
            fault.stall = stall_after(progress.samples, Span(begin, end), self._spans(others), aside)

    def _unassigned(self, sample: Sample) -> set[int]:
        """Return the partitions that were added and that no worker has touched yet, which is no other fault's blame."""
        return {one for one in sample.fed if one >= self.settings.partitions and not sample.done.get(one)}

    def _spans(self, faults: Sequence[Injected]) -> list[Span]:
        return [Span(self._started + fault.begin, self._started + fault.end) for fault in faults]

    def _now(self) -> float:
        return time.monotonic() - self._started

    def _note(self, note: str) -> None:
        self.notes.append(note)
        self.say(note)


def _may_have_met(one: Injected, other: Injected) -> bool:
    """Whether two faults can have overlapped: those of one round, and the deaths, which belong to none."""
    return -1 in (one.round, other.round) or one.round == other.round


def _poisoned(feed: Feed, begin: float, end: float) -> set[int]:
    """Return the partitions that held a post that kills, at any time between two."""
    return {
        post.partition
        for post in feed.poison_posts
        if post.fed_at <= end and (post.passed_at is None or post.passed_at >= begin)
    }


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
