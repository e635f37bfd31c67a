"""The figures as a table in Markdown, for the terminal and for the documentation."""

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers.peers import PEERS

OURS = "moderate"
_PROMISES = {OURS: "exactly once"} | {one.name: one.promise for one in PEERS}
_LOADS = {
    "device": "new texts, a device that is waited for",
    "cold": "new texts, the shipped model",
    "cached": "a thousand texts in turns, the shipped model",
}


def machine() -> str:
    """Return what this machine is, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    names = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    name = names[0].partition(":")[2].strip() if names else "an unnamed processor"
    return f"{os.cpu_count()} cores of {name}, {memory:.0f} GB, load {os.getloadavg()[0]:.1f} at the start"


def medians(turns: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Return the median of each figure over the turns that gave any; None where none did."""
    good = [one for one in turns if "error" not in one]
    return {key: statistics.median(one[key] for one in good) for key in good[0]} if good else None


def ratios(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return ours over theirs, posts a second, turn by turn."""
    pairs = zip(ours, theirs, strict=True)
    return [
        one["posts_a_second"] / other["posts_a_second"]
        for one, other in pairs
        if "error" not in one and "error" not in other
    ]


def show(data: Mapping[str, Any]) -> str:
    """Return tables of all that was measured."""
    lines = [f"All have batches of {data['batch']} and {data['partitions']} partitions."]
    for load, by_name in data["loads"].items():
        said = data["measured"][load]
        turns = f"medians of {said['turns']} turns" if said["turns"] > 1 else "one turn"
        lines += ["", f"**{_LOADS[load]}**: {said['date']}, {said['machine']}; {turns}", "", *_load_table(by_name)]
    if data["faults"]:
        lines += ["", _fault_title(data), "", *_fault_table(data["faults"])]
    return "\n".join(lines)


def _load_table(by_name: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    lines = [
        "| | promise | posts a second | ours ÷ it (each turn) | p50, s | p99, s | CPU, µs a post | MB | repeats |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, turns in by_name.items():
        found = medians(turns)
        if found is None:
            lines.append(f"| {name} | {_PROMISES[name]} | failed | | | | | | |")
            continue
        each = ratios(by_name[OURS], turns) if OURS in by_name and name != OURS else []
        ratio = f"{statistics.median(each):.2f} ({' '.join(f'{one:.2f}' for one in each)})" if each else ""
        lines.append(
            f"| {name} | {_PROMISES[name]} | {found['posts_a_second']:,.0f} | {ratio} | {found['p50_seconds']:.2f} | "
            f"{found['p99_seconds']:.2f} | {found['processor_us']:.0f} | {found['memory_mb']:.0f} | "
            f"{found['repeats']:.0f} |"
        )
    return lines


def _fault_title(data: Mapping[str, Any]) -> str:
    said = data["fault_settings"]
    return (
        f"**{said['minutes']:g} minutes of faults, seed {said['seed']}, {said['rate']:g} posts a second**: "
        f"{said['date']}, {said['machine']}"
    )


def _fault_table(faults: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        "| | posts | lost | records too many | all labelled in the end | longest standstill, s | faults |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in faults.items():
        if "error" in one:
            lines.append(f"| {name} | no report | | | | | |")
            continue
        injected = ", ".join(f"{number} {kind}" for kind, number in one["faults"].items())
        lines.append(
            f"| {name} | {one['fed']:,} | {one['lost']} | {one['duplicated']} | {'yes' if one['settled'] else 'no'} | "
            f"{one['longest_standstill_seconds']:.1f} | {injected} |"
        )
    return lines
