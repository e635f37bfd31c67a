"""Devices that a model computes on, and the arithmetic of each."""

from __future__ import annotations

from typing import Literal

import torch

DeviceName = Literal["cpu", "auto", "cuda", "mps"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def find_device(name: str) -> torch.device:
    """The device of a name: ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        ValueError: It is not here.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available.get(name, False):
        raise ValueError(f"device {name!r} is not available here")
    return torch.device(name)


def kind_of(device: torch.device) -> str:
    """What a person calls the arithmetic of a device: the fingerprint beside it is what counts."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"sm{major}{minor}"
    return torch.backends.cpu.get_cpu_capability().lower() if device.type == "cpu" else device.type
