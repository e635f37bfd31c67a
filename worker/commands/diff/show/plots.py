"""Plots of a page: SVG in data URLs, with the same bytes for the same figures, readable in grey."""

import base64
from collections.abc import Sequence
from io import StringIO
from itertools import pairwise
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from worker.commands.diff.compare.report import AgreementBin, ChangeHistogram, Histogram, ReliabilityBin

# At 96 pixels an inch, a plot is narrower than a telephone.
_INCHES = (3.45, 2.5)
_LEFT, _RIGHT, _INK = "#8a8577", "#1f5f99", "#33312d"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "moderate diff",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.edgecolor": "#b5b0a5",
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Class names come from files that may be written by anyone.
    "text.parse_math": False,
}


def scores(histogram: Histogram, name: str) -> str:
    """Draw how many posts have which probability of a class, on the left and on the right."""
    with rc_context(_STYLE):
        figure, axes = _panel(f"probability of {name}", "posts", "Scores")
        axes.stairs(histogram.left, histogram.edges, fill=True, color=_LEFT, alpha=0.45, label="left")
        axes.stairs(histogram.right, histogram.edges, color=_RIGHT, linewidth=1.6, label="right")
        axes.set_xlim(0, 1)
        _counts(axes)
        return _url(figure, axes)


def changes(histogram: ChangeHistogram, name: str) -> str:
    """Draw how many posts' probability of a class changed by how much, on a logarithmic scale."""
    with rc_context(_STYLE):
        figure, axes = _panel(
            f"change of the probability of {name}", "posts (log scale)", "Score shift, right minus left"
        )
        axes.stairs(histogram.posts, histogram.edges, fill=True, color=_RIGHT, alpha=0.7)
        axes.axvline(0, color=_INK, linewidth=0.8, linestyle=":")
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0, 3 * max(1, *histogram.posts))
        filled = [pair for pair, count in zip(pairwise(histogram.edges), histogram.posts, strict=True) if count]
        end = _end([abs(edge) for pair in filled for edge in pair])
        axes.set_xlim(-end, end)
        axes.set_xticks([-end, -end / 2, 0, end / 2, end])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
        _counts(axes)
        return _url(figure, None)


def agreement(bins: Sequence[AgreementBin]) -> str:
    """Draw how often the right agrees with the left, by the probability that the left gives its label."""
    with rc_context(_STYLE):
        figure, axes = _panel("left's probability of its label", "", "Right against left")
        sure = [one.confidence for one in bins]
        _diagonal(axes)
        axes.plot(sure, [one.agrees for one in bins], "o-", color=_RIGHT, markersize=4, label="share that agrees")
        axes.plot(
            sure,
            [one.right_probability for one in bins],
            "s--",
            color=_LEFT,
            markersize=3.5,
            label="right's probability",
        )
        return _url(figure, axes)


def reliability(left: Sequence[ReliabilityBin], right: Sequence[ReliabilityBin]) -> str:
    """Draw how often labels are correct, by the probability that each side gives them."""
    with rc_context(_STYLE):
        figure, axes = _panel("probability of the label", "share that people agree with", "Reliability")
        _diagonal(axes)
        for bins, name, colour, style in ((left, "left", _LEFT, "s--"), (right, "right", _RIGHT, "o-")):
            points = [one.confidence for one in bins], [one.accuracy for one in bins]
            axes.plot(*points, style, color=colour, markersize=3.8, label=name)
        return _url(figure, axes)


def _end(reached: Sequence[float]) -> float:
    """Return the end of an axis of changes: the smallest of a few that no change exceeds."""
    return next((end for end in (0.1, 0.2, 0.5) if all(one < end + 1e-9 for one in reached)), 1.0)


def _panel(across: str, up: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.grid(color="#e7e4dd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _diagonal(axes: Axes) -> None:
    axes.plot((0, 1), (0, 1), color=_INK, linewidth=0.8, linestyle=":")
    axes.set(xlim=(0, 1), ylim=(0, 1.03))


def _counts(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _url(figure: Figure, legend: Axes | None) -> str:
    if legend is not None:
        legend.legend(loc="best", frameon=False, fontsize=7.5)
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(text.getvalue().encode()).decode()}"
