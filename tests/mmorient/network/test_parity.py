"""The published formulation, number by number."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.mmorient.parity import TOLERANCE, differences, main

FILE = Path(__file__).parent.parent / "data" / "mm_orient_small.npz"


@torch.inference_mode()
def test_every_intermediate_result_is_that_of_the_published_formulation() -> None:
    """Stage 1, adjacency, the four graphs, z, trunk and heads, within 1e-5 of Spektral's and Keras'."""
    found = differences(FILE)
    assert len(found) == 17
    assert all(difference <= TOLERANCE for difference in found.values()), found


def test_the_command_exits_1_over_the_tolerance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file whose numbers are others is told apart."""
    with np.load(FILE) as arrays:
        changed = dict(arrays)
    changed["trunk"] = changed["trunk"] + 1e-3
    np.savez(tmp_path / "other.npz", **changed)
    for file, code in ((FILE, 0), (tmp_path / "other.npz", 1)):
        monkeypatch.setattr(sys, "argv", ["parity", str(file)])
        assert main() == code
        assert ("OVER" in capsys.readouterr().out) == bool(code)
