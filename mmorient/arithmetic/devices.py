"""Devices that a model computes on, and the arithmetic of each."""

from __future__ import annotations

import os
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


def make_repeatable(device: torch.device) -> None:
    """Let a GPU compute what its precision's name says, with the same bits each time; for the whole process.

    Without this CUDA rounds the inputs of fp32 convolutions to 10 bits (TF32), adds up bf16 and fp16 products in 16
    bits, and may take another kernel in each run. Call it before the first product on the device.
    """
    if device.type != "cuda":
        return
    # cuBLAS reads it with its first product; without it the order of sums may change from call to call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    # Deterministic algorithms would fill all new memory too, which nobody reads before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    products = torch.backends.cuda.matmul
    products.allow_tf32 = False
    products.allow_fp16_reduced_precision_reduction = False
    products.allow_bf16_reduced_precision_reduction = False
    # One fused attention, whatever the precision; the plain one where its shapes do not fit.
    torch.backends.cuda.enable_flash_sdp(enabled=False)
    torch.backends.cuda.enable_cudnn_sdp(enabled=False)
    torch.backends.cuda.enable_mem_efficient_sdp(enabled=True)
    torch.backends.cuda.enable_math_sdp(enabled=True)


def is_fast_in_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16; a CPU without them imitates it, and takes longer than in fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    has_avx512, has_amx = torch.cpu._is_avx512_bf16_supported(), torch.cpu._is_amx_tile_supported()  # noqa: SLF001
    return device.type == "cpu" and bool(has_avx512 or has_amx)


def kind_of(device: torch.device) -> str:
    """What a person calls the arithmetic of a device: the fingerprint beside it is what counts."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"sm{major}{minor}"
    return torch.backends.cpu.get_cpu_capability().lower() if device.type == "cpu" else device.type
