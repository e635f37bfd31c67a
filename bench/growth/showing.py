"""The figures of growth as tables in Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

TITLES = {
    "partitions": "partitions of the topic",
    "workers": "workers, each with a device of its own",
    "words": "words of a text",
    "pictures": "share of posts with a new picture",
    "reposts": "share of posts seen before",
    "redis": "Redis (0 without)",
}
_COLUMNS = ("posts_a_second", "processor_us", "broker_us", "redis_us", "posts_a_transaction", "memory_mb")


def medians(point: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the median of each figure over a point's turns; None where it has none."""
    turns = point.get("turns")
    return {name: statistics.median(turn[name] for turn in turns) for name in turns[0]} if turns else None


def axis(data: Mapping[str, Any], name: str) -> list[tuple[Mapping[str, Any], dict[str, float]]]:
    """Return the points of an axis that gave figures, with these, in its order."""
    points = [one for one in data.get("points", ()) if one["axis"] == name]
    found = [(one, medians(one)) for one in sorted(points, key=lambda one: float(one["at"]))]
    return [(one, figures) for one, figures in found if figures is not None]


def show(data: Mapping[str, Any]) -> str:
    """Return tables of all that was measured."""
    turns = f"medians of {data['turns']} turns" if data["turns"] > 1 else "one turn"
    lines = [f"{data['date']}, {data['machine']}; {turns}."]
    for name, title in TITLES.items():
        if rows := axis(data, name):
            lines += ["", f"**{title}**", "", *_points_table(rows)]
    failed = [f"{one['axis']} {one['at']:g}" for one in data.get("points", ()) if "error" in one]
    lines += ["", f"Not measured, since they failed: {', '.join(failed)}."] if failed else []
    for part, table in (("waits", _waits), ("transactions", _transactions), ("model", _model), ("memory", _memory)):
        if part in data:
            lines += ["", *table(data[part])]
    return "\n".join(lines)


def _points_table(rows: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]]) -> list[str]:
    lines = [
        (
            "| | posts a second | µs of a worker's processor a post | of the broker's | of Redis's "
            "| posts a transaction | MB a worker |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for point, figures in rows:
        values = " | ".join(f"{figures[name]:,.0f}" for name in _COLUMNS)
        lines.append(f"| {float(point['at']):g} | {values} |")
    return lines


def _waits(waits: Sequence[Mapping[str, float]]) -> list[str]:
    lines = [
        "**A start, and a second worker that comes and goes**: seconds until all partitions are labelled",
        "",
        "| partitions | from a start | stand still when a second comes | when it goes |",
        "|---|---|---|---|",
    ]
    return lines + [
        f"| {one['partitions']} | {one['start_seconds']:.1f} | {one['join_seconds']:.1f} | {one['leave_seconds']:.1f} |"
        for one in waits
    ]


def _transactions(found: Sequence[Mapping[str, float]]) -> list[str]:
    lines = [
        "**Transactions** of three records and an offset, from producers that do nothing else",
        "",
        "| brokers, copies | producers | transactions a second | µs of the brokers' processors each |",
        "|---|---|---|---|",
    ]
    return lines + [
        f"| {one['brokers']} | {one['producers']} | {one['transactions_a_second']:,.0f} | {one['broker_us']:,.0f} |"
        for one in found
    ]


def _model(model: Mapping[str, Any]) -> list[str]:
    lines = ["**The shipped model on this processor**: µs of processor", "", "| what | µs |", "|---|---|"]
    lines += [
        f"| a text of {one['words']} words, {one['tokens']:.0f} tokens with padding | {one['processor_us']:,.0f} |"
        for one in model["texts"]
    ]
    lines.append(f"| a picture | {model['picture_us']:,.0f} |")
    return lines + [
        f"| the heads, a post, a bank of {one['posts']:,} | {one['processor_us']:,.0f} |" for one in model["banks"]
    ]


def _memory(found: Mapping[str, Any]) -> list[str]:
    first, last = found["samples"][len(found["samples"]) // 3][1], found["samples"][-1][1]
    return [
        (
            f"**Memory** of a worker and its children over {found['minutes']:g} minutes at {found['rate']:g} posts a "
            f"second, {found['labelled']:,} posts: {first:,.0f} MB after a third of it, {last:,.0f} MB in the end, "
            f"{growth(found['samples']):+.0f} MB an hour by least squares over the last two thirds."
        )
    ]


def growth(samples: Sequence[Sequence[float]]) -> float:
    """Return megabytes an hour over the last two thirds of the samples, by least squares."""
    late = samples[len(samples) // 3 :]
    middle = sum(at for at, _ in late) / len(late)
    mean = sum(held for _, held in late) / len(late)
    spread = sum((at - middle) ** 2 for at, _ in late)
    return 60 * sum((at - middle) * (held - mean) for at, held in late) / spread
