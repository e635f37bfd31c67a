"""What three copies of every record cost: `python -m bench.brokers`.

The worker on a device that is only waited for, on one broker and on three (copies on all, two of which must be
written), by turns, each time on fresh servers. All run on this machine, so three brokers also take three times the
processors of one.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.peers.showing import OURS, machine, medians, ratios
from bench.peers.turns import own_servers, turn

COUNTS = (1, 3)


def measure_all(turns: int, seconds: float, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of each turn by the number of brokers, as text."""
    found: dict[str, list[dict[str, Any]]] = {str(count): [] for count in COUNTS}
    for number in range(turns):
        for count in COUNTS:
            place = folder / f"{count}-{number}"
            place.mkdir()
            with own_servers(place, count) as servers:
                figures: dict[str, Any]
                try:
                    figures = asyncio.run(turn(OURS, "device", servers, seconds=seconds, number=number)).to_data()
                except RuntimeError as error:
                    figures = {"error": str(error)}
            found[str(count)].append(figures)
            print(f"turn {number + 1}, {count} brokers: {figures}", file=sys.stderr, flush=True)
    return found


def show(data: dict[str, Any]) -> str:
    """Return a table in Markdown."""
    found = data["brokers"]
    each = ratios(found["3"], found["1"])
    lines = [
        f"{data['date']}, {data['machine']}; medians of {data['turns']} turns.",
        "",
        "| brokers, copies | posts a second | p50, s | p99, s | CPU of the worker, µs a post |",
        "|---|---|---|---|---|",
    ]
    for count, turns in found.items():
        if (one := medians(turns)) is not None:
            lines.append(
                f"| {count} | {one['posts_a_second']:,.0f} | {one['p50_seconds']:.2f} | {one['p99_seconds']:.2f} | "
                f"{one['processor_us']:.0f} |"
            )
    if each:
        said = " ".join(f"{one:.2f}" for one in each)
        lines += ["", f"Three brokers ÷ one, posts a second: {statistics.median(each):.2f} ({said})."]
    return "\n".join(lines)


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each backlog, and of each half load")
    parser.add_argument("--json", type=Path, help="write it here too")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="brokers-"))
    data: dict[str, Any] = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "turns": args.turns}
    data["brokers"] = measure_all(args.turns, args.seconds, folder)
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(show(data))


if __name__ == "__main__":
    main()
