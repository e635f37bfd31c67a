"""The part of `docs/scaling.md` that benches give: how cost grows, what a rate needs, and plots of both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.capacity import showing as capacity
from bench.growth import showing as growth
from bench.plotting import Panel, lines
from bench.results_files import MISSING, read_result

_LOGARITHMIC = {"partitions": "x", "words": "x"}


def render(results: Path) -> str:
    """Return the part, from the results that are there; what is not there is said to be missing."""
    grown, planned = read_result(results / "growth.json"), read_result(results / "capacity.json")
    return "\n".join(
        [
            "## How cost grows",
            "`python -m bench.growth`: one thing at a time. The rest is 16 partitions, one worker, texts of 12 words,",
            "no pictures, no reposts. The device is only waited for; workers, broker, Redis and the load itself",
            "share this machine, so more workers do not mean more processors.",
            "",
            *(_grown(grown) if grown is not None else [MISSING, ""]),
            "## What a rate needs",
            "`python -m bench.capacity`, fitted to the figures above; `--help` names what a reader may say otherwise,",
            "prices among them. A device is what `bench/device_times.py` says, which is arithmetic: none was measured.",
            "Without prices, the cost of an hour is so many devices d, cores c and gigabytes of Redis g.",
            "",
            *(_planned(planned) if planned is not None else [MISSING, ""]),
        ]
    )


def _grown(grown: Mapping[str, Any]) -> list[str]:
    lines = []
    if _growth_panels(grown):
        lines += ["![Posts a second and processor time against one thing at a time](assets/growth.svg)", ""]
    lines += [growth.show(grown), ""]
    if _wait_panels(grown):
        lines += ["![Starts, rebalances and memory](assets/growth-waits.svg)", ""]
    return lines


def _planned(planned: Mapping[str, Any]) -> list[str]:
    return [capacity.show(planned), "", "![What a rate needs](assets/capacity.svg)", ""]


def plot(results: Path, assets: Path) -> list[Path]:
    """Draw what the results hold; return the files."""
    made: list[Path] = []
    if (grown := read_result(results / "growth.json")) is not None:
        if panels := _growth_panels(grown):
            made += lines(panels, assets / "growth", columns=4)
        if panels := _wait_panels(grown):
            made += lines(panels, assets / "growth-waits")
    if (planned := read_result(results / "capacity.json")) is not None:
        made += lines(_capacity_panels(planned), assets / "capacity", columns=2)
    return made


def _growth_panels(grown: Mapping[str, Any]) -> list[Panel]:
    panels = []
    for figure, title in (("posts_a_second", "posts a second"), ("processor_us", "µs of a worker's processor a post")):
        for name in ("partitions", "workers", "words", "pictures", "reposts"):
            points = [(float(point["at"]), figures[figure]) for point, figures in growth.axis(grown, name)]
            if points:
                panels.append(Panel(title, growth.TITLES[name], {"": points}, _LOGARITHMIC.get(name, "")))
    if "model" in grown:
        texts = [(one["tokens"], one["processor_us"]) for one in grown["model"]["texts"]]
        banks = [(one["posts"], one["processor_us"]) for one in grown["model"]["banks"]]
        panels.append(Panel("µs of processor a text", "tokens", {"": texts}))
        panels.append(Panel("µs of processor, heads, a post", "posts in the bank", {"": banks}, "x"))
    return panels


def _wait_panels(grown: Mapping[str, Any]) -> list[Panel]:
    panels = []
    if waits := grown.get("waits"):
        kinds = {"start": "start_seconds", "a second comes": "join_seconds", "it goes": "leave_seconds"}
        points = {name: [(one["partitions"], one[key]) for one in waits] for name, key in kinds.items()}
        panels.append(Panel("seconds without some partitions", "partitions of the topic", points, "x"))
    if memory := grown.get("memory"):
        samples = [(at, held) for at, held in memory["samples"]]
        panels.append(Panel("MB of a worker and its children", "minutes", {"": samples}))
    return panels


def _capacity_panels(planned: Mapping[str, Any]) -> list[Panel]:
    kinds = {"devices": "devices", "processes": "processes", "partitions": "partitions", "brokers": "brokers"}
    needs = {name: [(one["rate"], one[key]) for one in planned["plans"]] for name, key in kinds.items()}
    redis = [(one["rate"], max(one["redis_gb"], 0.1)) for one in planned["plans"]]
    return [
        Panel("how many", "posts a second", needs, "xy"),
        Panel("GB of Redis", "posts a second", {"": redis}, "xy"),
    ]
