"""Temperatures and biases, a head and a set of modalities each, fitted on the validation splits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mmorient.config import Calibration, HeadCalibration
from mmorient.model import DEGREES, GraphContext, MmOrient
from mmorient.training.data import VAL, Example
from mmorient.training.vectors import Vectors

_log = logging.getLogger(__name__)
# What tweets without a picture are calibrated on; the other heads only have memes to go by.
_TEXT_SOURCES = {"sentiment": "sentiment", "sarcasm": "irony", "offensiveness": "offensive"}
# Here the set's own share of each class is kept. Everywhere else all classes count alike: nine in ten memes of the set
# being funny says how the set was gathered, and would call nearly any picture funny.
_NATURAL = {("text", "sarcasm"), ("text", "offensiveness")}


@dataclass(frozen=True, slots=True)
class _Case:
    modalities: str
    head: str
    rows: Tensor
    targets: Tensor


@torch.inference_mode()
def _logits(model: MmOrient, context: GraphContext, vectors: Vectors, case: _Case) -> Tensor:
    widths = (model.sizes.text_vector, model.sizes.picture_vector)
    drop = torch.ones(len(case.rows), dtype=torch.bool)
    posts = vectors.posts(
        case.rows,
        widths,
        without_text=drop & (case.modalities == "image"),
        without_picture=drop & (case.modalities == "text"),
    )
    logits: Tensor = model(posts, context)[case.head]
    return logits


def calibrate(model: MmOrient, context: GraphContext, vectors: Vectors, examples: Sequence[Example]) -> Calibration:
    """Fit all scalings on the validation splits.

    Args:
        model: Trained.
        context: The frozen bank.
        vectors: Of the examples.
        examples: All; only the val split is used.
    """
    scalings: dict[str, dict[str, HeadCalibration]] = {}
    for case in _cases(model, vectors, examples):
        logits = _logits(model, context, vectors, case).clone()
        natural = (case.modalities, case.head) in _NATURAL or case.head.endswith(DEGREES)
        scaling = fit_scaling(logits, case.targets, natural=natural)
        scalings.setdefault(case.modalities, {})[case.head] = scaling
        _log.info(
            "calibration: %s %s on %d posts: temperature %.2f, bias %s",
            case.modalities,
            case.head,
            len(case.targets),
            scaling.temperature,
            scaling.bias,
        )
    return Calibration(heads=scalings)


def fit_scaling(logits: Tensor, targets: Tensor, *, natural: bool) -> HeadCalibration:
    """Fit ``logits / temperature + bias`` by likelihood.

    Args:
        logits: ``[n, classes]``.
        targets: int64 ``[n]``.
        natural: Keep the classes' shares; else every class weighs alike.
    """
    classes = logits.shape[1]
    weights = torch.ones(classes)
    if not natural:
        counts = torch.bincount(targets, minlength=classes).clamp(min=1)
        weights = len(targets) / (classes * counts)
    heat = torch.zeros(1, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([heat, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss: Tensor = functional.cross_entropy(logits / heat.exp() + bias, targets, weight=weights)
        loss = loss + 1e-3 * (heat**2).sum() + 1e-4 * (bias**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    centred = (bias - bias.mean()).tolist()
    return HeadCalibration(temperature=round(heat.exp().item(), 4), bias=tuple(round(value, 4) for value in centred))


def _cases(model: MmOrient, vectors: Vectors, examples: Sequence[Example]) -> list[_Case]:
    cases = []
    for modalities in ("text", "image", "text+image"):
        for head in model.sizes.heads:
            source = _TEXT_SOURCES.get(head) if modalities == "text" else None
            rows = [
                index
                for index, example in enumerate(examples)
                if example.split == VAL
                and head in example.targets
                and (example.source == source if source else bool(vectors.picture_row[index] >= 0))
                and (vectors.has_text[index] or modalities == "image")
            ]
            if rows:
                targets = torch.tensor([examples[index].targets[head] for index in rows])
                cases.append(_Case(modalities, head, torch.tensor(rows), targets))
    return cases
