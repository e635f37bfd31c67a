"""Numbers of several shapes go through one copy and come back as they were."""

import torch

from mmorient.arithmetic.transfer import side_by_side, split, to_cpu, to_device


def test_what_is_put_together_comes_apart_again() -> None:
    """Rows of any shape, of 16 bits too; numbers and shapes stay."""
    parts = [torch.randn(3, 4), torch.randn(3), torch.randn(3, 2, 5), torch.randn(3, 2).bfloat16(), torch.ones(3, 0)]
    together = side_by_side(parts)
    assert together.shape == (3, 4 + 1 + 10 + 2)
    for own, part in zip(split(together, parts), parts, strict=True):
        assert own.shape == part.shape
        assert own.dtype == part.dtype
        assert torch.equal(own, part)


def test_nothing_is_copied_where_it_is_there_already() -> None:
    """On a processor both ways give the tensors themselves."""
    tensor = torch.randn(2, 3)
    assert to_cpu([tensor])[0] is tensor
    assert to_device(tensor, torch.device("cpu")) is tensor
