"""Probabilities that keep their word, and who wins: fitted on validation posts, by head and by set of modalities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mmorient.config import Calibration, HeadCalibration
from mmorient.labels import TASKS
from mmorient.moderator import Moderator
from mmorient.network.mm_orient import task_heads
from mmorient.training.data.examples import VAL, Example
from mmorient.training.judging.evaluating import post_of
from mmorient.training.judging.metrics import (
    Bin,
    calibration_error,
    f1_scores,
    macro_f1,
    macro_recall,
    reliability_bins,
)

# What texts alone are calibrated on where the set is there: its labels were given to the words alone.
_TEXT_SOURCES = {"sentiment": "sentiment", "sarcasm": "irony", "offensiveness": "offensive"}
_CHUNK = 256
_RESAMPLES, _GRID = 40, 49

Objective = Callable[[NDArray[np.int64], NDArray[np.int64], int], float]


def _f1(truth: NDArray[np.int64], answer: NDArray[np.int64], classes: int) -> float:
    return float(f1_scores(truth, answer, classes)[1])


# What thresholds are chosen for, where it is not the macro-F1: what the sets' own benchmark (TweetEval) counts.
_OBJECTIVES: dict[tuple[str, str], Objective] = {("text", "sarcasm"): _f1, ("text", "sentiment"): macro_recall}


@dataclass(frozen=True, slots=True)
class Fit:
    """One head with one set of modalities.

    Attributes:
        before: Expected calibration error of the raw outputs.
        after: Of the calibrated ones, each half of the posts calibrated by what was fitted on the other.
        bins_before: Confidence and accuracy.
        bins_after: The same after.
    """

    modalities: str
    head: str
    posts: int
    scaling: HeadCalibration
    before: float
    after: float
    bins_before: list[Bin]
    bins_after: list[Bin]


def calibrate(moderator: Moderator, examples: Sequence[Example]) -> tuple[Calibration, list[Fit]]:
    """Fit all scalings and thresholds on the validation splits.

    Args:
        moderator: The checkpoint whose outputs are calibrated; its own calibration is not looked at.
        examples: All; only the val split is used.
    """
    fits = []
    validation = [example for example in examples if example.split == VAL]
    for modalities in ("text", "image", "text+image"):
        members = [example for example in validation if _has(example, modalities)]
        outputs = _outputs(moderator, members, modalities)
        for head in task_heads():
            rows = _rows(members, modalities, head)
            if rows:
                logits = torch.tensor([outputs[row][head] for row in rows])
                targets = torch.tensor([members[row].targets[head] for row in rows])
                sources = [members[row].source for row in rows]
                fits.append(fit(modalities, head, logits, targets, sources))
    heads: dict[str, dict[str, HeadCalibration]] = {}
    for one in fits:
        heads.setdefault(one.modalities, {})[one.head] = one.scaling
    return Calibration(heads=heads), fits


def describe(one: Fit) -> str:
    """One line."""
    bars = " ".join(f"{value:.2f}" for value in one.scaling.thresholds or ())
    return (
        f"{one.modalities:10} {one.head:21} {one.posts:5} posts"
        f"  ECE {100 * one.before:5.1f} -> {100 * one.after:4.1f} %  temperature {one.scaling.temperature:.2f}"
        + (f"  thresholds {bars}" if bars else "")
    )


def fit(modalities: str, head: str, logits: Tensor, targets: Tensor, sources: Sequence[str]) -> Fit:
    """Fit one head: ``[n, classes]``, int64 ``[n]``, and the set that each post is of."""
    scaling = fit_scaling(logits, targets, sources)
    raw = logits.softmax(-1).double().numpy()
    held_out = np.zeros_like(raw)
    for half in (0, 1):
        other = slice(1 - half, None, 2)
        learned = fit_scaling(logits[other], targets[other], sources[other]) if len(targets) > 1 else scaling
        held_out[half::2] = _scaled(logits[half::2], learned)
    truth = targets.numpy()
    if head in TASKS:
        objective = _OBJECTIVES.get((modalities, head), macro_f1)
        thresholds = choose_thresholds(_scaled(logits, scaling), truth, objective, sources)
        scaling = scaling.model_copy(update={"thresholds": thresholds})
    return Fit(
        modalities,
        head,
        len(truth),
        scaling,
        calibration_error(truth, raw),
        calibration_error(truth, held_out),
        reliability_bins(truth, raw),
        reliability_bins(truth, held_out),
    )


def fit_scaling(logits: Tensor, targets: Tensor, sources: Sequence[str]) -> HeadCalibration:
    """Fit ``logits / temperature + bias`` by likelihood (vector scaling with one slope; Guo et al. 2017).

    Args:
        logits: ``[n, classes]``.
        targets: int64 ``[n]``.
        sources: The set that each post is of; all sets count alike.
    """
    counts = Counter(sources)
    weights = torch.tensor([len(sources) / (len(counts) * counts[source]) for source in sources])
    heat = torch.zeros(1, requires_grad=True)
    bias = torch.zeros(logits.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([heat, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        losses = functional.cross_entropy(logits / heat.exp() + bias, targets, reduction="none")
        loss: Tensor = (losses * weights).mean()
        loss = loss + 1e-3 * (heat**2).sum() + 1e-4 * (bias**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    centred = (bias - bias.mean()).tolist()
    return HeadCalibration(temperature=round(heat.exp().item(), 4), bias=tuple(round(value, 4) for value in centred))


def choose_thresholds(
    shares: NDArray[np.float64], truth: NDArray[np.int64], objective: Objective, sources: Sequence[str]
) -> tuple[float, ...]:
    """Thresholds that serve an objective, each set counting alike.

    What is best on the mean of many resamples of the posts: the best of the posts themselves would be chance. Of the F1
    of one class, halfway back to where the most probable class wins: the best there hangs on how many posts have that
    class, and sets are gathered to have many.

    Args:
        shares: ``[n, classes]``.
        truth: ``[n]``.
        objective: Of truth, answer and the number of classes.
        sources: The set that each post is of.
    """
    classes = shares.shape[1]
    random = np.random.default_rng(0)
    places = [np.flatnonzero(np.array(sources) == name) for name in dict.fromkeys(sources)]
    draws = [random.choice(own, len(own)) for _ in range(_RESAMPLES) for own in places]
    logs = np.log(np.maximum(shares, 1e-9))
    # The class with the most posts stays where it is; offsets are of the log odds.
    anchor = int(np.bincount(truth, minlength=classes).argmax())
    offsets = np.zeros(classes)
    for _ in range(1 if classes == 2 else 2):
        for label in (one for one in range(classes) if one != anchor):
            margins = np.delete(logs + offsets, label, axis=1).max(1) - logs[:, label]
            grid = np.append(np.quantile(margins, np.linspace(0.02, 0.98, _GRID)), offsets[label])
            scores = []
            for offset in grid:
                offsets[label] = offset
                answer = (logs + offsets).argmax(1)
                scores.append(np.mean([objective(truth[drawn], answer[drawn], classes) for drawn in draws]))
            offsets[label] = grid[int(np.argmax(scores))]
    bars = np.exp(-offsets * (0.5 if objective is _f1 else 1))
    return tuple(round(float(value), 4) for value in bars / bars.sum())


def _scaled(logits: Tensor, scaling: HeadCalibration) -> NDArray[np.float64]:
    values: NDArray[np.float64] = (
        (logits.double() / scaling.temperature + torch.tensor(scaling.bias, dtype=torch.float64)).softmax(-1).numpy()
    )
    return values


def _has(example: Example, modalities: str) -> bool:
    return (bool(example.text.strip()) or "text" not in modalities) and (
        example.picture is not None or "image" not in modalities
    )


def _rows(members: Sequence[Example], modalities: str, head: str) -> list[int]:
    """Those that teach a head: with texts alone, posts that never had a picture where there are any."""
    rows = [row for row, example in enumerate(members) if head in example.targets]
    if modalities == "text":
        bare = [row for row in rows if members[row].picture is None]
        preferred = [row for row in bare if members[row].source == _TEXT_SOURCES.get(head)]
        return preferred or bare or rows
    return rows


def _outputs(moderator: Moderator, members: Sequence[Example], modalities: str) -> list[dict[str, list[float]]]:
    outputs: list[dict[str, list[float]]] = []
    for start in range(0, len(members), _CHUNK):
        posts = [post_of(example, modalities, moderator.picture_frame) for example in members[start : start + _CHUNK]]
        outputs += moderator.logits(moderator.embed(posts))
    return outputs
