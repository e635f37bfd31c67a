"""The state of a training run on the disk: safetensors and JSON, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mmorient.training.fitting.several import first_alone, place


@dataclass
class TrainingState:
    """Where a run stands.

    Attributes:
        step: Steps done.
        validated: Epochs whose validation is done.
        best: Score of the best epoch so far, ``best_epoch``.
        losses: Of every step.
    """

    step: int = 0
    validated: int = 0
    best: float | None = None
    best_epoch: int = 0
    losses: list[float] = field(default_factory=list)


def save_state(
    work: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None, state: TrainingState, name: str = "state"
) -> None:
    """Write ``NAME.safetensors``; what was there before stays until the new one is whole.

    Of several processes the first alone writes, and the others wait for it.
    """
    with first_alone():
        if place() == 0:
            _write(work, model, optimiser, state, name)


def _write(
    work: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None, state: TrainingState, name: str
) -> None:
    tensors = {f"model.{key}": value.contiguous() for key, value in model.state_dict().items()}
    if optimiser is not None:
        for number, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{key}": _tensor(value) for key, value in moments.items()}
    part = work / f"{name}.part"
    save_file(tensors, part, metadata={"state": json.dumps(asdict(state))})
    part.replace(work / f"{name}.safetensors")


def load_state(
    work: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None, state: TrainingState, name: str = "state"
) -> bool:
    """Fill model, optimiser and state from the disk; return whether there was anything."""
    file = work / f"{name}.safetensors"
    if not file.is_file():
        return False
    tensors = load_file(file)
    model.load_state_dict(
        {key.removeprefix("model."): value for key, value in tensors.items() if key.startswith("model.")}
    )
    if optimiser is not None:
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, number, name_ = key.split(".", 2)
                moments.setdefault(int(number), {})[name_] = value
        optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
        with safe_open(file, "pt") as opened:
            for key, value in json.loads(opened.metadata()["state"]).items():
                setattr(state, key, value)
    return True


def _tensor(value: Tensor | float) -> Tensor:
    return value.contiguous() if isinstance(value, Tensor) else torch.tensor(value)
