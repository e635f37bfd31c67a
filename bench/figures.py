"""From the JSON of benches to the documentation: `python -m bench.figures`.

It writes the part of `docs/figures.md` between its two marks, and plots beside it, from what stands in
`bench/results/`. No figure of that part is typed by hand.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import brokers
from bench.peers import showing

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "figures.md"
ASSETS = ROOT / "docs" / "assets"
BEGIN = "<!-- from here to the next mark: python -m bench.figures -->"
END = "<!-- to here -->"
_OURS, _OTHERS = "#2f6f9f", "#b9bec4"


def render(results: Path) -> str:
    """Return the part of the page, from the results that are there."""
    lines: list[str] = []
    if (peers := _read(results / "peers.json")) is not None:
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
    if (found := _read(results / "brokers.json")) is not None:
        lines += ["## Three brokers", "`python -m bench.brokers`", "", brokers.show(found), ""]
    if (chaos := _read(results / "chaos-brokers.json")) is not None:
        lines += [
            (f"`python -m tests.chaos {_options(chaos['settings'])}`: one of them is killed and comes back"),
            "",
            _chaos_table(chaos),
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


def plot(results: Path, assets: Path) -> list[Path]:
    """Draw what the results hold, as SVG and PNG; return the files."""
    peers = _read(results / "peers.json")
    made: list[Path] = []
    if peers is not None and peers["loads"]:
        rates = {
            load: {name: one["posts_a_second"] for name, turns in by_name.items() if (one := showing.medians(turns))}
            for load, by_name in peers["loads"].items()
        }
        made += _bars(rates, "posts a second", assets / "peers-speed")
    if peers is not None and peers["faults"]:
        good = {name: one for name, one in peers["faults"].items() if "error" not in one}
        wrong = {
            title: {name: one[key] for name, one in good.items()}
            for title, key in (("posts lost", "lost"), ("records too many", "duplicated"))
        }
        made += _bars(wrong, "under faults", assets / "peers-faults")
    return made


def _bars(panels: Mapping[str, Mapping[str, float]], unit: str, target: Path) -> list[Path]:
    """Draw a panel of horizontal bars for each entry."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Fixed, so that the same figures give the same file.
    with rc_context({"svg.hashsalt": target.name, "svg.fonttype": "none", "font.size": 9}):
        rows = max(map(len, panels.values()))
        figure = Figure(figsize=(4.2 * len(panels), 0.9 + 0.32 * rows), layout="constrained")
        for number, (title, bars) in enumerate(panels.items(), 1):
            axes = figure.add_subplot(1, len(panels), number)
            names = [*bars][::-1]
            colours = [_OURS if name == showing.OURS else _OTHERS for name in names]
            drawn = axes.barh(names, [bars[name] for name in names], color=colours)
            axes.bar_label(drawn, fmt="{:,.0f}", padding=3)
            axes.set_title(f"{title} ({unit})", loc="left")
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.set_xticks([])
            axes.set_xlim(0, 1.2 * max(1, *bars.values()))
        files = [target.with_suffix(ending) for ending in (".svg", ".png")]
        for file in files:
            figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    return files


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


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Write the part and the plots."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), render(RESULTS)), encoding="utf-8")
    print(PAGE.relative_to(ROOT), *(file.relative_to(ROOT) for file in plot(RESULTS, ASSETS)), sep="\n")


if __name__ == "__main__":
    main()
