"""Many operations as one call: the same bits, whatever torch offers for it."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mmorient.arithmetic.one_call import as_one_call

WEIGHT = torch.linspace(-1, 1, 64 * 64).view(64, 64)


def work(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eighty small operations, and a number beside what they come to."""
    for _ in range(40):
        rows = torch.tanh(rows @ WEIGHT)
    return rows, rows.amax()


def sample(rows: int) -> Tensor:
    """Rows of numbers."""
    return torch.randn(rows, 64, generator=torch.Generator().manual_seed(rows))


def test_any_number_of_rows_has_the_same_bits_without_a_warning() -> None:
    """Each number of rows several times: what a first call learns changes nothing of the next."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_call = as_one_call(work, sample(4))
        assert one_call is not work
        for rows in (1, 8, 64, 8, 64, 8):
            for one, other in zip(one_call(sample(rows)), work(sample(rows)), strict=True):
                assert torch.equal(one, other)


def test_where_torch_offers_it_no_more_the_work_is_done_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interface is gone, or refuses."""

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("not supported in this version of Python")

    monkeypatch.setattr(torch.jit, "trace", refuse)
    assert as_one_call(work, sample(4)) is work
    monkeypatch.delattr(torch.jit, "trace")
    assert as_one_call(work, sample(4)) is work


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_work_whose_graph_says_something_else_is_done_as_it_is() -> None:
    """It takes a branch that depends on the number of rows, which a graph of four rows does not know."""
    assert as_one_call(by_rows, sample(4)) is by_rows


def by_rows(rows: Tensor) -> tuple[Tensor]:
    """Rows, doubled where there are fewer than three."""
    return (rows * 2 if rows.shape[0] < 3 else rows,)


class Counting(TorchFunctionMode):
    """Counts the operations that Python calls: before and after each one it may wait for the interpreter."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Count an operation and call it."""
        del types
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_python_calls_no_operation_of_a_graph_by_itself() -> None:
    """Of the work as it is it calls each one."""
    one_call = as_one_call(work, sample(4))
    with Counting() as single:
        work(sample(8))
    with Counting() as together:
        one_call(sample(8))
    assert single.count > 80
    assert together.count < 5
