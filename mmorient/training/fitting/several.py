"""One run on several devices: a process each, every one with its share of each step's posts.

``torchrun`` or ``accelerate launch`` start the processes and say in the environment who each is. Gradients are
averaged after each step, so that the weights stay the same everywhere; nothing else is shared. The first process
alone writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed, nn

from mmorient.training.fitting.parts import is_divided

_LONGEST = timedelta(hours=12)


def join(device: torch.device) -> torch.device:
    """Meet the other processes of this run, where there are any.

    Args:
        device: What was asked for.

    Returns:
        This process's own.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return device
    own = device
    if device.type == "cuda":
        own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(own)
    if not distributed.is_initialized():
        # The others wait while the first one reads all posts once.
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_LONGEST)
    return own


def leave() -> None:
    """Part from the other processes."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def place() -> int:
    """Which of the processes this is, from 0."""
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0


def count() -> int:
    """How many there are."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def wait() -> None:
    """Until all processes are here."""
    if count() > 1:
        distributed.barrier()


@contextmanager
def first_alone() -> Iterator[None]:
    """Let the first process go ahead: what it leaves on the disk, the others find."""
    if place() > 0:
        wait()
    yield
    if place() == 0:
        wait()


def share(rows: Sequence[int]) -> list[int]:
    """This process's posts of a step; all of them, where there are fewer than processes."""
    return list(rows) if len(rows) < count() else list(rows[place() :: count()])


def agree(values: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """The first process's values, the same names everywhere: what follows from them then does so in all."""
    if count() < 2:
        return dict(values)
    said = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    distributed.broadcast(said, 0)
    return dict(zip(values, said.tolist(), strict=True))


@torch.no_grad()
def average_gradients(model: nn.Module) -> None:
    """The mean over all processes in the place of each gradient; of a weight that no post here used, nothing counts.

    Those of divided weights are averaged already.

    One call for each type of numbers: many small ones would take as long as the step.
    """
    if count() < 2:
        return
    learned = [one for one in model.parameters() if one.requires_grad and not is_divided(one)]
    for one in learned:
        if one.grad is None:
            one.grad = torch.zeros_like(one)
    by_type: dict[torch.dtype, list[torch.Tensor]] = {}
    for parameter in learned:
        if parameter.grad is not None:
            by_type.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in by_type.values():
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= count()
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()
