"""From the JSON of benches to the documentation: `python -m bench.figures`.

It writes the parts of `docs/figures.md` and `docs/scaling.md` between their two marks, and plots beside them, from what
stands in `bench/results/`. No figure of those parts is typed by hand.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import brokers, precision_tables, scaling
from bench.peers import showing
from bench.plotting import bars
from bench.results_files import MISSING, read_result

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "figures.md"
SCALING = ROOT / "docs" / "scaling.md"
ASSETS = ROOT / "docs" / "assets"
BEGIN = "<!-- from here to the next mark: python -m bench.figures -->"
END = "<!-- to here -->"


def render(results: Path) -> str:
    """Return the part of the page, from the results that are there."""
    lines: list[str] = []
    if (peers := read_result(results / "peers.json")) is not None:
        lines += [
            "## Beside what else one might build it from",
            "`python -m bench.peers --faults`: each program as its own documentation recommends it, in an environment",
            "of its own, on one broker, in turns ([how](../bench/README.md#beside-its-peers)).",
            "",
            showing.show(peers),
            "",
        ]
        if peers["loads"]:
            lines += ["![Posts a second of each program](assets/peers-speed.svg)", ""]
        if peers["faults"]:
            lines += ["![Posts lost and records too many of each program](assets/peers-faults.svg)", ""]
    if (found := read_result(results / "brokers.json")) is not None:
        lines += ["## Three brokers", "`python -m bench.brokers`", "", brokers.show(found), ""]
    if (chaos := read_result(results / "chaos-brokers.json")) is not None:
        lines += [
            (f"`python -m tests.chaos {_options(chaos['settings'])}`: one of them is killed and comes back"),
            "",
            _chaos_table(chaos),
            "",
        ]
    found = read_result(results / "precision.json")
    lines += [
        "## Precision on a CPU",
        "`python -m bench.precision DATA`: what [each setting](scaling.md#precision-on-a-cpu) costs and changes.",
        "",
        precision_tables.show(found) if found is not None else MISSING,
        "",
    ]
    return "\n".join(lines)


def renewed(page: str, part: str) -> str:
    """Return the page with a new part between its marks.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END} in the page")
    return f"{before}{BEGIN}\n{part}{END}{after}"


PARTS: dict[Path, Callable[[Path], str]] = {PAGE: render, SCALING: scaling.render}
"""Pages, and what gives the part between their marks."""


def plot(results: Path, assets: Path) -> list[Path]:
    """Draw what the results hold, as SVG and PNG; return the files."""
    peers = read_result(results / "peers.json")
    made: list[Path] = []
    if peers is not None and peers["loads"]:
        rates = {
            load: {name: one["posts_a_second"] for name, turns in by_name.items() if (one := showing.medians(turns))}
            for load, by_name in peers["loads"].items()
        }
        made += bars(rates, "posts a second", assets / "peers-speed", showing.OURS)
    if peers is not None and peers["faults"]:
        good = {name: one for name, one in peers["faults"].items() if "error" not in one}
        wrong = {
            title: {name: one[key] for name, one in good.items()}
            for title, key in (("posts lost", "lost"), ("records too many", "duplicated"))
        }
        made += bars(wrong, "under faults", assets / "peers-faults", showing.OURS)
    return made + scaling.plot(results, assets)


def _options(settings: Mapping[str, Any]) -> str:
    said = [f"--{name} {settings[name]}" for name in ("brokers", "seed", "minutes", "rate", "poison", "workers")]
    return " ".join([*said, *(f"--fault {kind}" for kind in settings["only"])])


def _chaos_table(chaos: Mapping[str, Any]) -> str:
    lines = ["| fault | times | longest stall, s |", "|---|---|---|"]
    lines += [f"| {kind} | {one['count']} | {one['longest_stall']:.1f} |" for kind, one in chaos["kinds"].items()]
    counts = chaos["counts"]
    lines += [
        "",
        (
            f"Of {counts['fed']:,} posts: lost {counts['lost']}, records too many {counts['duplicated']}, labels that "
            f"differ from a quiet run {counts['differing']} of {counts['compared']:,}. The longest standstill of a "
            f"partition, faults included: {chaos['longest_standstill']:.1f} s."
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    """Write the part and the plots."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for page, part in PARTS.items():
        page.write_text(renewed(page.read_text(encoding="utf-8"), part(RESULTS)), encoding="utf-8")
        print(page.relative_to(ROOT))
    print(*(file.relative_to(ROOT) for file in plot(RESULTS, ASSETS)), sep="\n")


if __name__ == "__main__":
    main()
