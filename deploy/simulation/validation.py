"""The simulation against a real run: the record of `measure`, and what the same posts and workers give here."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from deploy.simulation.figures import Figures
from deploy.simulation.load import Array, Load
from deploy.simulation.outcome import lag_posts
from deploy.simulation.simulate import replay

Curve = dict[str, Array]


def compare(path: Path) -> tuple[Curve, Curve, float]:
    """Return the measured and the simulated curve of waiting posts, and their mean difference as a share of the peak.

    What is taken from the record: when posts were written, one worker's speed just before, when the second worker was
    started and stopped, and how long that took. What follows is compared: turns, pauses, the session's end, the lag.

    Args:
        path: JSON of `deploy.simulation.measure`.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    burst = record["burst"]
    measured = _measured(burst)
    happened = {what: at for at, what in burst["events"]}
    started, stopped = happened["second process started"], happened["second told to stop"]
    figures = replace(
        Figures.load(),
        posts_per_second=burst["posts_per_second_one_worker"],
        start_seconds=happened["second ready"] - started,
        schedule_seconds=0.0,
        drain_seconds=happened["second ended"] - stopped,
        session_timeout_seconds=record["session_timeout_seconds"],
    )
    load = _load(burst, round(measured["at"][-1]))
    run = replay(load, figures, {0: 1, round(started): 2, round(stopped): 1})
    simulated = {"at": np.arange(1.0, load.seconds + 1), "posts": lag_posts(run)}
    there = np.interp(measured["at"], simulated["at"], simulated["posts"])
    error = float(np.abs(there - measured["posts"]).mean() / measured["posts"].max())
    return measured, simulated, error


def _measured(burst: dict[str, Any]) -> Curve:
    at = np.array([sample for sample, _ in burst["committed"]])
    labelled = np.array([sum(offsets) for _, offsets in burst["committed"]], dtype=np.float64)
    written = np.searchsorted(np.sort([moment for moment, _ in burst["written"]]), at, side="right")
    return {"at": at, "posts": written - labelled}


def _load(burst: dict[str, Any], seconds: int) -> Load:
    partitions = len(burst["committed"][0][1])
    arrivals = np.zeros((seconds, partitions))
    for at, partition in burst["written"]:
        arrivals[min(seconds - 1, int(at)), partition] += 1
    return Load("burst", arrivals, np.zeros(seconds, dtype=np.bool_), (0, seconds))
