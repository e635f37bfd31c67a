"""A network of the OCR under onnxruntime: one input, one output, always the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

_FATAL = 4


class Network:
    """An ONNX network on the CPU. Any thread may call it; the interpreter lock is released while it computes.

    Args:
        weights: The ``.onnx`` file.
        threads: Threads of one call. Pictures come from a pool of threads, so one is enough in a worker.
    """

    def __init__(self, weights: Path, *, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        # Pictures come in many shapes, and an arena keeps room for the largest of every thread.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = _FATAL
        self._session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network once."""
        output: NDArray[np.float32] = self._session.run(None, {self._input: batch})[0]
        return output

    def metadata(self, key: str) -> str:
        """A text that the file carries along, the recogniser's alphabet for one.

        Raises:
            KeyError: It carries none of that name.
        """
        text: str = self._session.get_modelmeta().custom_metadata_map[key]
        return text
