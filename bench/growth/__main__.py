"""How cost grows: `python -m bench.growth --json bench/results/growth.json`.

Workers on a device that is only waited for, on real servers of this machine: posts a second and the processor time of
workers, broker and Redis against partitions, workers, words, pictures, reposts, with and without Redis; what a start
and a rebalance take; transactions of one broker and of three; memory over a run of `--memory-minutes`; and what the
model itself takes of this processor. `bench.capacity` fits its model to what this writes.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.growth import memory, model, transactions
from bench.growth.measuring import measure
from bench.growth.points import POINTS
from bench.growth.showing import show
from bench.growth.waits import rebalance
from bench.on_stack import Servers, own_stack
from bench.peers.showing import machine
from bench.results_files import read_result

PARTS = ("points", "waits", "transactions", "model", "memory")
_WAITS = (4, 16, 64, 256)
_PRODUCERS = 8


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--axes", nargs="+", help="of the points; all where none is named")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn, about")
    parser.add_argument("--memory-minutes", type=float, default=2.0)
    parser.add_argument("--memory-rate", type=float, default=60.0, help="posts a second")
    parser.add_argument("--json", type=Path, help="write it here too; parts that are not measured stay as they are")
    args = parser.parse_args()
    began = time.monotonic()
    # Servers and workers are stopped then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    data = (read_result(args.json) if args.json is not None else None) or {}
    data |= {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "turns": args.turns}
    folder = Path(tempfile.mkdtemp(prefix="growth-"))
    print(f"logs in {folder}", file=sys.stderr)

    def keep(part: str, found: Any) -> None:
        data[part] = found
        if args.json is not None:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    for part in args.parts:
        if part == "points":
            _measure_points(args, folder, data.get(part, []), keep)
        else:
            keep(part, _measured(part, args, folder))
        print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(show(data))


def _measure_points(
    args: argparse.Namespace, folder: Path, before: list[dict[str, Any]], keep: Callable[[str, Any], None]
) -> None:
    """Measure the points of the axes that are wanted; those of others stay as they are."""
    points = [one for one in POINTS if args.axes is None or one.axis in args.axes]
    kept = [one for one in before if args.axes is not None and one["axis"] not in args.axes]
    _on(
        folder,
        lambda servers: measure(
            servers, points, args.turns, args.seconds, lambda found: keep("points", [*kept, *found])
        ),
    )


def _measured(part: str, args: argparse.Namespace, folder: Path) -> Any:
    """Measure one of the other parts."""
    if part == "model":
        return model.measure(args.turns)
    if part == "transactions":
        return [
            transactions.measure(folder / f"transactions-{brokers}", brokers, _PRODUCERS, args.seconds)
            for brokers in (1, 3)
        ]
    if part == "memory":
        return _on(folder, lambda servers: memory.over_time(servers, args.memory_minutes, args.memory_rate))
    return _on(folder, _waits)


async def _waits(servers: Servers) -> list[dict[str, Any]]:
    return [await rebalance(servers, partitions) for partitions in _WAITS]


def _on(folder: Path, work: Callable[[Servers], Coroutine[Any, Any, Any]]) -> Any:
    """Run work on servers of its own."""
    with own_stack(folder / "stack") as servers:
        return asyncio.run(work(servers))


if __name__ == "__main__":
    main()
