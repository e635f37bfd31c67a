"""How many threads compute: a label must not tell how many processors a machine has."""

from __future__ import annotations

import torch

_FEWEST = 2


def enough_threads() -> None:
    """Let the calling thread compute with two threads at least; call it before any arithmetic.

    With a single one oneDNN takes another kernel for a convolution, and the last bits of a picture's embedding differ.
    From two on (tried: 2 to 16) every count gives the same bits. The setting is the calling thread's own, so it is
    looked at in each.
    """
    if torch.get_num_threads() < _FEWEST:
        torch.set_num_threads(_FEWEST)
