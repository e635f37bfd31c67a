"""What is shown of a run, the data of it, and several runs in one table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.progress import longest_standstill
from tests.chaos.run import Result
from tests.chaos.subjects import SESSION_SECONDS

# After a fault ends all partitions make progress again within this, a session time-out aside.
STALL_LIMIT_SECONDS = 15.0 + SESSION_SECONDS
_COUNTS = ("lost", "duplicated", "differing", "unexpected", "missing_dead_letters", "wrong_partition")
_TITLES = {
    "fed": "posts fed",
    "labelled": "labelled",
    "lost": "lost",
    "duplicated": "duplicated (records too many)",
    "differing": "labels that differ from the quiet run",
    "compared": "labels compared with the quiet run",
    "without_picture": "labels that say that their linked picture could not be had",
    "unexpected": "unexpected dead letters",
    "missing_dead_letters": "missing dead letters",
    "wrong_partition": "in another partition than their post",
}

Report = dict[str, Any]


def to_data(result: Result) -> Report:
    """Return a run as JSON has it; times in seconds, `stall` null where partitions did not recover."""
    outcome = result.outcome
    faults = [asdict(fault) for fault in result.faults]
    poisoned = {post.partition: post for post in result.feed.poison_posts}

    def aside(partition: int, at: float) -> bool:
        if partition >= result.settings.partitions:
            return True
        post = poisoned.get(partition)
        return post is not None and post.fed_at <= at and (post.passed_at is None or at <= post.passed_at + 1)

    recovered = all(fault["failed"] or _in_time(fault["stall"]) for fault in faults)
    return {
        "settings": asdict(result.settings),
        "ok": outcome.clean and result.settled and recovered,
        "clean": outcome.clean and result.settled,
        "recovered": recovered,
        "settled": result.settled,
        "seconds": round(result.seconds, 1),
        "faults": faults,
        "kinds": _by_kind(faults),
        "poison_stalls": result.poison_stalls,
        "longest_standstill": longest_standstill(result.progress.samples, aside),
        "counts": {name: getattr(outcome, name) for name in _TITLES},
        "dead_letters": dict(outcome.dead_lettered),
        "examples": dict(outcome.examples),
        "deaths": [asdict(death) | {"at": death.at - result.started} for death in result.deaths],
        "notes": result.notes,
        "peak_rss_bytes": result.peak_rss_bytes,
    }


def show(report: Report, console: Console) -> None:
    """Print a run."""
    settings = report["settings"]
    console.print("chaos: " + ", ".join(f"{name} {value}" for name, value in settings.items()))
    table = Table("at, s", "round", "fault", "on", "lasted, s", "stall after, s", title="faults injected")
    for fault in report["faults"]:
        lasted = f"{fault['end'] - fault['begin']:.1f}"
        number = "" if fault["round"] < 0 else str(fault["round"])
        on = f"not injected: {fault['failed']}" if fault["failed"] else fault["target"]
        table.add_row(f"{fault['begin']:.1f}", number, fault["kind"], on, lasted, _stall(fault["stall"]))
    console.print(table)
    _show_kinds(report["kinds"], report["poison_stalls"], console)
    _show_counts(report["counts"], report["dead_letters"], console)
    for kind, examples in report["examples"].items():
        console.print(f"{_TITLES[kind]}: {'; '.join(examples)}", markup=False)
    for note in report["notes"]:
        console.print(f"note: {note}", markup=False)
    for death in report["deaths"]:
        said = death["said"].splitlines()
        console.print(
            f"worker {death['worker']} ended at {death['at']:.1f} s with {death['code']}, {said[0]}", markup=False
        )
        if death["code"] >= 0:
            console.print("\n".join(f"    {line}" for line in said[1:]), markup=False)
    console.print(
        f"longest standstill of a partition with unread posts, faults included: {report['longest_standstill']:.1f} s; "
        f"largest worker {report['peak_rss_bytes'] / 2**20:.0f} MiB; {report['seconds']:.0f} s"
    )
    console.print(f"chaos: {'passed' if report['ok'] else 'FAILED'} (seed {settings['seed']})")


def show_summary(reports: Sequence[Report], console: Console) -> None:
    """Print several runs as one."""
    seeds = ", ".join(str(report["settings"]["seed"]) for report in reports)
    minutes = sum(report["seconds"] for report in reports) / 60
    passed = sum(bool(report["ok"]) for report in reports)
    subjects = ", ".join(sorted({report["settings"]["subject"] for report in reports}))
    console.print(f"{subjects}: {len(reports)} runs, {passed} passed, {minutes:.0f} minutes; seeds {seeds}")
    kinds = _by_kind([fault for report in reports for fault in report["faults"]])
    _show_kinds(kinds, [stall for report in reports for stall in report["poison_stalls"]], console)
    letters: dict[str, int] = {}
    for report in reports:
        for stage, number in report["dead_letters"].items():
            letters[stage] = letters.get(stage, 0) + number
    counts = {name: sum(report["counts"][name] for report in reports) for name in _TITLES}
    _show_counts(counts, letters, console)
    console.print(
        f"longest standstill, faults included: {max(report['longest_standstill'] for report in reports):.1f} s"
    )


def _by_kind(faults: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    kinds: dict[str, dict[str, Any]] = {}
    for fault in faults:
        if fault["failed"]:
            continue
        kind = kinds.setdefault(fault["kind"], {"count": 0, "longest_stall": 0.0, "unrecovered": 0})
        kind["count"] += 1
        if fault["stall"] is None:
            kind["unrecovered"] += 1
        else:
            kind["longest_stall"] = max(kind["longest_stall"], fault["stall"])
    return dict(sorted(kinds.items()))


def _show_kinds(
    kinds: Mapping[str, Mapping[str, Any]], poison_stalls: Sequence[float | None], console: Console
) -> None:
    table = Table("fault", "times", "longest stall, s", "not recovered", title="by kind")
    for name, kind in kinds.items():
        table.add_row(name, str(kind["count"]), f"{kind['longest_stall']:.1f}", str(kind["unrecovered"] or ""))
    if poison_stalls:
        longest = max((stall for stall in poison_stalls if stall is not None), default=0.0)
        unpassed = sum(stall is None for stall in poison_stalls)
        table.add_row("poison (its own partition)", str(len(poison_stalls)), f"{longest:.1f}", str(unpassed or ""))
    console.print(table)


def _show_counts(counts: Mapping[str, int], dead_letters: Mapping[str, int], console: Console) -> None:
    table = Table("", "count", title="what became of the posts")
    for name, title in _TITLES.items():
        table.add_row(title, str(counts[name]), style="bold red" if name in _COUNTS and counts[name] else "")
        if name == "labelled":
            for stage, number in sorted(dead_letters.items()):
                table.add_row(f"dead-lettered by {stage}", str(number))
    console.print(table)


def _stall(seconds: float | None) -> str:
    return "not recovered" if seconds is None else f"{seconds:.1f}"


def _in_time(stall: float | None) -> bool:
    return stall is not None and stall <= STALL_LIMIT_SECONDS
