"""How many threads compute: a label must not tell how many processors a machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_FEWEST = 2


@contextmanager
def enough_threads() -> Iterator[None]:
    """Let the calling thread compute with two threads at least within the block.

    With a single one oneDNN takes another kernel for a convolution, and the last bits of a picture's embedding differ.
    From two on (tried: 2 to 16) every count gives the same bits. Texts and heads have no convolutions and the same bits
    with one; more threads than processors would only cost them time.
    """
    before = torch.get_num_threads()
    if before >= _FEWEST:
        yield
        return
    torch.set_num_threads(_FEWEST)
    try:
        yield
    finally:
        torch.set_num_threads(before)
