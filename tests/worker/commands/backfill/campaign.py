"""A large backfill under fire: `python -m tests.worker.commands.backfill.campaign`.

Posts are labelled again twice: by one process that nobody disturbs, and by several of which one is killed with -9 and
begun again at a time, at moments drawn by chance. Every post must have one label a task in both, of the same bytes.
The texts repeat, so that most embeddings come from the cache and a hundred thousand posts take minutes.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from hashlib import blake2b
from pathlib import Path

from tests.worker.commands.backfill.test_backfill import Again, texts
from tests.worker.system import TASKS, Position, Servers, Stream

PARTITIONS = 12


async def digests(stream: Stream, topics: list[str]) -> tuple[dict[tuple[str, Position], bytes], int]:
    """Return a digest of each label by task and post, and how many labels are too many."""
    found: dict[tuple[str, Position], bytes] = {}
    repeats = 0
    async with stream._reader("read_committed", topics) as (consumer, ends):
        while any([await consumer.position(source) < end for source, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    entry = json.loads(record.value)
                    key = (entry["task"], (entry["source"]["partition"], entry["source"]["offset"]))
                    repeats += key in found
                    found[key] = blake2b(record.value, digest_size=16).digest()
    return found, repeats


async def run(args: argparse.Namespace, servers: Servers, folder: Path) -> bool:
    """Run both and print what came out."""
    async with AsyncExitStack() as stack:
        stream = Stream(servers, "campaign", folder, stack)
        await stream.create_topics(PARTITIONS)
        await stream.feed(texts(args.posts, args.distinct), PARTITIONS)
        again = Again(stream)
        started = time.perf_counter()
        quiet = await again.start("quiet")
        assert await quiet.wait() == 0, (folder / "quiet.log").read_text()[-3000:]
        print(f"quiet: one process, {time.perf_counter() - started:.0f} s", flush=True)
        dice = random.Random(args.seed)
        started = time.perf_counter()
        processes = [await again.start("killed") for _ in range(args.processes)]
        for _ in range(args.kills):
            await asyncio.sleep(dice.uniform(0, 2 * args.pause))
            number = dice.randrange(args.processes)
            assert processes[number].returncode is None, "it ended before all kills: use more posts or shorter pauses"
            processes[number].kill()
            await processes[number].wait()
            processes[number] = await again.start("killed")
        codes = [await process.wait() for process in processes]
        seconds = time.perf_counter() - started
        print(
            f"killed: {args.processes} processes, {args.kills} kill -9, {seconds:.0f} s, ended with {codes}", flush=True
        )
        ours, doubled = await digests(stream, [again.pattern("killed").format(task=task) for task in TASKS])
        theirs, too_many = await digests(stream, [again.pattern("quiet").format(task=task) for task in TASKS])
        lost = args.posts * len(TASKS) - len(ours)
        differ = sum(theirs[key] != value for key, value in ours.items() if key in theirs)
        tasks = Counter(task for task, _ in ours)
        print(
            f"{args.posts} posts, labels {dict(tasks)}: lost {lost}, doubled {doubled + too_many}, differing {differ}"
        )
        return not (lost or doubled or too_many or differ or any(codes)) and ours.keys() == theirs.keys()


def main() -> None:
    """Start a stack, run, stop it; exit 1 where a label is lost, doubled or differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--distinct", type=int, default=2_000, help="texts")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--pause", type=float, default=10, help="seconds between kills, in the mean")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    command = [sys.executable, "-m", "worker", "stack"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([*command, "up", "--folder", folder / "stack"], check=True)
        try:
            said = subprocess.run(
                [*command, "status", "--json", "--folder", folder / "stack"], check=True, capture_output=True
            )
            status = json.loads(said.stdout)
            good = asyncio.run(run(args, Servers(status["kafka"], status["redis"]), folder))
        finally:
            subprocess.run([*command, "down", "--folder", folder / "stack"], check=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
