"""Plots as SVG and PNG; the same figures give the same file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS, OTHERS = "#2f6f9f", "#b9bec4"
_LINES = (OURS, "#c0702f", "#5a8f4a", "#8a5a9a", "#777777")


@dataclass(frozen=True)
class Panel:
    """One panel of lines.

    Args:
        title: over it.
        x: what the horizontal axis is.
        lines: name to points; unnamed where there is one alone.
        logarithmic: which axes are: of "x", "y", "xy" or "".
    """

    title: str
    x: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    logarithmic: str = ""


def bars(panels: Mapping[str, Mapping[str, float]], unit: str, target: Path, ours: str) -> list[Path]:
    """Draw a panel of horizontal bars for each entry; return the files."""
    rows = max(map(len, panels.values()))
    with _figure((4.2 * len(panels), 0.9 + 0.32 * rows), target) as (figure, files):
        for number, (title, values) in enumerate(panels.items(), 1):
            axes = figure.add_subplot(1, len(panels), number)
            names = [*values][::-1]
            colours = [OURS if name == ours else OTHERS for name in names]
            drawn = axes.barh(names, [values[name] for name in names], color=colours)
            axes.bar_label(drawn, fmt="{:,.0f}", padding=3)
            axes.set_title(f"{title} ({unit})", loc="left")
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.set_xticks([])
            axes.set_xlim(0, 1.2 * max(1, *values.values()))
    return files


def lines(panels: Sequence[Panel], target: Path, *, columns: int = 3) -> list[Path]:
    """Draw panels of lines, so many in a row; return the files."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with _figure((3.4 * columns, 2.6 * rows), target) as (figure, files):
        for number, panel in enumerate(panels, 1):
            axes = figure.add_subplot(rows, columns, number)
            for colour, (name, points) in zip(_LINES, panel.lines.items(), strict=False):
                across, up = zip(*points, strict=True)
                axes.plot(across, up, marker="o", markersize=3, color=colour, label=name)
            if "x" in panel.logarithmic:
                axes.set_xscale("log")
            if "y" in panel.logarithmic:
                axes.set_yscale("log")
            else:
                axes.set_ylim(bottom=0)
            axes.set_title(panel.title, loc="left")
            axes.set_xlabel(panel.x)
            axes.spines[["top", "right"]].set_visible(False)
            if len(panel.lines) > 1:
                axes.legend(frameon=False, fontsize=7)
    return files


@contextmanager
def _figure(size: tuple[float, float], target: Path) -> Iterator[tuple[Any, list[Path]]]:
    """Give a figure to draw into, and the files that it is written to after the block."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Fixed, so that the same figures give the same file.
    with rc_context({"svg.hashsalt": target.name, "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        files = [target.with_suffix(ending) for ending in (".svg", ".png")]
        yield figure, files
        for file in files:
            figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
