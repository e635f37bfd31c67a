"""The README's pictures. matplotlib is imported by whoever calls these."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from deploy.simulation.load import Array
from deploy.simulation.outcome import TARGET_SECONDS, lag_seconds
from deploy.simulation.scenarios import SPIKE, WAVE, Verdict
from deploy.simulation.search import Point
from deploy.simulation.simulate import Run

# Told apart in grey too, and by those who do not see red and green. The last one drawn is what matters.
_NAIVE = (("#d55e00", "-"), ("#009e73", "--"), ("#cc79a7", "-."), ("#8c8c8c", ":"))
_CHOSEN = {"color": "#0072b2", "linestyle": "-", "linewidth": 2.0}
_MARKERS = (("#d55e00", "o"), ("#009e73", "s"), ("#cc79a7", "v"))


def plot_scenario(runs: Sequence[Run], path: Path) -> None:
    """Draw one load under several settings: arrivals, lag and cost over time.

    Args:
        runs: of one load, each with its own settings; the chosen ones last.
        path: picture to write.
    """
    figure, (arrivals, lag, replicas, cost) = _figure(4, (9.0, 8.4))
    load = runs[0].load
    wave = load.name == WAVE
    start, end = (0, load.seconds) if wave else (load.disturbed[0] - 600, min(load.seconds, load.disturbed[1] + 4200))
    step = 60 if wave else 5
    unit, offset = (3600, 0) if wave else (60, load.disturbed[0])
    at = (np.arange(start, end, step) - offset) / unit
    arrivals.plot(at, _blocks(load.arrivals.sum(axis=1)[start:end], step).mean(axis=1), color="#333333")
    arrivals.set_ylabel("posts written\na second")
    for number, run in enumerate(runs):
        look = dict(_CHOSEN)
        if number < len(runs) - 1:
            colour, style = _NAIVE[number]
            look = {"color": colour, "linestyle": style, "linewidth": 1.0, "alpha": 0.85}
        look["label"] = run.settings.name
        worst = _blocks(lag_seconds(run).max(axis=1)[start:end], step).max(axis=1)
        lag.plot(at, np.maximum(worst, 0.5), **look)
        replicas.plot(at, _blocks(run.replicas[start:end], step).mean(axis=1), **look)
        cost.plot(at, np.cumsum(run.replicas[start:end])[step - 1 :: step] / 3600, **look)
    lag.axhline(TARGET_SECONDS, color="#aaaaaa", linewidth=0.8)
    lag.annotate("target, 60 s", (1.0, TARGET_SECONDS), xycoords=("axes fraction", "data"), xytext=(3, -3),
                 textcoords="offset points", fontsize=8, color="#777777")  # fmt: skip
    lag.set_yscale("log")
    lag.set_ylabel("lag of the slowest\npartition, seconds")
    replicas.set_ylabel("replicas\npaid for")
    cost.set_ylabel("cost so far,\nreplica hours")
    cost.set_xlabel(
        "hour of the day" if wave else f"minutes since the {'spike' if load.name == SPIKE else 'outage'} began"
    )
    for axes in (arrivals, lag, replicas, cost):
        axes.set_xlim(at[0], at[-1])
        if not wave:
            axes.axvspan(0, (load.disturbed[1] - offset) / unit, color="#f0e6d2", linewidth=0)
    figure.suptitle(f"{load.name}: {load.partitions} partitions", fontsize=11)
    figure.legend(*lag.get_legend_handles_labels(), loc="outside lower center", ncols=len(runs), frameon=False)
    figure.savefig(path)


def plot_search(points: Sequence[Point], chosen: Verdict, others: Sequence[Verdict], path: Path) -> None:
    """Draw cost against lag of all settings that were tried.

    Args:
        points: that recover in time.
        chosen: of them.
        others: naive ones, whether they recover or not.
        path: picture to write.
    """
    figure, (axes,) = _figure(1, (9.0, 4.6))
    for number, percent in enumerate(sorted({point.cpu_percent for point in points})):
        group = [point for point in points if point.cpu_percent == percent]
        axes.scatter(
            [point.replica_hours for point in group],
            [point.p99 for point in group],
            s=22,
            color=_MARKERS[number][0],
            marker=_MARKERS[number][1],
            alpha=0.7,
            linewidths=0,
            label=f"by lag and CPU at {percent} %" if percent else "by lag",
        )
    axes.scatter([chosen.cost], [chosen.wave.p99], s=150, facecolors="none", edgecolors="black", label="chosen")
    for verdict in others:
        if verdict.cost < 400 and verdict.wave.p99 < 1000:
            axes.scatter([verdict.cost], [verdict.wave.p99], color="#8c8c8c", marker="x", s=45)
            axes.annotate(verdict.settings.name, (verdict.cost, verdict.wave.p99), xytext=(6, 4),
                          textcoords="offset points", fontsize=8)  # fmt: skip
    axes.axhline(TARGET_SECONDS, color="#aaaaaa", linewidth=0.8)
    axes.set(xlabel="cost of the daily wave, replica hours", ylabel="99th percentile of the\nwave's lag, seconds")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_ticks(axes)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path)


def plot_validation(measured: Mapping[str, Array], simulated: Mapping[str, Array], title: str, path: Path) -> None:
    """Draw a real run's lag beside the simulated one.

    Args:
        measured, simulated: `at` in seconds and `posts` that wait.
        title: what was run, and the error.
        path: picture to write.
    """
    figure, (axes,) = _figure(1, (9.0, 3.8))
    axes.plot(measured["at"], measured["posts"], color=_NAIVE[0][0], label="measured")
    axes.plot(simulated["at"], simulated["posts"], color=_CHOSEN["color"], linestyle="--", label="simulated")
    axes.set(xlabel="seconds since the burst", ylabel="posts that wait", title=title, ylim=(0, None), xlim=(0, None))
    axes.title.set_fontsize(10)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path)


def _figure(rows, size):  # type: ignore[no-untyped-def]  # matplotlib's types are imported late
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({
        "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
        "savefig.dpi": 110,
    })  # fmt: skip
    figure, axes = plt.subplots(rows, 1, figsize=size, layout="constrained", sharex=True, squeeze=False)
    return figure, list(axes[:, 0])


def _plain_ticks(axes):  # type: ignore[no-untyped-def]
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.set_xticks([50, 60, 70, 80, 100, 150, 200, 300])
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100])


def _blocks(values: Array, step: int) -> Array:
    """Cut a series into rows of `step`, [t] -> [t / step, step]."""
    return np.asarray(values)[: len(values) // step * step].reshape(-1, step)
