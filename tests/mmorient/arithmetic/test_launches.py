"""Tiles that are recorded have the bits of those that are not; where anything is wrong, nothing is recorded."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from mmorient.arithmetic.launches import CudaGraph, Launches, Work
from tests.mmorient.arithmetic.replaying import ReplayingDouble

CPU = torch.device("cpu")


class ForgetfulDouble(ReplayingDouble):
    """Leaves what was recorded, whatever its inputs are: as a graph whose work reads elsewhere."""

    def launch(self) -> None:
        """Nothing."""


def count_and_double() -> tuple[Work, list[tuple[int, ...]]]:
    """Return work, and the shapes that it was asked for."""
    asked: list[tuple[int, ...]] = []

    def work(rows: Tensor, scale: Tensor) -> Tensor:
        asked.append(tuple(rows.shape))
        return rows * scale

    return work, asked


def given(rows: int, width: int) -> tuple[Tensor, Tensor]:
    """Return any inputs."""
    return torch.randn(rows, width), torch.randn(rows, 1)


def test_each_shape_is_recorded_once() -> None:
    """Later calls of a shape launch what was recorded, and each result stays after the next launch."""
    recorded: list[tuple[int, ...]] = []

    def record(work: Work, sample: Sequence[Tensor], pool: Any) -> ReplayingDouble:
        recorded.append(tuple(sample[0].shape))
        return ReplayingDouble(work, sample, pool)

    work, _ = count_and_double()
    launches = Launches(work, CPU, recorded=True, record=record)
    calls = [given(4, 3), given(4, 3), given(2, 5), given(4, 3), given(2, 5)]
    found = [launches(*call) for call in calls]
    assert recorded == [(4, 3), (2, 5)]
    for own, (rows, scale) in zip(found, calls, strict=True):
        assert torch.equal(own, rows * scale)


def test_where_nothing_is_to_be_recorded_the_work_is_done() -> None:
    """As on a CPU: the tensors themselves, no copies and no samples."""
    work, asked = count_and_double()
    launches = Launches(work, CPU, recorded=False)
    rows, scale = given(4, 3)
    assert torch.equal(launches(rows, scale), rows * scale)
    assert asked == [(4, 3)]


def test_a_recording_that_reads_elsewhere_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """It has the right bits for its sample, and for nothing else."""
    work, _ = count_and_double()
    launches = Launches(work, CPU, recorded=True, record=ForgetfulDouble)
    with caplog.at_level(logging.WARNING):
        for rows, scale in (given(4, 3), given(4, 3)):
            assert torch.equal(launches(rows, scale), rows * scale)
    assert [record.message for record in caplog.records] == [
        "a recorded tile has other bits, and is launched operation by operation"
    ]


def test_what_cannot_be_recorded_is_done_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """One shape that fails says so once, and the others are recorded."""

    def record(work: Work, sample: Sequence[Tensor], pool: Any) -> ReplayingDouble:
        if len(sample[0]) == 4:
            raise RuntimeError("operation not permitted when stream is capturing")
        return ReplayingDouble(work, sample, pool)

    work, asked = count_and_double()
    launches = Launches(work, CPU, recorded=True, record=record)
    with caplog.at_level(logging.WARNING):
        for rows, scale in (given(4, 3), given(2, 3), given(4, 3)):
            assert torch.equal(launches(rows, scale), rows * scale)
    assert len(caplog.records) == 1
    assert "not permitted when stream is capturing" in caplog.records[0].message
    assert asked.count((4, 3)) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_graph_has_the_bits_of_its_operations() -> None:
    """Recorded for real."""
    device = torch.device("cuda")
    weight = torch.randn(64, 64, device=device)
    launches = Launches(lambda rows: torch.relu(rows @ weight), device, recorded=True, record=CudaGraph)
    with torch.inference_mode():
        for _ in range(3):
            rows = torch.randn(16, 64)
            assert torch.equal(launches(rows), torch.relu(rows.to(device) @ weight))
