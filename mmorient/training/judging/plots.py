"""Pictures of a training: its loss and scores over steps, and how well its answers are calibrated. PNG files.

matplotlib comes with the extra ``train`` and is imported where it is used. Its figures are made without pyplot: they
draw with Agg, need no screen and leave no state behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmorient.errors import DataError
from mmorient.training.judging.metrics import Bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4
_FEW = 10
_PANEL_INCHES = 2.6
_PLACES = ("step", "epoch")


def learning_curves(metrics: Path, out: Path) -> None:
    """Draw the loss over steps on the left, the validation scores on the right.

    Args:
        metrics: ``metrics.jsonl`` of a training, which may still be running.
        out: PNG to write.

    Raises:
        DataError: Nothing was noted yet, or a line is not one of a training's.
    """
    from matplotlib.figure import Figure

    losses, scores = _curves(metrics)
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    # A line needs two points; of a short run each is to be seen.
    marker = "o" if len(losses) < _FEW else None
    left.plot(list(losses), list(losses.values()), color="tab:blue", marker=marker)
    left.set(title="Training loss", xlabel="step", ylabel="loss")
    for number, (name, points) in enumerate(scores.items()):
        style = {"color": f"C{number % 10}", "linestyle": "-" if number < 10 else "--", "linewidth": 1.2}
        if name == "score":
            style = {"color": "black", "linewidth": 2.5}
        right.plot(list(points), list(points.values()), marker="o", markersize=3.5, label=name, **style)
    right.set(title="Validation", xlabel="step", ylabel="percent")
    if scores:
        # Beside the panel: eight curves leave no room within.
        right.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    else:
        right.text(0.5, 0.5, "no validation yet", ha="center", transform=right.transAxes)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(out, dpi=120, format="png")


def _curves(metrics: Path) -> tuple[dict[int, float], dict[str, dict[int, float]]]:
    """Loss by step, and by measure its percent by step."""
    losses: dict[int, float] = {}
    scores: dict[str, dict[int, float]] = {}
    try:
        # What follows the last line break is still being written.
        whole = metrics.read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError as error:
        raise DataError(f"{metrics}: is missing") from error
    for number, line in enumerate(whole, 1):
        try:
            values = json.loads(line)
            step = int(values["step"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{metrics}:{number}: no line of a training") from error
        # A training that resumes takes some steps again: the later line of a step holds.
        if "loss" in values:
            losses[step] = values["loss"]
        else:
            for name in values.keys() - set(_PLACES):
                scores.setdefault(name, {})[step] = values[name]
    if not losses and not scores:
        raise DataError(f"{metrics}: nothing was noted yet")
    return dict(sorted(losses.items())), {name: dict(sorted(points.items())) for name, points in sorted(scores.items())}


def reliability_diagram(curves: Mapping[str, tuple[Sequence[Bin], Sequence[Bin]]], out: Path) -> None:
    """Draw one panel a key: how often answers are right by how sure they are, before and after calibration.

    Bins of a few posts, which say nothing, are left out where there are others.

    Args:
        curves: Title, such as ``text sarcasm``, to the bins before and after; at least one.
        out: PNG to write.
    """
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(_PANEL_INCHES * max(columns, 2), _PANEL_INCHES * rows + 0.5), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, (title, (before, after)) in zip(panels, curves.items(), strict=False):
        _reliability(panel, title, before, after)
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
    figure.supxlabel("confidence", fontsize="medium")
    figure.supylabel("share right", fontsize="medium")
    figure.savefig(out, dpi=120, format="png")


def _reliability(panel: Axes, title: str, before: Sequence[Bin], after: Sequence[Bin]) -> None:
    panel.plot((0, 1), (0, 1), color="grey", linestyle="--", linewidth=1, label="perfect")
    for bins, name, colour, marker in ((before, "before", "tab:orange", "s"), (after, "after", "tab:blue", "o")):
        firm = [one for one in bins if one.posts >= _FEW] or bins
        confidence, accuracy = [one.confidence for one in firm], [one.accuracy for one in firm]
        panel.plot(confidence, accuracy, color=colour, marker=marker, markersize=3.5, linewidth=1.3, label=name)
    panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    panel.set_title(title, fontsize="medium")
    panel.grid(alpha=0.3)
