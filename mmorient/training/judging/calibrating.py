"""Probabilities that keep their word, fitted on validation posts, by head and by set of modalities.

The probabilities of a task are stated for one share of its classes, whatever the modalities: a set whose shares are
others, as a set of memes of which four in five are sarcastic, counts as if it had these (prior shift; Saerens et al.
2002). So a number means the same of a tweet with a picture and without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mmorient.config import Calibration, HeadCalibration
from mmorient.labels import DEGREES, TASKS
from mmorient.moderator import Moderator
from mmorient.network.mm_orient import task_heads
from mmorient.training.config import DEGREE_SHARES, SHARES
from mmorient.training.data.examples import VAL, Example
from mmorient.training.judging.evaluating import posts_of
from mmorient.training.judging.metrics import Bin, calibration_error, reliability_bins, share_weights
from mmorient.training.judging.photos import with_photos

# What texts are calibrated on where the set is there: its labels were given to the words alone.
_TEXT_SOURCES = {"sentiment": "sentiment", "sarcasm": "irony", "offensiveness": "offensive"}
LEAST_POSTS = 20
_FREE, _HELD = 1e-4, 1.0  # penalties on squared biases, beside the mean loss of a post


@dataclass(frozen=True, slots=True)
class Fit:
    """One head with one set of modalities.

    Attributes:
        posts: Validation posts with a label.
        scaling: What is written; the one that was there where ``fitted`` is false.
        fitted: Whether there were enough posts of every class.
        rarest: Posts of the rarest class.
        before: Expected calibration error of the raw outputs, of posts weighted to the shares.
        after: Of the calibrated ones, each half of the posts calibrated by what was fitted on the other.
        bins_before: Confidence and accuracy.
        bins_after: The same after.
    """

    modalities: str
    head: str
    posts: int
    scaling: HeadCalibration
    fitted: bool
    rarest: int
    before: float
    after: float
    bins_before: list[Bin]
    bins_after: list[Bin]


def calibrate(
    moderator: Moderator,
    examples: Sequence[Example],
    shares: Mapping[str, Sequence[float]] | None = None,
    *,
    least: int = LEAST_POSTS,
) -> tuple[Calibration, list[Fit]]:
    """Fit all scalings on the validation splits.

    Posts of texts alone are shown with ordinary pictures too: so numbers with a picture are those of tweets as well as
    of memes. There, a task's biases stay near those that were there, none at first: it was trained for the shares. A
    checkpoint that has been calibrated follows one set of posts freely.

    Args:
        moderator: The checkpoint whose outputs are calibrated. Its own scaling stays where there are too few posts.
        examples: All; only the val split is used.
        shares: Task to the share of each class that its probabilities are stated for; what it does not name stays
            as the checkpoint has it, or else as ``SHARES`` says.
        least: Posts that every class of a head must have.
    """
    before = moderator.calibration
    wanted = {**SHARES, **DEGREE_SHARES, **before.shares, **(shares or {})}
    validation = [example for example in examples if example.split == VAL]
    fits = []
    for modalities in ("text", "image", "text+image"):
        members = [example for example in validation if _has(example, modalities)]
        if modalities == "text+image":
            bare = [one for one in validation if one.source in _TEXT_SOURCES.values() and one.picture is None]
            members += with_photos(bare, validation)
        outputs = _outputs(moderator, members, modalities)
        for head in task_heads():
            rows = _rows(members, modalities, head)
            if rows:
                logits = torch.tensor([outputs[row][head] for row in rows])
                targets = torch.tensor([members[row].targets[head] for row in rows])
                sources = [members[row].source for row in rows]
                kept = before.heads.get(modalities, {}).get(head)
                near = None
                # A task of memes says so little that a small bias, which tweets ask for, would decide all its labels.
                if "image" in modalities and head in TASKS and (kept is None or len(set(sources)) > 1):
                    biases = None if kept is None else kept.bias
                    near = _moved(biases or (0.0,) * logits.shape[1], before.shares.get(head), wanted.get(head))
                one = fit(modalities, head, logits, targets, sources, wanted.get(head), near=near, least=least)
                if not one.fitted:
                    one = replace(one, scaling=kept or HeadCalibration(), after=one.before, bins_after=one.bins_before)
                fits.append(one)
    heads: dict[str, dict[str, HeadCalibration]] = {name: dict(own) for name, own in before.heads.items()}
    for one in fits:
        heads.setdefault(one.modalities, {})[one.head] = one.scaling
    return Calibration(heads=heads, shares={task: tuple(wanted[task]) for task in TASKS if task in wanted}), fits


def describe(one: Fit) -> str:
    """One line."""
    head = f"{one.modalities:10} {one.head:21} {one.posts:5} posts"
    if not one.fitted:
        return f"{head}  kept as it was: {one.rarest} posts of the rarest class, {LEAST_POSTS} are needed"
    return f"{head}  ECE {100 * one.before:5.1f} -> {100 * one.after:4.1f} %  temperature {one.scaling.temperature:.2f}"


def fit(  # noqa: PLR0917 - what a fit is of, in the order in which one says it
    modalities: str,
    head: str,
    logits: Tensor,
    targets: Tensor,
    sources: Sequence[str],
    shares: Sequence[float] | None = None,
    *,
    near: Sequence[float] | None = None,
    least: int = LEAST_POSTS,
) -> Fit:
    """Fit one head: ``[n, classes]``, int64 ``[n]``, the set that each post is of, and the shares of the classes.

    The fit stays near the biases ``near``, if any are given. Where a class has fewer posts than ``least``, nothing is
    fitted: a handful of posts may ask for a temperature that no float holds.
    """
    truth = targets.numpy()
    weights = share_weights(truth, shares, sources)
    raw = logits.softmax(-1).double().numpy()
    rarest = int(np.bincount(truth, minlength=logits.shape[1]).min())
    if rarest < least:
        error, bins = calibration_error(truth, raw, weights=weights), reliability_bins(truth, raw, weights=weights)
        kept = HeadCalibration()
        return Fit(
            modalities,
            head,
            len(truth),
            kept,
            fitted=False,
            rarest=rarest,
            before=error,
            after=error,
            bins_before=bins,
            bins_after=bins,
        )
    scaling = fit_scaling(logits, targets, weights, near=near)
    held_out = np.zeros_like(raw)
    for half in (0, 1):
        other = slice(1 - half, None, 2)
        learned = fit_scaling(logits[other], targets[other], weights[other], near=near)
        held_out[half::2] = _scaled(logits[half::2], learned)
    return Fit(
        modalities,
        head,
        len(truth),
        scaling,
        fitted=True,
        rarest=rarest,
        before=calibration_error(truth, raw, weights=weights),
        after=calibration_error(truth, held_out, weights=weights),
        bins_before=reliability_bins(truth, raw, weights=weights),
        bins_after=reliability_bins(truth, held_out, weights=weights),
    )


def _moved(bias: Sequence[float], before: Sequence[float] | None, wanted: Sequence[float] | None) -> tuple[float, ...]:
    """The biases that say the same of posts whose classes have other shares than before, of mean 0."""
    ratio = np.log(wanted) - np.log(before) if before is not None and wanted is not None else np.zeros(len(bias))
    shifted = np.array(bias) + ratio
    return tuple((shifted - shifted.mean()).tolist())


def fit_scaling(
    logits: Tensor, targets: Tensor, weights: NDArray[np.float64], *, near: Sequence[float] | None = None
) -> HeadCalibration:
    """Fit ``logits / temperature + bias`` by likelihood (vector scaling with one slope; Guo et al. 2017).

    Args:
        logits: ``[n, classes]``.
        targets: int64 ``[n]``.
        weights: ``[n]``, for how many posts each counts.
        near: Biases that the fit stays near; None leaves it free.
    """
    penalty, centre = (_FREE, torch.zeros(logits.shape[1])) if near is None else (_HELD, torch.tensor(near))
    counted = torch.from_numpy(weights).float()
    heat = torch.zeros(1, requires_grad=True)
    bias = torch.zeros(logits.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([heat, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        losses = functional.cross_entropy(logits / heat.exp() + bias, targets, reduction="none")
        loss: Tensor = (losses * counted).mean()
        loss = loss + 1e-3 * (heat**2).sum() + penalty * ((bias - centre) ** 2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    centred = (bias - bias.mean()).tolist()
    return HeadCalibration(temperature=round(heat.exp().item(), 4), bias=tuple(round(value, 4) for value in centred))


def _scaled(logits: Tensor, scaling: HeadCalibration) -> NDArray[np.float64]:
    bias = torch.tensor(scaling.bias, dtype=torch.float64)
    values: NDArray[np.float64] = (logits.double() / scaling.temperature + bias).softmax(-1).numpy()
    return values


def _has(example: Example, modalities: str) -> bool:
    return (bool(example.text.strip()) or "text" not in modalities) and (
        example.picture is not None or "image" not in modalities
    )


def _rows(members: Sequence[Example], modalities: str, head: str) -> list[int]:
    """Those that teach a head: with texts alone, posts that never had a picture where there are any.

    A set that lacks a class says nothing of its share: it is left out where there are others.
    """
    rows = [row for row, example in enumerate(members) if head in example.targets]
    seen: dict[str, set[int]] = {}
    for row in rows:
        seen.setdefault(members[row].source, set()).add(members[row].targets[head])
    classes = task_heads()[head]
    whole = [row for row in rows if len(seen[members[row].source]) == classes]
    rows = whole or rows
    if modalities == "text" and not head.endswith(DEGREES):
        bare = [row for row in rows if members[row].picture is None]
        preferred = [row for row in bare if members[row].source == _TEXT_SOURCES.get(head)]
        return preferred or bare or rows
    return rows


def _outputs(moderator: Moderator, members: Sequence[Example], modalities: str) -> list[dict[str, list[float]]]:
    outputs: list[dict[str, list[float]]] = []
    for posts in posts_of(moderator, members, modalities):
        outputs += moderator.logits(moderator.embed(posts))
    return outputs
