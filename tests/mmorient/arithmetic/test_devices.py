"""What a GPU is told before its first product."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.model

_TOLD = """
import json, os, sys
import torch
from mmorient.arithmetic.devices import make_repeatable
make_repeatable(torch.device(sys.argv[1]))
cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
print(json.dumps({
    "workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    "deterministic": torch.are_deterministic_algorithms_enabled() and cudnn.deterministic and not cudnn.benchmark,
    "fills": torch.utils.deterministic.fill_uninitialized_memory,
    "rounds": [cudnn.allow_tf32, cuda.matmul.allow_tf32, torch.get_float32_matmul_precision() != "highest"],
    "sums": [
        cuda.matmul.allow_fp16_reduced_precision_reduction,
        cuda.matmul.allow_bf16_reduced_precision_reduction,
    ],
    "attention": [cuda.flash_sdp_enabled(), cuda.cudnn_sdp_enabled(), cuda.mem_efficient_sdp_enabled()],
}))
"""


def told(device: str) -> dict[str, object]:
    """Return what stands in a new process, for all that it does is for the whole process."""
    said = subprocess.run([sys.executable, "-c", _TOLD, device], check=True, capture_output=True, text=True).stdout
    found: dict[str, object] = json.loads(said)
    return found


def test_a_gpu_computes_what_the_precision_says_and_the_same_each_time() -> None:
    """No rounding of inputs, no sums in 16 bits, one kernel for one shape."""
    assert told("cuda") == {
        "workspace": ":4096:8",
        "deterministic": True,
        "fills": False,
        "rounds": [False, False, False],
        "sums": [False, False],
        "attention": [False, False, True],
    }


def test_a_cpu_is_left_as_it_is() -> None:
    """Torch's own defaults, of which none concerns a CPU."""
    found = told("cpu")
    assert found["workspace"] is None
    assert not found["deterministic"]
