"""The state of a training run on the disk: safetensors and JSON, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mmorient.training.fitting.parts import gathered, own_part
from mmorient.training.fitting.several import first_alone, place


@dataclass
class TrainingState:
    """Where a run stands.

    Attributes:
        step: Steps done.
        validated: Epochs whose validation is done.
        best: Score of the best epoch so far, ``best_epoch``.
        losses: Of every step.
        processes: So many took part.
    """

    step: int = 0
    validated: int = 0
    best: float | None = None
    best_epoch: int = 0
    losses: list[float] = field(default_factory=list)
    processes: int = 1


def save_state(
    work: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None, state: TrainingState, name: str = "state"
) -> None:
    """Write ``NAME.safetensors``; what was there before stays until the new one is whole.

    Of several processes the first alone writes, and the others wait for it. What is divided among them is written
    whole: any number of processes can go on from it.
    """
    tensors: dict[str, Tensor] = {}
    for key, value in _tensors(model, optimiser):
        whole = gathered(value)
        if place() == 0:
            tensors[key] = whole.contiguous() if whole is value else whole.cpu()
    with first_alone():
        if place() == 0:
            _write(work, tensors, state, name)


def _tensors(model: nn.Module, optimiser: torch.optim.Optimizer | None) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"model.{key}", value) for key, value in model.state_dict().items())
    if optimiser is not None:
        for number, moments in optimiser.state_dict()["state"].items():
            yield from ((f"optimiser.{number}.{key}", _tensor(value)) for key, value in moments.items())


def _write(work: Path, tensors: dict[str, Tensor], state: TrainingState, name: str) -> None:
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
    present = model.state_dict()
    own = {key.removeprefix("model."): value for key, value in tensors.items() if key.startswith("model.")}
    # A name that the model lacks is the model's to complain of.
    model.load_state_dict({key: own_part(value, present.get(key, value)) for key, value in own.items()})
    if optimiser is not None:
        moments: dict[int, dict[str, Tensor]] = {}
        learned = [one for group in optimiser.param_groups for one in group["params"]]
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, number, name_ = key.split(".", 2)
                like = learned[int(number)]
                moments.setdefault(int(number), {})[name_] = own_part(value, like) if value.ndim else value
        optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
        with safe_open(file, "pt") as opened:
            for key, value in json.loads(opened.metadata()["state"]).items():
                setattr(state, key, value)
    return True


def _tensor(value: Tensor | float) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value)
