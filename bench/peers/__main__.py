"""The worker beside its peers: `python -m bench.peers --json bench/results/peers.json`.

Loads: `device` (a model that is only waited for; texts that nobody has seen), `cold` (the shipped model, likewise),
`cached` (the shipped model; a thousand texts again and again, which the worker remembers and no peer does). All
programs run by turns on one broker, in an order that shifts from turn to turn. With `--faults` each also goes through
the chaos runner with one seed: what it loses and doubles while workers and broker are killed, paused and restarted.
"""

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from bench.peers.peers import BATCH, BREAKABLE, NAMES, Load, peer
from bench.peers.showing import OURS, machine, show
from bench.peers.turns import PARTITIONS, Servers, own_servers, turn
from bench.results_files import read_result

_FAULTS_SECONDS = 1500


async def measure_all(args: argparse.Namespace, servers: Servers) -> dict[str, Any]:
    """Return, by load and program, the figures of each turn; an error in their place where there are none."""
    task = asyncio.current_task()
    if task is not None:
        # So that servers and programs are stopped then, too.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    found: dict[str, Any] = {load: {name: [] for name in args.only} for load in args.loads}
    for load in args.loads:
        for number in range(args.turns):
            shift = number % len(args.only)
            for name in (*args.only[shift:], *args.only[:shift]):
                try:
                    figures = await turn(name, load, servers, seconds=args.seconds, number=number)
                    found[load][name].append(figures.to_data())
                    said = f"{figures.posts_a_second:.0f} posts/s, p99 {figures.p99_seconds:.2f} s"
                except RuntimeError as error:
                    found[load][name].append({"error": str(error)})
                    said = str(error)
                print(f"{load}, turn {number + 1}, {name}: {said}", file=sys.stderr, flush=True)
    return found


def break_all(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what each program loses and doubles under the chaos runner's faults, with one seed for all."""
    for name in (one for one in args.only if one == OURS or one in BREAKABLE):
        report = folder / f"faults-{name}.json"
        subject = "simulated-worker" if name == OURS else f"peer-{name}"
        command = [sys.executable, "-m", "tests.chaos", "--subject", subject, "--seed", str(args.seed)]
        command += ["--minutes", str(args.minutes), "--rate", str(args.rate), "--json", str(report)]
        with (folder / f"faults-{name}.log").open("wb") as log:
            subprocess.run(command, stdout=log, stderr=log, check=False, timeout=_FAULTS_SECONDS)
        if not report.exists():
            yield name, {"error": f"no report: see faults-{name}.log"}
            continue
        said = json.loads(report.read_text(encoding="utf-8"))
        counts = {key: said["counts"][key] for key in ("fed", "lost", "duplicated")}
        kinds = {kind: one["count"] for kind, one in said["kinds"].items()}
        yield (
            name,
            counts
            | {
                "settled": said["settled"],
                "longest_standstill_seconds": said["longest_standstill"],
                "peak_memory_mb": said["peak_rss_bytes"] / 2**20,
                "faults": kinds,
            },
        )


def main() -> None:
    """Measure, break, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[OURS, *NAMES], choices=[OURS, *NAMES])
    parser.add_argument("--loads", nargs="*", default=["device"], choices=get_args(Load))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each backlog, and of each half load")
    parser.add_argument("--faults", action="store_true", help="run the chaos runner on each")
    parser.add_argument("--seed", type=int, default=24, help="of the faults")
    parser.add_argument("--minutes", type=float, default=3.0, help="of faults for each")
    parser.add_argument("--rate", type=float, default=40.0, help="posts a second under faults")
    parser.add_argument("--json", type=Path, help="write it here too; loads and faults that are not measured stay")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="peers-"))
    print(f"logs in {folder}", file=sys.stderr)
    for name in args.only:
        if name != OURS:
            peer(name).command()
    now = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    empty: dict[str, Any] = {"loads": {}, "measured": {}, "faults": {}}
    data = empty | ((read_result(args.json) if args.json is not None else None) or {})
    data |= {"partitions": PARTITIONS, "batch": BATCH}
    if args.loads:
        with own_servers(folder) as servers:
            data["loads"] |= asyncio.run(measure_all(args, servers))
        data["measured"] |= dict.fromkeys(args.loads, now | {"turns": args.turns, "seconds": args.seconds})
    if args.faults:
        data["faults"] = {}
        data["fault_settings"] = now | {"seed": args.seed, "minutes": args.minutes, "rate": args.rate}
        for name, one in break_all(args, folder):
            data["faults"][name] = one
            print(f"faults, {name}: {one}", file=sys.stderr, flush=True)
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(show(data))


if __name__ == "__main__":
    main()
