"""Numbers of several shapes go through one copy and come back as they were."""

import pytest
import torch
from torch import Tensor

from mmorient.arithmetic.transfer import side_by_side, to_cpu, to_device


def test_rows_stand_side_by_side() -> None:
    """Rows of any shape, of 16 bits too: every number of a row, one part behind the other."""
    parts = [torch.randn(3, 4), torch.randn(3), torch.randn(3, 2, 5), torch.randn(3, 2).bfloat16(), torch.ones(3, 0)]
    together = side_by_side(parts)
    assert together.shape == (3, 4 + 1 + 10 + 2)
    assert torch.equal(together[:, 4], parts[1])
    assert torch.equal(together[:, 5:15].view(3, 2, 5), parts[2])


def test_nothing_is_copied_where_it_is_there_already() -> None:
    """On a processor both ways give the tensors themselves."""
    tensor = torch.randn(2, 3)
    assert to_cpu([tensor])[0] is tensor
    assert to_cpu([]) == []
    assert to_device(tensor, torch.device("cpu")) is tensor


class ElsewhereTensor(Tensor):
    """A tensor of the CPU that says it is on another device, and counts copies from there."""

    copies = 0

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Any other device."""
        return torch.device("cuda")

    def cpu(self) -> Tensor:  # type: ignore[override]
        """Count, and be a plain tensor."""
        ElsewhereTensor.copies += 1
        return self.as_subclass(Tensor)


def test_results_of_several_calls_come_back_in_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of different shapes: one wait for the device instead of one each."""
    monkeypatch.setattr(ElsewhereTensor, "copies", 0)
    parts = [torch.randn(3, 4), torch.randn(2, 7), torch.randn(5)]
    found = to_cpu([part.as_subclass(ElsewhereTensor) for part in parts])
    assert ElsewhereTensor.copies == 1
    for own, part in zip(found, parts, strict=True):
        assert own.shape == part.shape
        assert torch.equal(own, part)
