"""On PYTHONPATH of a worker: heads whose last bits tell at which place of a call a post stands."""

from typing import Any

import torch
from torch.nn import functional

_normalize = functional.normalize


def _place_telling_normalize(rows: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
    found = _normalize(rows, *arguments, **options)
    if rows.ndim != 2:
        return found
    return found * (1 + 1e-6 * torch.arange(len(rows), dtype=found.dtype)[:, None])


functional.normalize = _place_telling_normalize
