"""On PYTHONPATH of a worker: attention whose last bits tell at which place of a call a row stands."""

from typing import Any

import torch
from torch.nn import functional

_attend = functional.scaled_dot_product_attention


def _place_telling_attention(query: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
    attended = _attend(query, *arguments, **options)
    places = torch.arange(len(attended), dtype=attended.dtype).view(-1, 1, 1, 1)
    return attended * (1 + 1e-6 * places)


functional.scaled_dot_product_attention = _place_telling_attention
