"""Many operations of torch as one call, for threads that share Python's interpreter with a busy one.

Each operation lets go of the interpreter, and has to wait until it gets it back: half a millisecond, or as long as the
other thread takes. A traced graph computes the same operations and lets go once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[Tensor], tuple[Tensor, ...]]


def as_one_call(work: Work, sample: Tensor) -> Work:
    """The same work, traced.

    torch means to withdraw the interface that this takes, and offers none that needs no compiler. Where it is gone,
    or a bit of the sample's results differs, the work is returned as it is: slower beside a busy thread, and right.

    Args:
        work: ``[rows, …]`` to tensors; takes no branch that depends on numbers or on the number of rows.
        sample: Of two rows at least.
    """
    try:
        # Not above: where it is gone, this file can still be imported.
        from torch.jit import optimized_execution, trace  # type: ignore[attr-defined]

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*deprecated")
            traced = trace(work, (sample,), check_trace=False)  # type: ignore[no-untyped-call]
    except (AttributeError, ImportError, NotImplementedError, RuntimeError):
        return work

    def one_call(rows: Tensor) -> tuple[Tensor, ...]:
        # As it stands: an optimiser might put operations together, and round otherwise.
        with optimized_execution(should_optimize=False):
            return tuple(traced(rows))

    for rows in (sample, sample[: len(sample) // 2]):
        if any(not torch.equal(one, other) for one, other in zip(one_call(rows), work(rows), strict=True)):
            return work
    return one_call
