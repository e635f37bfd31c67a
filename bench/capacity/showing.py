"""The model, its errors and its plans as Markdown."""

from collections.abc import Mapping
from typing import Any

_TERMS = {
    "base": "a post",
    "text": "100 characters of its text",
    "picture": "a picture",
    "new": "a text not seen before",
    "transaction": "a transaction, shared by its posts",
    "with_picture": "more where a picture is among its posts",
}
_FIGURES = {"processor_us": "a worker", "broker_us": "the broker", "redis_us": "Redis"}
REMEDIES = {
    "a device": "more devices, or a smaller share of new texts",
    "a process": "`moderate run --processes N`, then more machines",
    "a partition": "more partitions: a label's partition is its post's, so make them before posts are written",
    "a broker": "more brokers, or fewer and larger transactions",
    "Redis's processor": "a Redis for each group of workers",
    "Redis's memory": "a shorter `MODERATE_REDIS__TTL_SECONDS`, or `maxmemory-policy allkeys-lru`: what is "
    "forgotten is computed again",
}
"""What to do when a thing is full."""


def show(data: Mapping[str, Any]) -> str:
    """Return the model's terms, its errors, and what rates need."""
    weights = data["weights"]
    lines = ["| µs of processor for | " + " | ".join(_FIGURES.values()) + " |", "|---|---|---|---|"]
    for term, title in _TERMS.items():
        cells = [f"{weights[figure][term]:,.0f}" if term in weights[figure] else "" for figure in _FIGURES]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"A process gives {data['busy']:.0%} of a core to that, and with the processes that decode pictures beside it",
        f"{data['beside']:.2f} cores to pictures: 10⁶ ÷ posts a second is",
        f"pictures ÷ {data['beside']:.2f} + the rest ÷ {data['busy']:.2f}.",
        "",
        "On points that the model was not fitted on:",
        "",
        "| | µs a post: measured, said | broker, µs a post: measured, said | posts a second: measured, said |",
        "|---|---|---|---|",
    ]
    by_point: dict[float, dict[str, Mapping[str, float]]] = {}
    for one in data["misses"]:
        by_point.setdefault(one["at"], {})[one["figure"]] = one
    for at, found in by_point.items():
        cells = [_miss(found[name]) for name in ("processor_us", "broker_us", "posts_a_second")]
        lines.append(f"| mixed {at:g} | " + " | ".join(cells) + " |")
    mix = data["mix"]
    lines += [
        "",
        (
            f"Posts of {mix['characters']:.0f} characters, {mix['pictures']:.0%} with a new picture, "
            f"{mix['reposts']:.0%} seen before, {mix['posts_a_transaction']:.0f} a transaction; nothing over "
            f"{data['wishes']['target']:.0%} in use; brokers of {data['wishes']['broker_cores']} cores, three copies; "
            f"embeddings kept for {data['wishes']['cache_hours']:g} hours:"
        ),
        "",
        (
            "| posts a second | devices | or cores for the model | processes | partitions | transactions a second "
            "| brokers | Redis, GB | Redises of that size | cost an hour |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_plan(one, data["wishes"]) for one in data["plans"]]
    lines += [
        "",
        "What of one of each is full first, and how many times over:",
        "",
        "| posts a second | first | second | third |",
        "|---|---|---|---|",
    ]
    for one in data["plans"]:
        cells = [f"{name}, {times:,.1f}" for name, times in one["full"]]
        lines.append(f"| {one['rate']:,.0f} | {' | '.join(cells)} |")
    named = dict.fromkeys(name for one in data["plans"] for name, _ in one["full"])
    lines += ["", "What to do then:", "", *(f"- {name}: {REMEDIES[name]}." for name in named)]
    return "\n".join(lines)


def _miss(one: Mapping[str, float]) -> str:
    error = one["said"] / one["measured"] - 1
    return f"{one['measured']:,.0f}, {one['said']:,.0f} ({error:+.0%})"


def _plan(one: Mapping[str, Any], wishes: Mapping[str, float]) -> str:
    cores = one["processes"] + one["brokers"] * wishes["broker_cores"]
    cost = f"{one['cost']:,.0f}" if one["cost"] else f"{one['devices']:,} d + {cores:,} c + {one['redis_gb']:,.0f} g"
    return (
        f"| {one['rate']:,.0f} | {one['devices']:,} | {one['model_cores']:,} | {one['processes']:,} | "
        f"{one['partitions']:,} | {one['transactions']:,.0f} | {one['brokers']:,} | {one['redis_gb']:,.0f} | "
        f"{one['redis_shards']:,} | {cost} |"
    )
